"""What a tool's answer is to a model: text, cut to a size it can read. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 8 * 1024
"""Of the text, in UTF-8."""
MAX_PARTS = 64
BASE64_RATIO = 0.75
_CUT = " … (cut off)"


@dataclass(frozen=True, slots=True)
class Answer:
    """``failed``: ``text`` says why the tool did not do it, in a sentence for whoever asked."""

    text: str
    failed: bool = False


def of_result(result: Any) -> Answer:
    """The answer in the ``result`` of ``tools/call``: its texts joined, its images and other parts named."""
    content = result.get("content") if isinstance(result, Mapping) else None
    if not isinstance(content, list):
        return Answer(_cut(result if isinstance(result, str) else _as_json(result)))
    text = "\n".join(filter(None, (_part(part) for part in content[:MAX_PARTS])))
    if result.get("isError") is True:
        return Answer(_cut(f"The tool failed: {text or 'it did not say why'}"), failed=True)
    return Answer(_cut(text or "done"))


def of_failure(message: str) -> Answer:
    """The answer in the ``error`` of ``tools/call``."""
    return Answer(_cut(f"The device refused: {message or 'it did not say why'}"), failed=True)


def _part(part: Any) -> str:
    """One element of ``content``."""
    if not isinstance(part, dict):
        return ""
    text = part.get("text")
    if isinstance(text, str):
        return text
    kind = part.get("type")
    if kind == "image":
        return _image(part)
    return f"[{kind[:40]}]" if isinstance(kind, str) else ""


def _image(part: dict[str, Any]) -> str:
    """Firmware wraps the part into itself, as JSON text in ``image``."""
    wrapped = part.get("image")
    if isinstance(wrapped, str):
        try:
            inner = json.loads(wrapped)
        except (ValueError, RecursionError):
            inner = None
        part = inner if isinstance(inner, dict) else part
    kind, data = part.get("mimeType"), part.get("data")
    name = f"{kind[:40]} image" if isinstance(kind, str) else "image"
    return f"[{name}, {int(len(data) * BASE64_RATIO)} bytes]" if isinstance(data, str) else f"[{name}]"


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (ValueError, TypeError, RecursionError):
        return "an answer that cannot be shown"


def _cut(text: str) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= MAX_BYTES:
        return encoded.decode()
    return encoded[: MAX_BYTES - len(_CUT.encode())].decode(errors="ignore") + _CUT
