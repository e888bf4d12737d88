"""One session: what a device says between its hello and its goodbye, and who answers it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from app.logs import about
from app.protocol.messages import Abort, AudioParams, Features, FromDevice, Goodbye, Listen, Mcp, Message, ServerHello
from app.session.channel import Channel
from app.session.device_tools import DeviceTools
from app.session.saying import Saying
from app.session.state import TELLS_THE_DEVICE, TRANSITIONS, Event, State
from app.session.timings import TimingFigures, Timings
from app.session.transcript import Transcript

log = logging.getLogger(__name__)


STREAMING = State.STREAMING
"""A name of its own, as every packet asks for it: Python 3.11 finds an enum's member by way of its class, 0.1 µs each time."""


class NotPossible(Exception):
    """What an operator asks of a device cannot be done now. The text is the sentence that says why; ``code``: the same for
    programs."""

    def __init__(self, sentence: str, code: Saying = Saying.NOT_NOW) -> None:
        super().__init__(sentence)
        self.code = code


class Conversation(Protocol):
    """Who talks with the device during a session. Its methods return at once."""

    def on_open(self) -> None:
        """The device has been sent its hello: it may be told more."""
        ...

    def on_audio(self, sequence: int, packet: bytes) -> None:
        """One Opus packet that has not been seen before; a late one comes after those with higher sequences."""
        ...

    def on_listen(self, message: Listen) -> None: ...

    def on_abort(self, message: Abort) -> None: ...

    def on_mcp(self, payload: dict[str, Any]) -> None: ...

    @property
    def is_speaking(self) -> bool:
        """Whether a reply is being played: the device need not be heard of meanwhile."""
        ...

    @property
    def turn(self) -> str:
        """Whose turn it is: ``idle``, ``listening``, ``thinking``, ``speaking`` or ``closed``."""
        ...

    @property
    def mode(self) -> str:
        """How the device listens, as it said last: ``auto``, ``manual`` or ``realtime``."""
        ...

    @property
    def tools(self) -> DeviceTools | None:
        """The device's tools; None when it has none."""
        ...

    def speak(self, text: str) -> str:
        """Says ``text`` now (``speaking``), or when the present turn is over (``queued``). Raises NotPossible."""
        ...

    def close(self) -> None:
        """Stops listening and speaking; twice is fine."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What the two hellos agreed on. ``uplink``: what the device sends; ``downlink``: what it was promised."""

    uplink: AudioParams
    downlink: AudioParams
    features: Features


class Session:
    """``id`` and ``device_id`` name it; ``started_at`` and ``heard_at`` are seconds of the registry's clock.

    ``has_listened``: whether the device has begun to listen in it, or heard its wake word.
    """

    __slots__ = (
        "_conversation",
        "_on_end",
        "channel",
        "device_id",
        "has_listened",
        "heard",
        "heard_at",
        "id",
        "started_at",
        "state",
        "terms",
        "timings",
        "transcript",
    )

    def __init__(
        self,
        device_id: str,
        channel: Channel,
        terms: Terms,
        *,
        now: float,
        on_end: Callable[[Session, Event], None],
        timings: Timings | None = None,
        transcript: Transcript | None = None,
    ) -> None:
        self.id = secrets.token_hex(16)
        self.device_id = device_id
        self.channel = channel
        self.terms = terms
        self.timings = Timings(TimingFigures()) if timings is None else timings
        self.transcript = Transcript() if transcript is None else transcript
        self.state = State.OPENED
        self.has_listened = False
        self.started_at = self.heard_at = now
        self.heard = False
        """Set by whatever arrives; the registry's sweep turns it into a time, so that a packet costs no clock."""
        self._conversation: Conversation | None = None
        self._on_end = on_end

    def begin(self, conversation: Conversation) -> None:
        """Gives the session the one who talks in it."""
        self._conversation = conversation

    def welcome(self, hello: ServerHello) -> None:
        """Answers the device's hello; nothing else is said before it."""
        self.channel.send_json(hello)
        if self._conversation is not None:
            self._conversation.on_open()

    @property
    def is_speaking(self) -> bool:
        return self._conversation is not None and self._conversation.is_speaking

    @property
    def turn(self) -> str:
        """Whose turn it is: ``idle``, ``listening``, ``thinking``, ``speaking`` or ``closed``."""
        return "closed" if self._conversation is None else self._conversation.turn

    @property
    def mode(self) -> str:
        """How the device listens, as it said last: ``auto``, ``manual`` or ``realtime``."""
        return "auto" if self._conversation is None else self._conversation.mode

    @property
    def tools(self) -> DeviceTools | None:
        """The device's tools; None when it has none, or the session is over."""
        return None if self._conversation is None else self._conversation.tools

    def speak(self, text: str) -> str:
        """Says ``text`` now (``speaking``), or when the present turn is over (``queued``). Raises NotPossible."""
        if self._conversation is None:
            raise NotPossible("The device's session has just ended: try again.", Saying.SESSION_ENDED)
        return self._conversation.speak(text)

    def tell(self, message: Message) -> None:
        """Sends the device a message of this session. Raises NotPossible when the session is over."""
        if self.state is State.ENDED:
            raise NotPossible("The device's session has just ended: try again.", Saying.SESSION_ENDED)
        self.send(message)

    def send(self, message: Message) -> None:
        """Sends the device a message of this session, and keeps what it says in the transcript."""
        self.transcript.sent(message)
        self.channel.send_json(message.model_copy(update={"session_id": self.id}))

    def receive_audio(self, sequence: int, packet: bytes) -> None:
        """One Opus packet of the device, accepted by the transport."""
        self.heard = True
        if self.state is not STREAMING and not self._move(Event.AUDIO):
            return
        if self._conversation is not None:
            self._conversation.on_audio(sequence, packet)

    def receive(self, message: FromDevice) -> None:
        """One control message of the device, which names this session or none."""
        self.heard = True
        if self.state is State.ENDED or self._conversation is None:
            whom = about(self.device_id, self.id)
            log.info("%s: %s came after the end of session %s", self.device_id, message.type, self.id, extra=whom)
            return
        self.transcript.received(message)
        if isinstance(message, Listen):
            self.has_listened = True
            self._conversation.on_listen(message)
        elif isinstance(message, Abort):
            self._conversation.on_abort(message)
        elif isinstance(message, Mcp):
            self._conversation.on_mcp(message.payload)
        elif isinstance(message, Goodbye):
            self.end(Event.GOODBYE)

    def end(self, reason: Event) -> None:
        """Ends the session: the device is told where it does not know yet. Twice is fine."""
        if not self._move(reason):
            return
        conversation, self._conversation = self._conversation, None  # they hold each other
        if conversation is not None:
            conversation.close()
        if reason in TELLS_THE_DEVICE:
            self.send(Goodbye())
        self.channel.close()
        self._on_end(self, reason)

    def _move(self, event: Event) -> bool:
        after = TRANSITIONS.get((self.state, event))
        if after is None:
            return False
        self.state = after
        return True
