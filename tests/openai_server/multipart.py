"""A ``multipart/form-data`` body, taken apart (RFC 7578)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?')
_NAME = re.compile(rb'[; ]name="([^"]*)"')
_FILENAME = re.compile(rb'filename="([^"]*)"')


class BadForm(Exception):
    """The body is no well-formed form."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    filename: str
    value: bytes


def read(content_type: str, body: bytes) -> list[Field]:
    """The fields in their order. Raises BadForm."""
    found = _BOUNDARY.search(content_type)
    if "multipart/form-data" not in content_type or found is None:
        raise BadForm(f"a form is expected, not {content_type!r}")
    mark = b"--" + found[1].encode()
    parts = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(parts) < 2 or parts[0].strip() or not parts[-1].startswith(b"--"):
        raise BadForm("the form does not begin or end with its boundary")
    return [_field(part) for part in parts[1:-1]]


def _field(part: bytes) -> Field:
    head, separator, value = part.partition(b"\r\n\r\n")
    name = _NAME.search(head)
    if not separator or name is None:
        raise BadForm("a part without headers or without a name")
    filename = _FILENAME.search(head)
    return Field(name[1].decode(), filename[1].decode() if filename else "", value)
