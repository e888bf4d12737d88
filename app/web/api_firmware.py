"""``/api/v1/firmware``: the firmware images, who gets them, and how far their roll-outs have come (docs/devices.md)."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, json, request
from gevent.lock import BoundedSemaphore

from app.devices.database import DatabaseUnavailable
from app.devices.firmware import MAX_BOARDS, ShelfIsFull, check_board
from app.devices.image import MAX_BYTES
from app.devices.plan import MAX_NOTES, Image, Plan
from app.devices.rollout import Progress
from app.protocol.malformed import Malformed
from app.voice.tts.pool import in_pool
from app.web import body, firmware, query, upload
from app.web.errors import TryLater, error_response, later_response
from app.web.node import Node

log = logging.getLogger(__name__)

PATH = "/api/v1/firmware"
MOST_UPLOADS = 2
"""At a time: each is held in memory once, when it is checked."""
MAX_QUERY_NOTES = 256
"""Characters of the notes in a query, which has to fit into a request's first line."""
MEDIA_TYPE = "application/octet-stream"
RETRY_SECONDS = 10
_UNREADABLE = re.compile("[\0\ud800-\udfff]")
"""NUL, and halves of surrogate pairs: no JSON file that holds them is read again."""
_NOT_THERE = "there is no such image; GET /api/v1/firmware shows all"


class FirmwareApi:
    """Files are read and written in the thread pool."""

    def __init__(self, node: Node) -> None:
        self._shelf = node.firmware
        self._rollouts = node.rollouts
        self._uploads = BoundedSemaphore(MOST_UPLOADS)

    def list_firmware(self) -> Response:
        """A page of the boards that have images, with the progress of each image's roll-out."""
        query.only("limit", "after")
        after = request.args.get("after")
        if after is not None:
            check_board(after)
        return _json(self.overview(after or "", query.number("limit", MAX_BOARDS, 1, MAX_BOARDS)))

    def overview(self, after: str = "", limit: int = MAX_BOARDS) -> dict[str, Any]:
        """The boards that have images in the order of their names, from the first one behind ``after``; and those of devices that
        have none. Raises DatabaseUnavailable or OSError."""
        images = {board: list(row) for board, row in groupby(_in_thread(self._shelf.images), lambda image: image.board)}
        page = [board for board in images if board > after][: limit + 1]
        without = [asdict(count) for count in self._rollouts.boards() if count.board and count.board not in images]
        return {
            "boards": [self._row(board, images[board]) for board in page[:limit]],
            "next": page[limit - 1] if len(page) > limit else None,
            "without_images": without,
        }

    def put_image(self, board: str) -> Response:
        """Takes an image in; its header tells its version."""
        check_board(board)
        plan = _plan_of_query()
        if request.mimetype != MEDIA_TYPE:
            return error_response(415, f"send the image itself as the body, with the header Content-Type: {MEDIA_TYPE}")
        if not self._uploads.acquire(blocking=False):
            raise TryLater("other images are arriving: try again when they are here", RETRY_SECONDS)
        try:
            return self._receive(board, plan)
        except upload.TooLarge:
            return error_response(413, f"the image is larger than {MAX_BYTES >> 20} MiB: no device could hold it")
        except ShelfIsFull as full:
            return error_response(409, str(full))
        finally:
            self._uploads.release()

    def patch_image(self, board: str, version: str) -> Response:
        """Changes ``share``, ``force``, ``notes``."""
        changes = _plan_changes(body.json_object(request))
        image = _in_thread(self._shelf.change, board, version, lambda plan: replace(plan, **changes))
        return error_response(404, _NOT_THERE) if image is None else _json(as_document(image))

    def delete_image(self, board: str, version: str) -> Response:
        """No device is offered it any more; those that run it keep it."""
        if not _in_thread(self._shelf.remove, board, version):
            return error_response(404, _NOT_THERE)
        return Response(status=204)

    def _row(self, board: str, images: Sequence[Image]) -> dict[str, Any]:
        rollout = self._rollouts.of(board, images)
        return {
            "board": board,
            "known": rollout.known,
            "recent": rollout.recent,
            "versions": [{"version": version, "devices": devices} for version, devices in rollout.versions],
            "images": [as_document(image, rollout.progress[image.version]) for image in images],
        }

    def _receive(self, board: str, plan: Plan) -> Response:
        descriptor, path = _in_thread(self._shelf.receiving)
        try:
            try:
                upload.write(request, descriptor, MAX_BYTES)
            finally:
                os.close(descriptor)
            known = {(image.board, image.version) for image in _in_thread(self._shelf.images)}
            try:
                image, info = _in_thread(self._shelf.add, path, board, plan)
            except Malformed as fault:
                raise Malformed(f"the image is not taken: {fault}") from None
        finally:
            _in_thread(_delete, path)
        log.info("firmware %s %s was added: offered to %d %% of the devices", board, image.version, plan.share)
        document = as_document(image) | {"project": info.project}
        return _json(document, 200 if (image.board, image.version) in known else 201)


def blueprint(node: Node) -> Blueprint:
    """The routes."""
    routes = Blueprint("api_firmware", __name__, url_prefix=PATH)
    api = FirmwareApi(node)
    routes.register_error_handler(DatabaseUnavailable, _unavailable)
    routes.register_error_handler(OSError, _unwritable)
    for rule, method, handler in (
        ("", "GET", api.list_firmware),
        ("/<board>", "PUT", api.put_image),
        ("/<board>/<version>", "PATCH", api.patch_image),
        ("/<board>/<version>", "DELETE", api.delete_image),
    ):
        routes.add_url_rule(rule, handler.__name__, handler, methods=[method], provide_automatic_options=False)
    return routes


def as_document(image: Image, progress: Progress | None = None) -> dict[str, Any]:
    """An image as the API shows it."""
    document = {
        "board": image.board,
        "version": image.version,
        "size": image.size,
        "share": image.plan.share,
        "force": image.plan.force,
        "notes": image.plan.notes,
        "path": f"{firmware.PATH}{image.path}",
    }
    return document if progress is None else document | {"progress": asdict(progress)}


def _plan_of_query() -> Plan:
    query.only("share", "force", "notes")
    notes = _notes(request.args.get("notes", ""), MAX_QUERY_NOTES)
    return Plan(share=query.number("share", 100, 0, 100), force=query.flag("force") or False, notes=notes)


def _plan_changes(document: dict[str, Any]) -> dict[str, Any]:
    if not document or document.keys() - {"share", "force", "notes"}:
        raise Malformed('expected an object with one or more of "share", "force" and "notes"')
    changes = dict(document)
    if "share" in document:
        changes["share"] = _share(document["share"])
    if not isinstance(document.get("force", False), bool):
        raise Malformed('"force" has to be true or false')
    _notes(document.get("notes", ""), MAX_NOTES)
    return changes


def _share(value: object) -> int:
    """A number of percent; to JSON, 50.0 is the integer 50."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100 or value != int(value):
        raise Malformed('"share" has to be a whole number of percent, from 0 to 100')
    return int(value)


def _notes(text: object, longest: int) -> str:
    if not isinstance(text, str) or len(text) > longest or _UNREADABLE.search(text):
        raise Malformed(f'"notes" has to be a text of at most {longest} characters, without NUL')
    return text


def _in_thread(work: Any, *arguments: Any) -> Any:
    return in_pool(work, *arguments)


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(document), status, mimetype="application/json", headers={"Cache-Control": "no-store"})


def _unavailable(_fault: Exception) -> Response:
    return later_response("the database does not answer now: try again soon", RETRY_SECONDS)


def _unwritable(fault: OSError) -> Response:
    log.error("the firmware folder cannot be used: %s", fault.strerror)
    return error_response(507, f"the firmware folder of the state directory cannot be used: {fault.strerror}")
