"""A model's reasoning between tags such as ``<think>`` and ``</think>``, taken out of its text as that streams by."""

from __future__ import annotations

import re

NAMES = ("think", "thinking", "thought", "reasoning")
_OPEN = re.compile(f"<({'|'.join(NAMES)})>", re.IGNORECASE)
_LONGEST = max(map(len, NAMES)) + len("</>")


class ReasoningFilter:
    """Pieces in, what is meant to be heard out. What may yet become a tag is kept until that is known.

    A model whose prompt already opened the tag writes only the closing one; by then its reasoning has been passed on. Its server
    has to be told to keep it apart (``reasoning_content``).
    """

    def __init__(self) -> None:
        self._kept = ""
        self._closing: str | None = None
        """Inside of a tag, what ends it."""
        self._has_ended = False
        """Reasoning has, and nothing but white space has come since."""

    def feed(self, piece: str) -> str:
        """What of ``piece``, and of what was kept before, is to be heard."""
        text, heard = self._kept + piece, ""
        while True:
            if self._closing is not None:
                at = text.lower().find(self._closing)
                if at < 0:
                    self._kept = text[-_LONGEST:]
                    return heard
                text = text[at + len(self._closing) :]
                self._closing, self._has_ended = None, True
            if self._has_ended:
                text = text.lstrip()
                self._has_ended = not text
            found = _OPEN.search(text)
            if found is None:
                break
            heard += text[: found.start()]
            self._closing = f"</{found[1].lower()}>"
            text = text[found.end() :]
        keep = _begun_tag(text)
        self._kept = text[keep:]
        return heard + text[:keep]

    def end(self) -> str:
        """Nothing more comes: what was kept and is no tag."""
        kept, self._kept = self._kept, ""
        return "" if self._closing is not None else kept


def _begun_tag(text: str) -> int:
    """Where at the end of ``text`` an opening tag may have begun; else its length."""
    at = text.rfind("<", -_LONGEST)
    if at >= 0 and any(f"<{name}>".startswith(text[at:].lower()) for name in NAMES):
        return at
    return len(text)
