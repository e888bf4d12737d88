"""``POST /xiaozhi/vision``: a device's camera asks what is in its picture (PROTOCOL.md 8).

Firmware (esp32_camera.cc, Explain) sends multipart/form-data in chunks: ``question``, then ``file``, a JPEG. The body of a 200 is
what its tool answers, as it stands; of any other status it reads no body, and the tool fails with "Failed to upload photo". So
what a person should get to hear, above all that the model failed, goes as a 200 that says ``"success": false``.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

from flask import Blueprint, Request, Response, json, request
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser

from app.logs import about
from app.protocol import tokens
from app.protocol.malformed import Malformed
from app.protocol.tokens import Purpose, TokenRefused
from app.throttle import Throttle
from app.voice.provider import ProviderFault
from app.voice.tts.pool import in_pool
from app.web import body, identity
from app.web.node import Look, Node
from app.web.vision_offer import PATH

log = logging.getLogger(__name__)

MAX_BYTES = 2 * 1024 * 1024
"""Of the whole body: firmware sends up to some hundred KiB."""
BODY_SECONDS = 30.0
"""How long a picture may take to arrive."""
PICTURES_PER_MINUTE, BURST = 10, 5
"""Of one device."""
MAX_AT_ONCE = 16
"""Pictures of all devices that are read or looked at; what comes beyond is refused."""
RETRY_SECONDS = 5
_FIELD_BYTES = 256 * 1024
"""The parser's buffer; a question that is longer is refused."""
_SENTENCES = {
    408: f"the picture did not arrive within {BODY_SECONDS:.0f} s",
    413: "the picture is larger than 2 MiB: take a smaller one",
}


@dataclass(frozen=True, slots=True)
class _Asked:
    """``question``: empty where the device asked nothing."""

    question: str = field(repr=False)
    picture: bytes = field(repr=False)


class _Refused(Exception):
    """The text is the sentence."""

    def __init__(self, status: int, sentence: str, retry_seconds: int = 0) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_seconds = retry_seconds


class VisionRoute:
    """Answers devices. ``clock``: seconds since the epoch."""

    def __init__(self, node: Node, clock: Callable[[], float] = time.time) -> None:
        self._node = node
        self._key = node.secrets.signature_key
        self._clock = clock
        self._pictures = Throttle(PICTURES_PER_MINUTE / 60, BURST)
        self._complaints = Throttle(per_second=1 / 60, burst=1)
        self._at_once = 0

    def handle(self) -> Response:
        """One picture."""
        try:
            return self._answer()
        except _Refused as refusal:
            return _say(refusal.status, str(refusal), refusal.retry_seconds)
        except Malformed as fault:
            return _say(400, str(fault))
        except HTTPException as error:
            status = error.code or 400
            return _say(status, _SENTENCES.get(status, "the request cannot be read"))

    def page(self) -> Response:
        """For a person who tries the address in a browser."""
        works = "devices send their camera's pictures here" if self._node.vision else "no model is set up to look at pictures"
        return Response(f"This is the vision address of a xiaozhi voice server: {works}.\n", mimetype="text/plain")

    def _answer(self) -> Response:
        look = self._node.vision
        if look is None:
            raise _Refused(404, "this server has no model to look at pictures: set voice.vision.enable")
        device_id = self._device(request)
        if not self._pictures.allows(device_id):
            raise _Refused(
                429, f"at most {PICTURES_PER_MINUTE} pictures a minute are looked at: wait a little", 60 // PICTURES_PER_MINUTE
            )
        if self._at_once >= MAX_AT_ONCE:
            raise _Refused(503, "the server looks at too many pictures at this moment: ask again soon", RETRY_SECONDS)
        self._at_once += 1
        try:
            return self._look(look, device_id, _read(request))
        finally:
            self._at_once -= 1

    def _device(self, asking: Request) -> str:
        """The device whose token came along. Raises Malformed, or _Refused."""
        device_id = identity.read(asking).device_id
        token = tokens.bearer(asking.headers.get("Authorization", ""))
        try:
            tokens.check(self._key, token, device_id, self._clock(), Purpose.VISION)
        except TokenRefused as fault:
            raise _Refused(401, str(fault)) from None
        return device_id

    def _look(self, look: Look, device_id: str, asked: _Asked) -> Response:
        try:
            seen = look(asked.picture, asked.question)
        except ProviderFault as fault:
            if self._complaints.allows(device_id):
                log.warning("%s: its picture was not looked at: %s", device_id, fault, extra=about(device_id))
            return _json(200, {"success": False, "message": str(fault)})
        return _json(200, {"success": True, "response": seen})


def blueprint(node: Node, clock: Callable[[], float] = time.time) -> Blueprint:
    """The route, with and without the slash at its end: devices follow no redirect."""
    routes = Blueprint("vision", __name__)
    route = VisionRoute(node, clock)
    for rule, name in ((PATH, "bare"), (PATH + "/", "slash")):
        for method, view in (("POST", route.handle), ("GET", route.page)):
            routes.add_url_rule(rule, f"{name}_{method.lower()}", view, methods=[method], provide_automatic_options=False)
    return routes


def _read(asking: Request) -> _Asked:
    """What the device asks. Raises Malformed, _Refused, or aborts with 408 or 413."""
    boundary = asking.mimetype_params.get("boundary", "")
    if asking.mimetype != "multipart/form-data" or not boundary:
        raise _Refused(415, "the body has to be multipart/form-data with the fields question and file")
    document = body.read(asking, MAX_BYTES, BODY_SECONDS)
    # Two MiB take the parser some 10 ms of Python: in a pool thread, where the hub gets its turn in between.
    asked = in_pool(_parse, document, boundary)
    if not _is_picture(asked.picture):
        raise _Refused(415, "the file has to be a JPEG, PNG or WebP picture")
    return asked


def _parse(document: bytes, boundary: str) -> _Asked:
    """Raises Malformed."""
    parser = FormDataParser(_in_memory, _FIELD_BYTES, MAX_BYTES, max_form_parts=8, silent=False)
    try:
        _, form, files = parser.parse(io.BytesIO(document), "multipart/form-data", len(document), {"boundary": boundary})
    except (ValueError, HTTPException):
        raise Malformed("the form is damaged: it needs a question, a file, and its closing boundary") from None
    file = files.get("file")
    if file is None:
        raise Malformed("the form has no file: the picture has to be a part named file, with a filename")
    return _Asked(form.get("question", "").strip(), file.stream.read())


def _in_memory(
    total_content_length: int | None, content_type: str | None, filename: str | None, content_length: int | None = None
) -> IO[bytes]:
    """Where the parser puts a file: it is small, and nothing of it belongs on a disk."""
    return io.BytesIO()


def _is_picture(data: bytes) -> bool:
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"))


def _say(status: int, sentence: str, retry_seconds: int = 0) -> Response:
    response = _json(status, {"success": False, "message": sentence})
    if retry_seconds:
        response.headers["Retry-After"] = str(retry_seconds)
    return response


def _json(status: int, answer: dict[str, Any]) -> Response:
    return Response(json.dumps(answer), status, mimetype="application/json", headers={"Cache-Control": "no-store"})
