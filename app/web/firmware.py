"""Downloads of firmware images: with ``Content-Length`` (devices refuse without), ranges and an ETag, read in the thread pool."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import gevent
from flask import Blueprint, Response, abort, request

from app.devices.firmware import FirmwareShelf
from app.web.errors import error_response
from app.web.node import Node

PATH = "/xiaozhi/firmware/"
CHUNK = 64 * 1024
STALL_SECONDS = 60.0
"""A client that does not take one chunk in so long is given up."""
_NAME = re.compile(r"([^/]+)/([^/]+)\.bin")


class _Piece:
    """Bytes of an open file, chunk by chunk; closes it in the end."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor = descriptor
        self._at = start
        self._left = size

    def __iter__(self) -> Iterator[bytes]:
        threads = gevent.get_hub().threadpool
        while self._left:
            chunk = threads.apply(os.pread, (self._descriptor, min(CHUNK, self._left), self._at))
            if not chunk:
                raise OSError("a firmware image became shorter while it was sent")
            self._at += len(chunk)
            self._left -= len(chunk)
            yield chunk

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def blueprint(node: Node) -> Blueprint:
    """The route; GET and HEAD."""
    routes = Blueprint("firmware", __name__)
    shelf = node.firmware

    @routes.get(f"{PATH}<path:name>")
    def firmware(name: str) -> Response:
        return _answer(shelf, name)

    return routes


def _answer(shelf: FirmwareShelf, name: str) -> Response:
    match = _NAME.fullmatch(name)
    if match is None:
        abort(404)
    descriptor, found = gevent.get_hub().threadpool.apply(_open, (shelf, match[1], match[2]))
    if found is None:
        abort(404)
    return _respond(descriptor, found)


def _open(shelf: FirmwareShelf, board: str, version: str) -> tuple[int, os.stat_result | None]:
    try:
        descriptor = shelf.open(board, version)
    except OSError:
        return -1, None
    return descriptor, os.fstat(descriptor)


def _respond(descriptor: int, found: os.stat_result) -> Response:
    size, etag = found.st_size, f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"
    headers = {"Accept-Ranges": "bytes", "ETag": f'"{etag}"', "Cache-Control": "no-cache"}
    if request.if_none_match.contains_weak(etag):
        os.close(descriptor)
        return Response(status=304, headers=headers)
    start, end, status = 0, size, 200
    wanted = request.range
    same = request.if_range.date is None and request.if_range.etag in (None, etag)
    if wanted is not None and wanted.units == "bytes" and len(wanted.ranges) == 1 and same:
        span = wanted.range_for_length(size)
        if span is None:
            os.close(descriptor)
            refusal = error_response(416, f"the image has {size} bytes, and none of them are in that range")
            refusal.headers["Content-Range"] = f"bytes */{size}"
            return refusal
        start, end = span
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        os.close(descriptor)
        return Response(status=status, headers=headers, mimetype="application/octet-stream")
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(STALL_SECONDS)
    response = Response(_Piece(descriptor, start, end - start), status, headers, mimetype="application/octet-stream")
    if connection is not None:
        response.call_on_close(lambda: connection.settimeout(None))
    return response
