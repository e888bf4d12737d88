"""The camera of a software device: one small picture, taken to the server with a question as firmware does it (PROTOCOL.md 8)."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from app.client.identity import Identity

PICTURE = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDADUlKC8oITUvKy88OTU/UIVXUElJUKN1e2GFwarLyL6qurfV8P//1eL/5re6////////////zv//////////"
    "////2wBDATk8PFBGUJ1XV53/3Lrc////////////////////////////////////////////////////////////////////wAARCAAYACADASIAAhEB"
    "AxEB/8QAFwABAQEBAAAAAAAAAAAAAAAAAgADBP/EABUQAQEAAAAAAAAAAAAAAAAAAAEA/8QAFgEBAQEAAAAAAAAAAAAAAAAABAIB/8QAFhEBAQEAAAAA"
    "AAAAAAAAAAAAAAEC/9oADAMBAAIRAxEAPwDhCYRCYVXDckEwiEwouCcsAmFVMsgmTCYVVFkJy//Z"
)
"""A JPEG of 32 by 24 points, from red to blue."""
CHUNK = 512
"""Bytes of the picture in one chunk of the body."""
MAX_BYTES = 64 * 1024
_BOUNDARY = "----ESP32_CAMERA_BOUNDARY"


class NoPicture(Exception):
    """The picture was not explained. The text is what firmware says of it."""


@dataclass(slots=True)
class Camera:
    """``url`` and ``token``: as the server told them in ``initialize``; ``picture``: a JPEG; ``seconds``: for the answer."""

    identity: Identity
    url: str = ""
    token: str = field(default="", repr=False)
    picture: bytes = PICTURE
    seconds: float = 60.0

    def explain(self, question: str) -> str:
        """Sends picture and question; the body of the answer. Raises NoPicture: firmware looks at no body but that of a 200."""
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NoPicture("Image explain URL or token is not set")
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = make(parts.hostname, parts.port, timeout=self.seconds)
        headers = {
            "Device-Id": self.identity.mac,
            "Client-Id": self.identity.uuid,
            "Content-Type": f"multipart/form-data; boundary={_BOUNDARY}",
            "Transfer-Encoding": "chunked",
        } | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        try:
            connection.request("POST", parts.path or "/", self._body(question), headers, encode_chunked=True)
            response = connection.getresponse()
            if response.status != http.client.OK:
                raise NoPicture("Failed to upload photo")
            return response.read(MAX_BYTES).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            raise NoPicture("Failed to connect to explain URL") from None
        finally:
            connection.close()

    def _body(self, question: str) -> Iterator[bytes]:
        yield f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="question"\r\n\r\n{question}\r\n'.encode()
        disposition = 'Content-Disposition: form-data; name="file"; filename="camera.jpg"'
        yield f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
        for offset in range(0, len(self.picture), CHUNK):
            yield self.picture[offset : offset + CHUNK]
        yield f"\r\n--{_BOUNDARY}--\r\n".encode()
