"""One connection as a socket: what waits, who does not read, who is silent; on socket pairs and a clock that a test turns."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.journal import Journal
from app.opus.packet import MAX_PACKET
from app.protocol.ws_frames import BINARY, CLOSE, PING, PONG, TEXT, Frame, FrameReader, encode_masked, read_close
from app.sections import Sessions
from app.session.caller import WebSocketCaller
from app.session.registry import Registry
from app.session.session import Session
from app.session.state import Event
from app.timers import Timers
from app.transport.websocket import HELLO_SECONDS, PING_SECONDS, SILENCE_SECONDS, WebSocketTransport
from app.transport.websocket_link import CLOSING_SECONDS, FRAMES_AT_ONCE, MAX_OUTBOX_BYTES, STALL_SECONDS
from app.transport.websocket_loop import FAIR_SECONDS
from tests.session.recording_channel import FakeClock, RecordingConversation
from tests.waiting import eventually

MAC = "aa:bb:cc:dd:ee:ff"
GREETING = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"
OPUS = b"\x58" + bytes(50)
MASK = bytes(4)


class House:
    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.timers = Timers(clock=self.clock)
        self.conversations: list[RecordingConversation] = []
        self.registry = Registry(
            Sessions(max=2, hellos_per_minute=3), self.timers, Journal(directory / "sessions.jsonl", 10), self._converse
        )
        self.transport = WebSocketTransport(self.registry, self.timers, max_connections=2)
        self.transport.start()

    def _converse(self, _session: Session) -> RecordingConversation:
        self.conversations.append(RecordingConversation())
        return self.conversations[-1]

    def connect(self, device_id: str = MAC, *, version: int = 1, gateway: bool = False) -> Device:
        ours, theirs = socket.socketpair()
        self.transport.accept(theirs.detach(), GREETING, WebSocketCaller(device_id, version, "192.0.2.1", gateway))
        device = Device(ours)
        assert device.sock.recv(len(GREETING)) == GREETING
        return device

    def settle(self) -> None:
        """Everything that was sent is handled."""
        loop = self.transport._loop
        for _ in range(5):
            gevent.sleep(0.002)
        eventually(lambda: not loop.unfinished and not loop._epoll.poll(0, 1), what="nothing is left to be handled")

    def stall(self, seconds: float) -> None:
        """So much time passes, the loop looking every second."""
        for _ in range(round(seconds)):
            self.clock.now += 1
            self.transport._loop.check()


class Device:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        sock.setblocking(False)
        self._reader = FrameReader(masked=False)

    def send(self, opcode: int, payload: bytes) -> None:
        self.sock.send(encode_masked(opcode, payload, os.urandom(4)))

    def say(self, **message: object) -> None:
        self.send(TEXT, json.dumps(message).encode())

    def hello(self, **more: object) -> None:
        self.say(**{"type": "hello", "transport": "websocket", "version": 1, **more})

    def frames(self) -> list[Frame]:
        """All that has arrived."""
        data = b""
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while piece := self.sock.recv(65_536):
                data += piece
        return self._reader.feed(data)

    def closed_with(self) -> int:
        return next((read_close(payload)[0] for opcode, payload in self.frames() if opcode == CLOSE), 0)  # type: ignore[index]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.transport.stop(0)


def test_frames_arrive_numbered_and_only_opus_of_the_hello_counts(house: House) -> None:
    device = house.connect()
    device.hello()
    for payload in (OPUS, b"\x08" + bytes(20), OPUS + bytes(2_000), OPUS):
        device.send(BINARY, payload)
    house.settle()
    assert house.conversations[0].events == [(1, OPUS), (2, OPUS)]
    assert house.transport.malformed == 2


def test_a_socket_that_breaks_off_ends_its_session(house: House) -> None:
    device = house.connect()
    device.hello()
    house.settle()
    assert len(house.registry) == 1
    device.sock.close()
    house.settle()
    assert len(house.registry) == 0
    assert house.registry.ended[Event.LOST.value] == 1
    assert house.transport.count().closed["1006"] == 1
    assert house.transport.connections == 0


def test_a_device_that_takes_nothing_for_ten_seconds_is_closed(house: House) -> None:
    deaf, other = house.connect(), house.connect("aa:bb:cc:dd:ee:00")
    deaf.hello()
    other.hello()
    house.settle()
    session = house.registry.of_device(MAC)
    assert session is not None
    # More than the sockets' buffers, less than the outbox.
    while not house.transport._by_device[MAC].link._outbox:  # type: ignore[union-attr]
        session.channel.send_audio(bytes(1_000))
    other.frames()
    house.stall(STALL_SECONDS - 1)
    assert house.transport.count().not_reading == 0
    house.stall(2)
    house.settle()
    assert house.transport.count().not_reading == 1
    assert house.transport.count().closed["1008"] == 1
    assert house.registry.of_device(MAC) is None
    assert house.registry.of_device("aa:bb:cc:dd:ee:00") is not None
    house.stall(CLOSING_SECONDS + 1)
    assert house.transport.connections == 1
    deaf.frames()


def test_a_device_that_reads_slowly_stays(house: House) -> None:
    device = house.connect()
    device.hello()
    house.settle()
    session = house.registry.of_device(MAC)
    assert session is not None
    for _ in range(40):
        session.channel.send_audio(bytes(10_000))
        house.clock.now += 1
        house.transport._loop.check()
        device.frames()
        house.settle()
    assert house.transport.count().not_reading == 0


def test_an_outbox_that_overflows_closes_its_connection_and_holds_no_more(house: House) -> None:
    device = house.connect()
    device.hello()
    house.settle()
    session = house.registry.of_device(MAC)
    assert session is not None
    link = house.transport._by_device[MAC].link
    assert link is not None
    for _ in range(2_000):
        session.channel.send_audio(bytes(1_000))
        assert link._outbox_bytes <= MAX_OUTBOX_BYTES + 1_010
    assert house.transport.count().not_reading == 1
    assert link._outbox_bytes < 3_000
    received = []
    for _ in range(50):
        received += device.frames()
        house.settle()
    assert received[-1][0] == CLOSE, "what it begins to read at last ends with the reason"
    assert read_close(received[-1][1]) == (1008, "you do not read what is sent to you")


def test_a_device_that_floods_gets_one_turn_like_the_others(house: House) -> None:
    flooder, other = house.connect(), house.connect("aa:bb:cc:dd:ee:00")
    flooder.hello()
    other.hello()
    house.settle()
    flooder.sock.send(encode_masked(TEXT, b"x", MASK) * 1_000)
    other.send(BINARY, OPUS)
    while not house.conversations[1].events:
        gevent.sleep(0)
    assert house.transport.malformed <= 2 * FRAMES_AT_ONCE
    eventually(lambda: house.transport.malformed == 1_000, what="nothing of it is lost")


def test_costly_frames_of_many_devices_do_not_keep_the_others_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [house.connect(), house.connect("aa:bb:cc:dd:ee:00")]
    for device in devices:
        device.hello()
    house.settle()

    def costly(_conversation: RecordingConversation, sequence: int, packet: bytes) -> None:
        house.clock.now += 2 * FAIR_SECONDS
        heard.append(sequence)

    heard: list[int] = []
    seen: list[int] = []
    monkeypatch.setattr(RecordingConversation, "on_audio", costly)
    for device in devices:
        device.send(BINARY, OPUS)
    while len(heard) < len(devices):
        gevent.sleep(0)
        seen.append(len(heard))
    assert 1 in seen, "between the two the rest of the server had its turn"


def test_a_flooder_s_last_frames_are_handled_before_its_end(house: House) -> None:
    device = house.connect()
    device.hello()
    house.settle()
    device.sock.send(encode_masked(BINARY, OPUS, MASK) * 100)
    device.sock.close()
    house.settle()
    assert len(house.conversations[0].events) == 100
    assert house.registry.ended[Event.LOST.value] == 1


def test_a_silent_device_is_pinged_and_then_closed(house: House) -> None:
    device = house.connect()
    device.hello()
    house.settle()
    device.frames()
    house.clock.now += PING_SECONDS
    assert [opcode for opcode, _ in eventually(device.frames)] == [PING]
    house.clock.now += SILENCE_SECONDS - PING_SECONDS
    assert eventually(device.closed_with) == 1008


def test_a_connection_without_a_hello_is_closed_and_one_with_stays(house: House) -> None:
    mute, talking = house.connect(), house.connect("aa:bb:cc:dd:ee:00")
    talking.hello()
    house.settle()
    house.clock.now += HELLO_SECONDS
    house.timers.run_due()
    assert mute.closed_with() == 4002
    assert talking.closed_with() == 0


def test_too_many_hellos_and_too_many_devices_are_refused_in_time(house: House) -> None:
    device = house.connect()
    for _ in range(4):
        device.hello()
    house.settle()
    assert device.closed_with() == 1013
    assert house.transport.hellos["refused_rate"] == 1
    house.connect("aa:bb:cc:dd:ee:01")
    assert house.transport.room() == "full"


def test_a_message_that_only_holds_the_word_hello_does_not_end_the_connection(house: House) -> None:
    device = house.connect()
    device.hello()
    device.say(type="listen", state="detect", text="hello", mode="loud")
    house.settle()
    assert device.closed_with() == 0
    assert len(house.registry) == 1
    assert house.transport.hellos["refused_malformed"] == 0


MESSAGES = st.one_of(
    st.binary(max_size=80),
    st.builds(
        lambda fields: json.dumps({"type": "hello", **fields}).encode(),
        st.dictionaries(
            st.sampled_from(["version", "transport", "audio_params", "features", "session_id"]),
            st.one_of(
                st.none(), st.integers(), st.text(max_size=10), st.booleans(), st.dictionaries(st.text(max_size=5), st.integers())
            ),
            max_size=4,
        ),
    ),
    st.builds(
        lambda kind, state: json.dumps({"type": kind, "state": state, "payload": {}}).encode(),
        st.sampled_from(["listen", "abort", "mcp", "goodbye", "iot", "x"]),
        st.sampled_from(["start", "stop", "detect", 1]),
    ),
)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([TEXT, BINARY, PING, CLOSE]), MESSAGES), max_size=8), st.integers(1, 3), st.booleans())
def test_whatever_a_device_sends_the_server_goes_on(frames: list[Frame], version: int, gateway: bool) -> None:
    import logging
    import tempfile

    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as directory:
        house = House(Path(directory))
        try:
            device = house.connect(version=version, gateway=gateway)
            for opcode, payload in frames:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    device.send(opcode, payload)
            house.settle()
            assert house.transport.hellos["failed"] == 0
            other = house.connect("aa:bb:cc:dd:ee:00")
            other.hello()
            house.settle()
            assert house.registry.of_device("aa:bb:cc:dd:ee:00") is not None
        finally:
            house.transport.stop(0)
            logging.disable(logging.NOTSET)


# What is measured and noted of a connection


def pinged(house: House) -> tuple[Device, Session]:
    device = house.connect()
    device.hello()
    house.settle()
    link = house.transport._by_device[MAC].link
    assert link is not None
    link.ping(house.clock())
    session = house.registry.of_device(MAC)
    assert session is not None
    return device, session


def test_a_ping_and_its_pong_measure_the_way(house: House) -> None:
    device, session = pinged(house)
    house.clock.now += 0.05
    device.send(PONG, b"")
    house.settle()
    assert session.timings.latency_ms == pytest.approx(50)


def test_a_pong_that_nobody_asked_for_measures_nothing(house: House) -> None:
    device, session = pinged(house)
    device.send(PONG, b"")
    device.send(PONG, b"")
    house.settle()
    assert session.timings.round_trips == 1


def test_a_gateways_pong_says_nothing_of_the_device(house: House) -> None:
    gateway = house.connect(gateway=True)
    gateway.hello(version=2)
    house.settle()
    link = house.transport._by_device[MAC].link
    session = house.registry.of_device(MAC)
    assert link is not None
    assert session is not None
    link.ping(house.clock())
    gateway.send(PONG, b"")
    house.settle()
    assert session.timings.round_trips == 0


def test_frames_that_come_are_received_and_garbled_ones_are_told_apart(house: House) -> None:
    device = house.connect()
    device.hello()
    for payload in (OPUS, b"\x08" + bytes(20), OPUS):
        device.send(BINARY, payload)
    house.settle()
    session = house.registry.of_device(MAC)
    assert session is not None
    channel = session.channel
    assert (channel.reception.packets, channel.reception.missing, channel.implausible) == (2, 0, 1)
    assert channel.reception.first_at == house.clock.now
    assert (channel.route.transport, channel.route.device) == ("websocket", "192.0.2.1")


def test_a_packet_that_is_mostly_padding_is_no_audio(house: House) -> None:
    def padded(lengths: int) -> bytes:
        return bytes([OPUS[0] | 3, 0x41]) + b"\xff" * lengths + b"\x00" + OPUS[1:] + bytes(254 * lengths)

    device = house.connect()
    device.hello()
    for lengths in (1, MAX_PACKET // 254 + 1):
        device.send(BINARY, padded(lengths))
    house.settle()
    session = house.registry.of_device(MAC)
    assert session is not None
    assert (session.channel.reception.packets, session.channel.implausible) == (1, 1)


def test_frames_that_leave_are_counted(house: House) -> None:
    device = house.connect()
    device.hello()
    house.settle()
    session = house.registry.of_device(MAC)
    assert session is not None
    for sealed in session.channel.seal_audio([OPUS, OPUS]):
        session.channel.send_audio(sealed)
    assert session.channel.sent == 2


def test_a_connection_is_noted_while_it_is_open_and_after(house: House) -> None:
    device = house.connect()
    trail = house.registry.trails.of(MAC)
    assert trail.websocket is not None
    assert trail.websocket.code is None
    device.send(CLOSE, b"\x03\xe8")
    house.settle()
    assert trail.websocket.code == 1000


def test_a_newer_connection_of_the_device_is_the_one_that_is_noted(house: House) -> None:
    connections = [house.connect(), house.connect()]
    house.settle()
    assert connections[0].closed_with() == 4001
    trail = house.registry.trails.of(MAC)
    assert trail.websocket is not None
    assert trail.websocket.code is None
