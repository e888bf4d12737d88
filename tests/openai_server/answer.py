"""What a route of the stand-in answers when nothing goes wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class BadRequest(Exception):
    """The client's fault: answered with 400."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``pieces``: of the body, as they are sent; ``first``: the index of the one that the client waits for."""

    content_type: str
    pieces: Sequence[bytes]
    streamed: bool = False
    first: int = 0


def json_answer(document: dict[str, Any]) -> Answer:
    """The document in two pieces, so that an answer can break in its middle."""
    text = json.dumps(document).encode()
    return Answer("application/json", [text[: len(text) // 2], text[len(text) // 2 :]])
