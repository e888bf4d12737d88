"""The turns of a conversation: who may speak, and what each event makes of it.

=========  ==============================================================================
IDLE       nobody's turn: audio is only kept for the moment before ``listen start``
LISTENING  the device's turn
THINKING   the utterance is over, or the server has something to say: it is being made
SPEAKING   the reply is being played
CLOSED     the session has ended
=========  ==============================================================================
"""

from __future__ import annotations

from enum import Enum


class Turn(Enum):
    IDLE = "idle"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    CLOSED = "closed"


class TurnEvent(Enum):
    LISTEN_START = "listen start"
    """The device's microphone is on. While a reply is made or played, that is its end (barge-in)."""
    LISTEN_STOP = "listen stop"
    END_OF_SPEECH = "end of speech"
    ADDRESS = "address"
    """The server takes the word: a greeting, an announcement, an answer to what came as text."""
    REPLY = "reply"
    """There is something to say."""
    BARGE_IN = "barge-in"
    """The person speaks while a reply is made or played (mode realtime)."""
    LISTEN_AGAIN = "listen again"
    """The reply is over, and the device listens by itself (modes auto and realtime)."""
    REST = "rest"
    """The reply is over, and the device waits for its user (mode manual)."""
    CLOSE = "close"


TRANSITIONS: dict[tuple[Turn, TurnEvent], Turn] = {
    (Turn.IDLE, TurnEvent.LISTEN_START): Turn.LISTENING,
    (Turn.LISTENING, TurnEvent.LISTEN_START): Turn.LISTENING,
    (Turn.THINKING, TurnEvent.LISTEN_START): Turn.LISTENING,
    (Turn.SPEAKING, TurnEvent.LISTEN_START): Turn.LISTENING,
    (Turn.LISTENING, TurnEvent.LISTEN_STOP): Turn.THINKING,
    (Turn.LISTENING, TurnEvent.END_OF_SPEECH): Turn.THINKING,
    (Turn.IDLE, TurnEvent.ADDRESS): Turn.THINKING,
    (Turn.LISTENING, TurnEvent.ADDRESS): Turn.THINKING,
    (Turn.THINKING, TurnEvent.REPLY): Turn.SPEAKING,
    (Turn.THINKING, TurnEvent.BARGE_IN): Turn.LISTENING,
    (Turn.SPEAKING, TurnEvent.BARGE_IN): Turn.LISTENING,
    (Turn.THINKING, TurnEvent.LISTEN_AGAIN): Turn.LISTENING,
    (Turn.SPEAKING, TurnEvent.LISTEN_AGAIN): Turn.LISTENING,
    (Turn.THINKING, TurnEvent.REST): Turn.IDLE,
    (Turn.SPEAKING, TurnEvent.REST): Turn.IDLE,
    **{(turn, TurnEvent.CLOSE): Turn.CLOSED for turn in Turn if turn is not Turn.CLOSED},
}
