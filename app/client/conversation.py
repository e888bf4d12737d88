"""What a device does between hello and goodbye: its state, its microphone, and what it makes of the server's messages."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import gevent
from gevent.event import AsyncResult
from gevent.pool import Group

from app.client.audio_path import AudioPath
from app.client.change import Change
from app.client.event import Event, OnEvent
from app.client.identity import Identity
from app.client.leg import Leg, LegFailed
from app.client.mqtt_link import MqttLink
from app.client.reply import Fate, Frame, Reply
from app.client.state import TRANSITIONS, State, Trigger
from app.client.tools import Tools
from app.client.websocket_link import WebSocketLink
from app.protocol.audio_packet import AudioPacket
from app.protocol.malformed import Malformed
from app.protocol.messages import (
    Abort,
    Alert,
    AudioParams,
    Features,
    FromServer,
    Goodbye,
    Listen,
    ListenMode,
    Llm,
    Mcp,
    Message,
    ServerHello,
    Stt,
    System,
    Tts,
    from_server,
)

CHANNEL_SECONDS = 120.0
"""A channel on which nothing came for so long is dead (PROTOCOL.md 1, step 7)."""


class Conversation:
    """A device as far as its session goes. `app.client.device.Device` adds how it gets one.

    ``state``, ``mode``, ``session_id``, ``channel`` (None without a session), ``reply`` (the one that is heard, or the last) may
    be read, ``tools`` be changed; ``change`` tells of every change of them but ``reply``'s frames.
    """

    def __init__(
        self,
        identity: Identity,
        audio: AudioParams,
        features: Features,
        *,
        on_event: OnEvent | None = None,
        clock: Callable[[], float] = time.monotonic,
        channel_seconds: float = CHANNEL_SECONDS,
    ) -> None:
        self.identity = identity
        self.audio = audio
        self.features = features
        self.clock = clock
        self.change = Change(clock)
        self.state = State.IDLE
        self.mode: ListenMode = "auto"
        self.session_id = ""
        self.channel: AudioPath | None = None
        self.reply = Reply(audio.frame_duration, audio.sample_rate)
        self._link: MqttLink | WebSocketLink | None = None
        self._answer: AsyncResult | None = None
        self._alert = ""
        self._on_event = on_event
        self._channel_seconds = channel_seconds
        self._last_received = 0.0
        self._watch: gevent.Greenlet | None = None
        self.tools = Tools(identity.board, identity.version)
        self._at_work = Group()

    # What a person does with it

    def start_listening(self, mode: ListenMode) -> None:
        """The microphone is on: `send_audio` sends. A reply that is being spoken is aborted."""
        if self.channel is None:
            self.emit("refused", trigger=Trigger.LISTEN.value, state=self.state.value)
            return
        if self.state is State.SPEAKING:
            self.abort()
        self.mode = mode
        if self._move(Trigger.LISTEN):
            self._listen(mode)

    def stop_listening(self) -> None:
        """The button is let go (manual mode)."""
        if self._move(Trigger.LISTEN_STOP):
            self._send(Listen(session_id=self.session_id, state="stop", mode=self.mode))
            self.emit("listen_stop")

    def detect(self, text: str) -> None:
        """The wake word ``text`` was heard."""
        self._send(Listen(session_id=self.session_id, state="detect", text=text))
        self.emit("listen_detect", text=text)

    def abort(self, reason: str = "") -> None:
        """Asks the server to end its reply now."""
        self._send(Abort(session_id=self.session_id, reason=reason))
        self.emit("abort", reason=reason)

    def send_audio(self, packet: bytes) -> bool:
        """Sends one Opus packet now. False: the microphone is off, and nothing was sent."""
        speaking = self.state is State.SPEAKING and self.mode == "realtime"
        if self.channel is None or not (speaking or self.state is State.LISTENING):
            return False
        self.channel.send(packet)
        return True

    def next_reply(self) -> Reply:
        """Begins to record a new reply and returns it."""
        old, channel = self.reply, self.channel
        self.reply = Reply(old.frame_duration_ms, old.sample_rate, channel.last_accepted if channel else 0)
        return self.reply

    def emit(self, name: str, **data: object) -> None:
        """Reports an event."""
        if self._on_event is not None:
            self._on_event(Event(name, self.clock(), data))

    # What comes from the server

    def _on_message(self, payload: bytes) -> None:
        self._last_received = self.clock()
        try:
            message = from_server(payload)
        except Malformed as error:
            self.emit("malformed", reason=str(error))
            self._fail_hello(payload, error)
        else:
            self._dispatch(message)
        self.change.tell()

    def _fail_hello(self, payload: bytes, error: Malformed) -> None:
        """A hello that cannot be read is an answer too: waiting on would hide what is wrong with it."""
        try:
            document = json.loads(payload)
        except ValueError:
            return
        if self._answer is not None and isinstance(document, dict) and document.get("type") == "hello":
            self._answer.set_exception(LegFailed(Leg.HELLO, f"the server's hello is not usable: {error}."))

    def _dispatch(self, message: FromServer) -> None:
        match message:
            case ServerHello():
                self._on_hello(message)
            case Tts():
                self._on_tts(message)
            case Goodbye():
                self._on_goodbye(message)
            case Mcp():
                self._on_mcp(message)
            case Alert():
                self._alert = f"{message.status}: {message.message}"
                self.emit("alert", status=message.status, message=message.message, emotion=message.emotion)
            case Stt():
                self.emit("stt", text=message.text)
            case Llm():
                self.emit("llm", emotion=message.emotion, text=message.text)
            case System():
                self.emit("system", command=message.command)
            case _:
                self.emit("message", type=message.type)

    def _on_hello(self, hello: ServerHello) -> None:
        if self._answer is None or self._answer.ready():
            self.emit("hello_ignored", session_id=hello.session_id)
            return
        self.session_id = hello.session_id  # messages for the session may follow before UDP is open
        audio = hello.audio_params
        self.emit(
            "hello_received", session_id=hello.session_id, sample_rate=audio.sample_rate, frame_duration=audio.frame_duration
        )
        self._answer.set(hello)

    def _on_tts(self, tts: Tts) -> None:
        self.emit(f"tts_{tts.state}", **({"text": tts.text} if tts.text is not None else {}))
        if self.channel is None:
            self.emit("refused", trigger=f"tts {tts.state}", state=self.state.value)
        elif tts.state == "start" and self._move(Trigger.TTS_START):
            if self.reply.complete:
                self.next_reply()
            self.reply.started_at = self.clock()
        elif tts.state == "sentence_start" and tts.text is not None:
            self.reply.texts.append(tts.text)
        elif tts.state == "stop":
            manual = self.mode == "manual"
            if self._move(Trigger.TTS_STOP_MANUAL if manual else Trigger.TTS_STOP):
                self.reply.stopped_at = self.clock()
                if not manual:
                    self._listen(self.mode)

    def _on_goodbye(self, goodbye: Goodbye) -> None:
        if self.channel is None or goodbye.session_id not in ("", self.session_id):
            self.emit("goodbye_ignored", session_id=goodbye.session_id)
            return
        self.emit("goodbye_received", session_id=goodbye.session_id)
        self._drop_channel()

    def _on_mcp(self, message: Mcp) -> None:
        payload = message.payload
        params = payload.get("params")
        called = {"tool": params.get("name"), "arguments": params.get("arguments")} if isinstance(params, dict) else {}
        method = str(payload.get("method", ""))
        self.emit("mcp", method=method, **(called if method == "tools/call" else {}))
        if self.features.mcp:
            self._at_work.spawn(self._answer_mcp, payload)

    def _answer_mcp(self, payload: Mapping[str, Any]) -> None:
        """Beside everything else, as tools of firmware run: a photo, and a tool made slow, take their time."""
        for seconds, response in self.tools.answers(payload):
            gevent.sleep(seconds)
            self._send(Mcp(session_id=self.session_id, payload=response))

    def _on_packet(self, arrival: float, packet: AudioPacket, payload: bytes) -> None:
        self._last_received = self.clock()
        reply = self.reply
        fate = Fate.DISCARDED
        if self.state is State.SPEAKING:
            fate = Fate.PLAYED if reply.playback.push(arrival) else Fate.OVERFLOWED
        reply.add(Frame(arrival, packet.sequence, packet.timestamp, payload, fate))
        if fate is Fate.PLAYED and reply.playback.played == 1:
            self.emit("first_audio", sequence=packet.sequence)

    def _on_link(self, name: str, data: Mapping[str, object]) -> None:
        self.emit(name, **data)
        self.change.tell()

    # Below all of it

    def _send(self, message: Message) -> bool:
        if self._link is not None and self._link.publish(message.encode()):
            return True
        self.emit("not_sent", type=message.type)
        return False

    def _listen(self, mode: ListenMode) -> None:
        self._send(Listen(session_id=self.session_id, state="start", mode=mode))
        self.emit("listen_start", mode=mode)

    def _move(self, trigger: Trigger) -> bool:
        """Takes the transition of the table. False: it has none, and the trigger is refused."""
        target = TRANSITIONS.get((self.state, trigger))
        if target is None:
            self.emit("refused", trigger=trigger.value, state=self.state.value)
            return False
        if target is not self.state:
            self.emit("state", before=self.state.value, after=target.value)
            self.state = target
        self.change.tell()
        return True

    def _look_whether_dead(self, channel: AudioPath) -> None:
        while self.channel is channel:
            remaining = self._last_received + self._channel_seconds - self.clock()
            if remaining <= 0:
                self.emit("channel_dead", seconds=self._channel_seconds)
                self._drop_channel()
                return
            gevent.sleep(remaining)

    def _take_channel(self, channel: AudioPath) -> None:
        offer = channel.offer
        self.channel, self.session_id = channel, offer.session_id
        self.reply = Reply(offer.frame_duration_ms, offer.sample_rate)
        channel.start()
        self._watch = gevent.spawn_later(self._channel_seconds, self._look_whether_dead, channel)
        self._move(Trigger.OPENED)

    def _drop_channel(self) -> None:
        channel, self.channel = self.channel, None
        watch, self._watch = self._watch, None
        self.session_id = ""
        if watch is not None and watch is not gevent.getcurrent():
            watch.kill(block=False)
        if channel is not None:
            channel.close()
        self._move(Trigger.CLOSED)
