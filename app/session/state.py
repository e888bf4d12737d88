"""The states of a session, from hello to goodbye (hybrid-protocol.md 5.1; PROTOCOL.md 1).

=========  ============================================================
OPENED     hello is answered; no audio has come yet
STREAMING  the device's audio has arrived, so audio can go back to it
ENDED      over; nothing is accepted for it or sent by it any more
=========  ============================================================
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    OPENED = "opened"
    STREAMING = "streaming"
    ENDED = "ended"


class Event(Enum):
    """What moves a session on. The value of an ending is the reason that figures and logs give."""

    AUDIO = "audio"
    GOODBYE = "goodbye"
    """The device said it."""
    REPLACED = "replaced"
    """The device said hello again."""
    FAREWELL = "farewell"
    """The conversation has come to its end."""
    IDLE = "idle"
    LOST = "lost"
    """The connection that carried it is gone."""
    FAULT = "fault"
    SHUTDOWN = "shutdown"
    DELETED = "deleted"
    """An operator has deleted the device."""


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.OPENED, Event.AUDIO): State.STREAMING,
    (State.STREAMING, Event.AUDIO): State.STREAMING,
    **{
        (state, ending): State.ENDED for state in (State.OPENED, State.STREAMING) for ending in Event if ending is not Event.AUDIO
    },
}

TELLS_THE_DEVICE = frozenset({Event.FAREWELL, Event.IDLE, Event.FAULT, Event.SHUTDOWN, Event.DELETED})
"""Endings that the device does not know of yet. Not REPLACED: a device that still waits for the answer to its new hello
would take the old session's goodbye for its own."""
