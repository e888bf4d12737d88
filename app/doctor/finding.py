"""What the doctor has found out about one thing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """A warning needs no change for a device to be served; a fault does."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """``check``: one or two words; ``sentence``: what is so, and for a fault what to change. Never a secret."""

    check: str
    state: State
    sentence: str


def sentence_of(reason: str) -> str:
    """``reason`` with a capital letter, unless it begins with an address: those are written as they are."""
    first, _, _ = reason.partition(" ")
    return reason[:1].upper() + reason[1:] if first.isalpha() else reason


def ok(check: str, sentence: str) -> Finding:
    return Finding(check, State.OK, sentence)


def warning(check: str, sentence: str) -> Finding:
    return Finding(check, State.WARNING, sentence)


def fault(check: str, sentence: str) -> Finding:
    return Finding(check, State.FAULT, sentence)
