"""What a device is doing, and the one table of how that changes (PROTOCOL.md 4)."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """The states of a device that the conversation knows."""

    IDLE = "idle"
    CONNECTING = "connecting"
    LISTENING = "listening"
    SPEAKING = "speaking"


class Trigger(Enum):
    """What can change the state."""

    OPEN = "open"
    """Hello is said."""
    OPENED = "opened"
    """The server's hello came, and the UDP socket is there."""
    LISTEN = "listen"
    LISTEN_STOP = "listen stop"
    TTS_START = "tts start"
    TTS_STOP = "tts stop"
    """In the modes auto and realtime."""
    TTS_STOP_MANUAL = "tts stop (manual)"
    CLOSED = "closed"
    """Goodbye, a failed hello, or nothing heard for too long."""


_S, _T = State, Trigger

TRANSITIONS: dict[tuple[State, Trigger], State] = {
    # A hello may be said again at any time; the channel before it is dropped.
    **{(state, _T.OPEN): _S.CONNECTING for state in State},
    (_S.CONNECTING, _T.OPENED): _S.IDLE,
    (_S.IDLE, _T.LISTEN): _S.LISTENING,
    (_S.LISTENING, _T.LISTEN): _S.LISTENING,
    (_S.SPEAKING, _T.LISTEN): _S.LISTENING,
    (_S.LISTENING, _T.LISTEN_STOP): _S.IDLE,
    (_S.IDLE, _T.TTS_START): _S.SPEAKING,
    (_S.LISTENING, _T.TTS_START): _S.SPEAKING,
    (_S.SPEAKING, _T.TTS_STOP): _S.LISTENING,
    (_S.SPEAKING, _T.TTS_STOP_MANUAL): _S.IDLE,
    **{(state, _T.CLOSED): _S.IDLE for state in State},
}
"""Where a trigger leads. What is not here is refused: the device stays as it is."""
