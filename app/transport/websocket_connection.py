"""One device's WebSocket: what each of its frames means, and which session it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.opus.packet import MAX_FRAME, MAX_PACKET, TOCS, is_plausible
from app.protocol.malformed import Malformed
from app.protocol.messages import AudioParams, Goodbye, Hello, Iot, MalformedMessage, Message, UnknownMessage, from_device
from app.protocol.websocket import JSON, Framing
from app.protocol.ws_frames import BINARY, PING, PONG, TEXT
from app.session.caller import WebSocketCaller
from app.session.registry import Refused
from app.session.session import Session
from app.session.state import Event, State

if TYPE_CHECKING:
    from app.timers import Timer
    from app.transport.websocket import WebSocketTransport
    from app.transport.websocket_channel import WebSocketChannel
    from app.transport.websocket_link import WebSocketLink


class Connection:
    """``session`` and ``channel`` are those of its last hello, None before the first."""

    __slots__ = (
        "_channels",
        "_duration",
        "_framing",
        "_sequence",
        "_tocs",
        "_transport",
        "caller",
        "channel",
        "link",
        "patience",
        "session",
    )

    def __init__(self, transport: WebSocketTransport, caller: WebSocketCaller) -> None:
        self._transport = transport
        self.caller = caller
        self.link: WebSocketLink | None = None
        self.session: Session | None = None
        self.channel: WebSocketChannel | None = None
        self.patience: Timer | None = None
        """Runs until the first hello."""
        self._framing: Framing | None = None
        self._sequence = 0
        self._duration = 0
        self._channels = 0
        self._tocs: frozenset[int] = frozenset()
        """TOC bytes of code 0 whose packets have been found plausible: those say all of it."""

    def begin(self, session: Session, channel: WebSocketChannel, framing: Framing, uplink: AudioParams) -> None:
        """A hello was accepted."""
        self._be_patient()
        self.session, self.channel, self._framing = session, channel, framing
        self._sequence = 0
        self._duration, self._channels = uplink.frame_duration, uplink.channels
        self._tocs = frozenset()

    def say(self, message: Message) -> None:
        """A control message to the device."""
        if self.link is not None:
            self.link.send(TEXT, message.encode())

    def close(self, code: int, sentence: str) -> None:
        """Ends the connection."""
        if self.link is not None:
            self.link.close(code, sentence)

    def on_frame(self, opcode: int, payload: bytes) -> None:
        """One whole message, or a ping or pong."""
        if opcode == BINARY:
            self._binary(payload)
        elif opcode == TEXT:
            self._text(payload)
        elif opcode == PING and self.link is not None:
            self.link.send(PONG, payload)
        elif opcode == PONG and self.link is not None:
            self._ponged(self.link)

    def _ponged(self, link: WebSocketLink) -> None:
        seconds = link.ponged()
        if seconds is not None and self.session is not None and not self.caller.gateway:  # whose pong is not the device's
            self.session.timings.round_trip(seconds)

    def on_closed(self, code: int) -> None:
        """The link is over: whoever of us closed it, or nobody."""
        self._be_patient()
        session, self.session = self.session, None
        channel, self.channel = self.channel, None
        self.link = None
        self._transport.ended(self, code)
        if channel is not None:
            channel.drop()
        if session is not None:
            session.end(Event.LOST)

    def _be_patient(self) -> None:
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None

    def _text(self, payload: bytes) -> None:
        transport, caller = self._transport, self.caller
        try:
            message = from_device(payload)
        except MalformedMessage as error:
            transport.complain(caller.device_id, str(error))
            if error.is_hello:
                transport.refuse_hello(self, Refused.not_understood(error))
            return
        if isinstance(message, Hello):
            transport.hello(self, message)
        elif isinstance(message, Iot | UnknownMessage):
            transport.say_ignored(caller.device_id, message.type)
        elif self.session is not None and message.session_id in ("", self.session.id):
            self.session.receive(message)
        elif not isinstance(message, Goodbye):
            # A session that we no longer have: the device starts afresh instead of waiting.
            self.say(Goodbye(session_id=message.session_id))

    def _binary(self, frame: bytes) -> None:
        session, channel, framing, link = self.session, self.channel, self._framing, self.link
        if session is None or channel is None or framing is None or link is None:
            self._transport.complain(self.caller.device_id, "audio before hello")
            return
        try:
            kind, packet = framing.unwrap(frame)
        except Malformed as error:
            channel.implausible += 1
            self._transport.complain(self.caller.device_id, str(error))
            return
        if kind == JSON:
            self._text(packet)
            return
        toc = packet[0]
        if (toc not in self._tocs or len(packet) > MAX_FRAME) and not self._is_of_the_session(toc, packet):
            channel.implausible += 1
            self._transport.complain(self.caller.device_id, "a binary frame that holds no Opus as its hello announced it")
            return
        self._sequence += 1
        self._transport.figures.received += 1
        channel.reception.next(link.heard_at)
        if session.state is not State.ENDED:
            session.receive_audio(self._sequence, packet)

    def _is_of_the_session(self, toc: int, packet: bytes) -> bool:
        if TOCS[toc].channels > self._channels or len(packet) > MAX_PACKET or not is_plausible(packet, self._duration):
            return False
        if not toc & 3:
            self._tocs |= {toc}
        return True
