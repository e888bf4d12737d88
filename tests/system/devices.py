"""Software devices for the end-to-end tests, many at a time in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent

from app.client.audio_channel import AudioChannel
from app.client.device import Device
from app.client.event import Event
from app.client.identity import Identity
from app.client.mqtt_settings import MqttSettings
from app.client.reply import Reply
from app.client.say import say
from app.protocol.messages import AudioParams, Features, ListenMode
from tests.shared import packets_of
from tests.system.running_server import RunningServer, wait_for

LAMP = packets_of("lamp.opusp")
SHORT = LAMP[14:24]
"""Ten packets of speech, 0.6 s."""
LOOSE_MS = 1000.0
"""Far above what is right: the machine may be busy. The benchmark measures what is right."""
SLIGHT_MS = 100.0
"""Less than the head start of a reply, so that a ``tts stop`` behind the last frame sent is noticed."""


class TalkingDevice(Device):
    """A device that remembers its events."""

    def __init__(self, ota_url: str = "", *, mqtt: MqttSettings | None = None, frame_ms: int = 60, aec: bool = False) -> None:
        self.events: list[Event] = []
        super().__init__(
            Identity.fresh(),
            ota_url=ota_url,
            mqtt=mqtt,
            audio=AudioParams(frame_duration=frame_ms),
            features=Features(mcp=True, aec=aec),
            on_event=self.events.append,
        )

    @property
    def open(self) -> AudioChannel:
        """The channel of the present session."""
        assert self.channel is not None, "no session"
        return self.channel

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def of(self, name: str) -> list[Event]:
        return [event for event in self.events if event.name == name]

    def hello(self) -> AudioChannel:
        """From nothing to an open channel."""
        self.connect(patient=True)
        return self.open_channel()

    def speak(self, packets: Sequence[bytes], mode: ListenMode = "manual") -> Reply:
        """One question and its reply."""
        return say(self, packets, mode)

    def wait_for_event(self, name: str, seconds: float = 20.0, count: int = 1) -> Event:
        """The ``count``-th event of that name."""
        try:
            wait_for(lambda: len(self.of(name)) >= count, seconds, name)
        except AssertionError as error:
            raise AssertionError(f"{error}; there were {self.names()}") from None
        return self.of(name)[count - 1]


@contextlib.contextmanager
def devices(server: RunningServer, count: int = 1, **how: Any) -> Iterator[list[TalkingDevice]]:
    """So many devices of this server; shut down at the end."""
    made = [TalkingDevice(server.ota_url, **how) for _ in range(count)]
    try:
        yield made
    finally:
        for device in made:
            device.shutdown()


@contextlib.contextmanager
def one_device(server: RunningServer, **how: Any) -> Iterator[TalkingDevice]:
    with devices(server, 1, **how) as made:
        yield made[0]


def check_in_time(reply: Reply) -> None:
    """Every frame came when it had to be played, and ``tts stop`` after the last one was."""
    late = max(reply.lateness_ms)
    assert late < LOOSE_MS, reply.summary()
    assert reply.stop_margin_ms is not None, reply.summary()
    # Where this process itself got its frames late, its play-out is behind the server's.
    assert reply.stop_margin_ms > -late - SLIGHT_MS, reply.summary()


def together(jobs: Sequence[Callable[[], Any]], seconds: float = 60.0) -> list[Any]:
    """The results of ``jobs``, run at the same time; raises what one of them raised."""
    greenlets = [gevent.spawn(job) for job in jobs]
    gevent.joinall(greenlets, timeout=seconds, raise_error=True)
    assert all(greenlet.ready() for greenlet in greenlets), "not done in time"
    return [greenlet.value for greenlet in greenlets]
