"""What an ESP-IDF application image says of itself: its header, its description, and whether it is whole."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from app.protocol.malformed import Malformed

MAX_BYTES = 32 * 1024 * 1024
_IMAGE_MAGIC = 0xE9
_DESCRIPTION_MAGIC = 0xABCD5432
_DESCRIPTION_AT = 32
_HEADER_SIZE = 24
_SEGMENT = struct.Struct("<II")
_LEAST = _DESCRIPTION_AT + 256


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """The two names in an image's description (esp_app_desc_t)."""

    version: str
    project: str


def read_image(image: bytes) -> ImageInfo:
    """Raises Malformed, with the reason, when ``image`` is no application image of ESP-IDF or not all of it is there."""
    if len(image) < _LEAST or image[0] != _IMAGE_MAGIC:
        raise Malformed("it is no ESP-IDF image: such a file begins with 0xE9; take the application's .bin of the build folder")
    (magic,) = struct.unpack_from("<I", image, _DESCRIPTION_AT)
    if magic != _DESCRIPTION_MAGIC:
        raise Malformed(
            "it holds no application description: is it the bootloader, or all parts merged in one? "
            "Take the application's .bin of the build folder"
        )
    _check_whole(image)
    return ImageInfo(_text(image[48:80], "version"), _text(image[80:112], "project name"))


def _check_whole(image: bytes) -> None:
    at = _HEADER_SIZE
    for _ in range(image[1]):
        if at + _SEGMENT.size > len(image):
            raise Malformed("it is cut short: copy it again")
        at += _SEGMENT.size + _SEGMENT.unpack_from(image, at)[1]
    end = at // 16 * 16 + 16  # one byte of checksum, which ends a row of 16
    hashed = image[23] == 1
    if end + (32 if hashed else 0) > len(image):
        raise Malformed("it is cut short: copy it again")
    if hashed and hashlib.sha256(memoryview(image)[:end]).digest() != image[end : end + 32]:
        raise Malformed("its SHA-256 is not that of its content: it is damaged, copy it again")


def _text(field: bytes, what: str) -> str:
    try:
        text = field.partition(b"\0")[0].decode("ascii")
    except UnicodeDecodeError:
        raise Malformed(f"its {what} is no text: the image is damaged") from None
    return text
