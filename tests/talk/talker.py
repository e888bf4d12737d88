"""A device that talks with the assistant, and what the tests want to know of such a talk."""

from __future__ import annotations

import contextlib
import random
from array import array
from collections.abc import Iterator, Sequence

import gevent

from app.client.event import Event
from app.client.leg import LegFailed
from app.client.microphone import Microphone, silence_after
from app.client.reply import Reply
from app.opus.codec import Decoder
from app.protocol.messages import Listen, ListenMode
from tests.openai_server.process import OpenAiServer
from tests.openai_server.record import Record
from tests.system.devices import LAMP, TalkingDevice
from tests.system.running_server import RunningServer, wait_for

SPEECH = 200.0
"""RMS of 16-bit samples that no silence reaches."""
SILENCE = b"\x58"
SPEECH_BEGINS = 14
"""The packet of `LAMP` with which its speech does."""
PATIENCE = 20.0


class Talker(TalkingDevice):
    """``websocket``: by which way it comes; else MQTT and UDP."""

    def __init__(self, server: RunningServer, *, websocket: bool = False, aec: bool = False) -> None:
        super().__init__(server.ota_url, aec=aec)
        self._transport = "websocket" if websocket else "mqtt"
        self._microphone: Microphone | None = None

    def ask(self, packets: Sequence[bytes], mode: ListenMode = "manual") -> Reply:
        """A question, and its answer to its end. Raises AssertionError when there is none."""
        asked = len(self.events)
        try:
            return self.speak(packets, mode)
        except LegFailed as failure:
            seen = [(event.name, round(event.at - self.events[asked].at, 2), dict(event.data)) for event in self.events[asked:]]
            raise AssertionError(f"{failure}; it saw {seen}") from None

    def tell(self, packets: Sequence[bytes], mode: ListenMode = "manual") -> Reply:
        """A question, and no wait for its answer: the reply that may come is returned. In realtime the microphone stays on."""
        reply = self.next_reply()
        self.start_listening(mode)
        self.say_on(packets, mode)
        if mode == "manual":
            assert self._microphone is not None
            self._microphone.wait()
            self.stop_listening()
        return reply

    def say_on(self, packets: Sequence[bytes], mode: ListenMode = "realtime") -> None:
        """Goes on speaking into the microphone."""
        self.hush()
        tail = None if mode == "manual" else silence_after(packets)
        self._microphone = Microphone(self.send_audio, packets, self.audio.frame_duration, tail, self.clock)
        self._microphone.start()

    def hush(self) -> None:
        """Nothing is sent any more."""
        if self._microphone is not None:
            self._microphone.stop()

    def listen_again(self, mode: ListenMode = "manual") -> None:
        """A bare ``listen start``, without the abort that goes before it."""
        self._send(Listen(session_id=self.session_id, state="start", mode=mode))

    def after(self, name: str, since: Event | None) -> list[Event]:
        """The events of that name that came after ``since``."""
        return [event for event in self.of(name) if since is None or event.at > since.at]

    def texts(self, name: str) -> list[str]:
        return [str(event.data["text"]) for event in self.of(name)]

    def shutdown(self) -> None:
        self.hush()
        super().shutdown()


@contextlib.contextmanager
def talkers(server: RunningServer, count: int = 1, *, websocket: bool = False, aec: bool = False) -> Iterator[list[Talker]]:
    """So many, each with an open session; shut down at the end."""
    made = [Talker(server, websocket=websocket, aec=aec) for _ in range(count)]
    try:
        gevent.joinall([gevent.spawn(talker.hello) for talker in made], raise_error=True)
        yield made
    finally:
        for talker in made:
            talker.shutdown()


@contextlib.contextmanager
def one_talker(server: RunningServer, *, websocket: bool = False, aec: bool = False) -> Iterator[Talker]:
    with talkers(server, 1, websocket=websocket, aec=aec) as made:
        yield made[0]


def spoken(openai: OpenAiServer, text: str, packets: int = 12) -> list[bytes]:
    """Speech that the stand-in, and nobody else, understands as ``text``.

    Each packet begins as one of a person's: what tells speech, and voice, from silence is in there.
    """
    source = random.Random(text)
    made = [packet[:4] + source.randbytes(60) for packet in LAMP[SPEECH_BEGINS : SPEECH_BEGINS + packets]]
    openai.know(text, text, made)
    return made


def loudness(reply: Reply) -> float:
    """RMS of what was heard."""
    decoder = Decoder(reply.sample_rate)
    samples = array("h", b"".join([decoder.decode(packet) for packet in reply.heard]))
    return (sum(sample * sample for sample in samples) / max(1, len(samples))) ** 0.5


def arrived(openai: OpenAiServer, route: str, subject: str = "", seconds: float = PATIENCE) -> Record:
    """The first request of that route about ``subject``; waits until it is there."""
    return wait_for(lambda: find(openai, route, subject), seconds, f"a request to {route} about {subject!r}")


def find(openai: OpenAiServer, route: str, subject: str = "") -> Record | None:
    return next((record for record in openai.records(route) if subject in record.subject), None)


def left(openai: OpenAiServer, route: str, subject: str = "", seconds: float = PATIENCE) -> Record:
    """The same, once its client has closed it before its end."""

    def closed() -> Record | None:
        record = find(openai, route, subject)
        return record if record is not None and record.gone_at is not None else None

    return wait_for(closed, seconds, f"the request to {route} about {subject!r} is closed")


def said_before(openai: OpenAiServer, subject: str) -> list[tuple[str, str]]:
    """Role and text of what the mind was told of the conversation before it was told ``subject``; the system's prompt aside."""
    messages = arrived(openai, "chat", subject).facts["messages"]
    return [(one["role"], one["content"]) for one in messages if one["role"] != "system"][:-1]
