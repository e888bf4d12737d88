"""The page of the firmware images: who is offered which, and how far that has come."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from app.devices.database import DatabaseUnavailable
from app.devices.plan import BOARD, MAX_NOTES
from app.web.api_firmware import FirmwareApi
from app.web.console.rendering import Pages
from app.web.node import Node

PATH = "/firmware"
BOARDS = 10
"""On one page."""
MOST_NAMED = 50
"""Boards without images that are named."""


class FirmwarePage:
    """Shows what ``GET /api/v1/firmware`` tells, which keeps it up to date."""

    def __init__(self, node: Node, pages: Pages) -> None:
        self._api = FirmwareApi(node)
        self._pages = pages

    def page(self) -> Response:
        """The boards behind the one that the address names."""
        after = request.args.get("after", "")
        if not BOARD.fullmatch(after):
            after = ""
        try:
            found, status = self._api.overview(after, BOARDS), 200
        except (DatabaseUnavailable, OSError):
            found, status = None, 503
        return self._pages.render(
            "firmware.html",
            status,
            here="firmware",
            script_words=("firmware.",),
            found=found,
            after=after,
            limit=BOARDS,
            without=[] if found is None else found["without_images"][:MOST_NAMED],
            max_notes=MAX_NOTES,
            mebibytes=mebibytes,
            percent=percent,
        )


def blueprint(node: Node, pages: Pages) -> Blueprint:
    """The route."""
    routes = Blueprint("firmware_page", __name__)
    routes.add_url_rule(PATH, "page", FirmwarePage(node, pages).page, methods=["GET"], provide_automatic_options=False)
    return routes


def mebibytes(size: int) -> str:
    """A size in bytes as people read it."""
    return f"{size / (1 << 20):.1f} MiB" if size >= 1 << 20 else f"{size / 1024:.0f} KiB"


def percent(progress: dict[str, Any], name: str) -> float:
    """The part of the devices in the share that have arrived, or are waiting, for the bar."""
    return round(100 * progress[name] / progress["in_share"], 2) if progress["in_share"] else 0
