"""The query string of a request to the API: a key that nobody knows is refused, or a misspelled filter would be none."""

from __future__ import annotations

import re

from flask import request

from app.protocol.malformed import Malformed

_NUMBER = re.compile(r"[0-9]{1,15}")


def only(*names: str) -> None:
    """Raises Malformed when there are other keys than these."""
    unknown = set(request.args) - set(names)
    if unknown:
        raise Malformed(f'there is no "{min(unknown)[:40]}" in the query here; expected {", ".join(names) or "none"}')


def number(name: str, default: int, least: int, most: int) -> int:
    """A number of the query. Raises Malformed."""
    text = request.args.get(name)
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise Malformed(f"{name} has to be a number from {least} to {most}")
    return int(text)


def flag(name: str) -> bool | None:
    """``true`` or ``false``; None when it is not there. Raises Malformed."""
    text = request.args.get(name)
    if text not in (None, "true", "false"):
        raise Malformed(f"{name} has to be true or false")
    return None if text is None else text == "true"
