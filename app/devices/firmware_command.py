"""``python -m app firmware``: the images that devices are offered."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from app.devices.firmware import FirmwareShelf, ShelfIsFull
from app.devices.plan import Plan
from app.protocol.malformed import Malformed
from app.settings import SettingsError, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="offer an image to the devices of a board")
    add.add_argument("file", metavar="FILE", type=Path, help="the application's .bin of the build folder")
    add.add_argument("--board", metavar="B", required=True, help="as the devices name it in their OTA request (board.type)")
    add.add_argument("--force", action="store_true", help="flash it on devices with a newer version too")
    add.add_argument("--notes", default="", help="what is new in it")
    add.add_argument("--share", type=_share, default=100, metavar="0..100", help="percent of the devices that are offered it")
    actions.add_parser("list", help="every image")
    remove = actions.add_parser("remove", help="offer an image no longer")
    remove.add_argument("board", metavar="BOARD")
    remove.add_argument("version", metavar="VERSION")


def run(options: argparse.Namespace) -> int:
    """Does one action. Status 1 with a sentence when it cannot be done."""
    try:
        shelf = FirmwareShelf(load().state_dir / "firmware")
    except SettingsError as fault:
        print(fault, file=sys.stderr)
        return 1
    if options.action == "add":
        return _add(shelf, options)
    if options.action == "remove":
        return _remove(shelf, options)
    images = shelf.images()
    for image in images:
        forced = "forced" if image.plan.force else ""
        line = f"{image.board:32}  {image.version:12}  {image.size:9}  {image.plan.share:3} %  {forced:6}  {image.plan.notes}"
        print(line.rstrip())
    if not images:
        print("There are no images.", file=sys.stderr)
    return 0


def _add(shelf: FirmwareShelf, options: argparse.Namespace) -> int:
    try:
        image, info = shelf.add(options.file, options.board, Plan(options.force, options.notes[:4096], options.share))
    except (Malformed, ShelfIsFull) as fault:
        print(f"{options.file} is not added: {fault}.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{options.file} is not added: {error.filename or options.file}: {error.strerror}.", file=sys.stderr)
        return 1
    print(f"{info.project} {image.version} ({image.size} bytes) is offered to {options.share} % of the devices of {image.board}.")
    return 0


def _remove(shelf: FirmwareShelf, options: argparse.Namespace) -> int:
    if shelf.remove(options.board, options.version):
        print(f"{options.board} {options.version} is removed.")
        return 0
    print(f"There is no image {options.version} of {options.board}; `python -m app firmware list` shows all.", file=sys.stderr)
    return 1


def _share(text: str) -> int:
    share = int(text)
    if not 0 <= share <= 100:
        raise argparse.ArgumentTypeError("the share is a percentage, from 0 to 100")
    return share
