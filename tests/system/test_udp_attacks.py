"""Datagrams of strangers: counted, and without effect (PROTOCOL.md 5)."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import gevent
import pytest

from app.client.audio_channel import AudioChannel
from app.protocol.audio_packet import AudioPacket
from app.protocol.cipher import SessionCipher
from tests.shared import packets_of
from tests.system.devices import LAMP, SHORT, TalkingDevice, one_device
from tests.system.running_server import RunningServer, wait_for

SSRC = slice(4, 8)
NOISE = bytes.fromhex("a7") * 60
SPOKEN = packets_of("weather.opusp")[8:25]
"""A second of speech."""


class Stranger:
    """A socket of its own that sends whatever it likes and keeps what comes."""

    def __init__(self, server: RunningServer) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self._target = ("127.0.0.1", server.udp_port)

    def send(self, datagram: bytes) -> None:
        self.socket.sendto(datagram, self._target)

    def heard(self) -> list[bytes]:
        datagrams = []
        while True:
            try:
                datagrams.append(self.socket.recv(2048))
            except BlockingIOError:
                return datagrams


@pytest.fixture
def stranger(server: RunningServer) -> Iterator[Stranger]:
    made = Stranger(server)
    yield made
    made.socket.close()


@pytest.fixture
def device(server: RunningServer) -> Iterator[TalkingDevice]:
    with one_device(server) as made:
        made.hello()
        yield made


def ssrc_of(channel: AudioChannel) -> int:
    return int.from_bytes(channel.offer.nonce[SSRC], "big")


def sealed(channel: AudioChannel, sequence: int, packet: bytes, key: bytes = b"") -> bytes:
    """The datagram that this device sends for ``packet`` as number ``sequence``."""
    bare = AudioPacket(ssrc_of(channel), 0, sequence, packet)
    return bare.header + SessionCipher(key or channel.offer.key).apply(bare.header, packet)


def from_home(channel: AudioChannel, datagram: bytes) -> None:
    """Sends from the device's own address: what an attacker does who forges his."""
    channel._socket.send(datagram)


def counted(server: RunningServer, before: dict[str, int], **more: int) -> None:
    """Waits until exactly these verdicts have been added to ``before``."""
    wanted = {verdict: count + more.get(verdict, 0) for verdict, count in before.items()}
    wait_for(
        lambda: sum(server.verdicts().values()) >= sum(wanted.values()), what=f"{before} and {more}; now {server.verdicts()}"
    )
    assert server.verdicts() == wanted, f"before: {before}"


def listen(server: RunningServer, device: TalkingDevice) -> None:
    """The device listens, and the server knows: of the message behind it there is a line in the log."""
    line = f"{device.identity.mac}: a text came in place of speech"
    before = server.log().count(line)
    device.start_listening("manual")
    device.detect("hello")
    wait_for(lambda: server.log().count(line) > before, what=line)


def listen_and_send(server: RunningServer, device: TalkingDevice, packets: list[bytes]) -> None:
    listen(server, device)
    for packet in packets:
        device.send_audio(packet)


def hear_the_rest(device: TalkingDevice, count: int) -> list[bytes]:
    """Ends the device's turn and returns its reply of ``count`` packets."""
    reply = device.next_reply()
    device.stop_listening()
    wait_for(lambda: reply.complete, 5 + count * 0.06, "the reply")
    return reply.heard


def test_malformed_and_foreign_datagrams_are_counted_and_change_nothing(
    server: RunningServer, device: TalkingDevice, stranger: Stranger
) -> None:
    before = server.verdicts()
    listen_and_send(server, device, SHORT[:5])
    good = sealed(device.open, 6, SHORT[5])
    downlink = bytearray(good)
    downlink[1] = 0x80
    malformed = [
        b"",
        b"\x01",
        good[:15],
        good[:16],
        good[:-1],
        good + b"\0",
        b"\x02" + good[1:],
        bytes(downlink),
        os.urandom(3) * 500,
        b"M-SEARCH * HTTP/1.1\r\n\r\n",
    ]
    for datagram in malformed:
        stranger.send(datagram)
        from_home(device.open, datagram)
    unknown = good[:4] + os.urandom(4) + good[8:]
    stranger.send(unknown)
    for packet in SHORT[5:]:
        device.send_audio(packet)
    counted(server, before, accepted=len(SHORT), malformed=2 * len(malformed), unknown_ssrc=1)
    assert hear_the_rest(device, len(SHORT)) == SHORT
    assert stranger.heard() == []


def test_replayed_packets_are_counted_and_change_nothing(
    server: RunningServer, device: TalkingDevice, stranger: Stranger
) -> None:
    before = server.verdicts()
    listen_and_send(server, device, SHORT)
    copies = [sealed(device.open, sequence, packet) for sequence, packet in enumerate(SHORT, 1)]
    for copy in copies:
        stranger.send(copy)
        from_home(device.open, copy)
    counted(server, before, accepted=len(SHORT), replayed=2 * len(SHORT))
    assert hear_the_rest(device, len(SHORT)) == SHORT
    assert stranger.heard() == []


def test_reordered_packets_are_put_in_their_place(server: RunningServer, device: TalkingDevice) -> None:
    before, metrics = server.verdicts(), server.metrics()
    listen(server, device)
    order = [1, 3, 2, 6, 5, 4, 8, 7, 10, 9]
    for sequence in order:
        from_home(device.open, sealed(device.open, sequence, SHORT[sequence - 1]))
    counted(server, before, accepted=len(SHORT))
    assert hear_the_rest(device, len(SHORT)) == SHORT
    after = server.metrics()
    assert after["udp_reordered_total"] - metrics["udp_reordered_total"] == 5


def test_packets_under_a_wrong_key_are_counted_and_change_nothing(
    server: RunningServer, device: TalkingDevice, stranger: Stranger
) -> None:
    before = server.verdicts()
    listen_and_send(server, device, SHORT[:5])
    channel = device.open
    # Keys under which the noise would not by chance be Opus as this session speaks it: then it could not be told from its own.
    keys = [bytes([number]) * 16 for number in range(1, 60)]
    forged = [sealed(channel, 6, NOISE, key) for key in keys]
    forged = [datagram for datagram in forged if SessionCipher(channel.offer.key).apply(datagram[:16], datagram[16:])[0] & 3]
    for datagram in forged:
        stranger.send(datagram)
        from_home(channel, datagram)
    wait_for(lambda: sum(server.verdicts().values()) - sum(before.values()) == 5 + 2 * len(forged), what="all are counted")
    verdicts = server.verdicts()
    assert verdicts["accepted"] - before["accepted"] == 5
    assert verdicts["implausible"] + verdicts["held"] - before["implausible"] - before["held"] == 2 * len(forged)
    for packet in SHORT[5:]:
        device.send_audio(packet)
    assert hear_the_rest(device, len(SHORT)) == SHORT
    assert stranger.heard() == []


def start_a_reply(server: RunningServer, device: TalkingDevice, packets: list[bytes]) -> None:
    listen_and_send(server, device, packets)
    device.next_reply()
    device.stop_listening()
    device.wait_for_event("first_audio")


def end_of_reply(device: TalkingDevice, packets: list[bytes]) -> None:
    wait_for(lambda: device.reply.complete, 5 + len(packets) * 0.06, "the end of the reply")
    assert device.reply.heard == packets
    assert device.reply.lost == 0


def test_a_thief_with_garbage_gets_no_downlink_packet(server: RunningServer, device: TalkingDevice, stranger: Stranger) -> None:
    start_a_reply(server, device, SPOKEN)
    sequence = len(SPOKEN)
    while not device.reply.complete:
        for _ in range(50):
            sequence += 1
            bare = AudioPacket(ssrc_of(device.open), 0, sequence, os.urandom(40))
            stranger.send(bare.encode())
        gevent.sleep(0.02)
    end_of_reply(device, SPOKEN)
    assert stranger.heard() == []
    assert device.speak(SHORT[:4]).heard == SHORT[:4]


def test_a_thief_who_tries_every_first_byte_gets_no_downlink_packet(
    server: RunningServer, device: TalkingDevice, stranger: Stranger
) -> None:
    roamed = server.metrics()["udp_roamed_total"]
    start_a_reply(server, device, SPOKEN)
    for sequence in range(len(SPOKEN) + 1, len(SPOKEN) + 9):
        for guess in range(256):
            stranger.send(AudioPacket(ssrc_of(device.open), 0, sequence, bytes([guess])).encode())
        gevent.sleep(0.01)
    end_of_reply(device, SPOKEN)
    assert stranger.heard() == []
    assert server.metrics()["udp_roamed_total"] == roamed
    assert device.speak(SHORT[:4]).heard == SHORT[:4]


def test_a_thief_who_replays_what_he_captured_gets_no_downlink_packet(
    server: RunningServer, device: TalkingDevice, stranger: Stranger
) -> None:
    start_a_reply(server, device, SPOKEN)
    captured = [sealed(device.open, sequence, packet) for sequence, packet in enumerate(SPOKEN, 1)]
    while not device.reply.complete:
        for datagram in captured:
            stranger.send(datagram)
            stranger.send(datagram[:12] + (int.from_bytes(datagram[12:16], "big") + 100).to_bytes(4, "big") + datagram[16:])
        gevent.sleep(0.05)
    end_of_reply(device, SPOKEN)
    assert stranger.heard() == []
    assert device.speak(SHORT[:4]).heard == SHORT[:4]


class RacedDevice(TalkingDevice):
    """Somebody on its way copies each of its packets but the first, and his copy is always there before it."""

    thief: Stranger

    def send_audio(self, packet: bytes) -> bool:
        if self.channel is not None and self.channel._sequence:
            self.thief.send(sealed(self.channel, self.channel._sequence + 1, packet))
        return super().send_audio(packet)


def test_a_thief_whose_copies_are_faster_gets_no_downlink_packet(server: RunningServer, stranger: Stranger) -> None:
    raced = RacedDevice(server.ota_url)
    raced.thief = stranger
    try:
        raced.hello()
        reply = raced.speak(SPOKEN, "realtime")  # the microphone stays on through the reply, and so does the race
        assert reply.offset_in_sent is not None
        assert len(reply.heard) >= len(SPOKEN)
        assert reply.lost == 0
    finally:
        raced.shutdown()
    assert stranger.heard() == []


def test_a_device_that_roams_is_followed_and_loses_no_audio(server: RunningServer, device: TalkingDevice) -> None:
    before = server.metrics()["udp_roamed_total"]
    channel = device.open
    listen_and_send(server, device, LAMP[:8])
    wait_for(lambda: server.verdicts()["accepted"])
    new = Stranger(server)
    with new.socket:
        for sequence, packet in enumerate(LAMP[8:24], 9):
            new.send(sealed(channel, sequence, packet))
        reply_to(device)
        wait_for(lambda: len(arrived) == 24 if (arrived := collect(new)) else False, what="the reply at the new address")
        cipher = SessionCipher(channel.offer.key)
        heard = [cipher.apply(datagram[:16], datagram[16:]) for datagram in collect(new)]
        assert heard == LAMP[:24]
        assert device.reply.frames == []
        assert server.metrics()["udp_roamed_total"] == before + 1


def reply_to(device: TalkingDevice) -> None:
    device.next_reply()
    device.stop_listening()


def collect(stranger: Stranger) -> list[bytes]:
    """Everything it has heard up to now."""
    kept: list[bytes] = stranger.__dict__.setdefault("kept", [])
    kept.extend(stranger.heard())
    return kept


def test_a_device_that_roams_while_it_listens_to_a_reply_gets_the_rest_at_its_new_address(
    server: RunningServer, device: TalkingDevice
) -> None:
    channel = device.open
    start_a_reply(server, device, SPOKEN)
    new = Stranger(server)
    with new.socket:
        for number in range(4):
            new.send(sealed(channel, len(SPOKEN) + 1 + number, SPOKEN[number]))
        wait_for(lambda: len(collect(new)) + len(device.reply.frames) == len(SPOKEN), what="the whole reply at two addresses")
        assert collect(new)


def test_reflected_downlink_packets_are_refused(server: RunningServer, device: TalkingDevice, stranger: Stranger) -> None:
    listen_and_send(server, device, SHORT)
    device.next_reply()
    received: list[bytes] = []
    channel = device.open
    accept = channel._accept

    def keep(arrival: float, datagram: bytes) -> None:
        received.append(datagram)
        accept(arrival, datagram)

    channel._accept = keep  # type: ignore[method-assign]
    device.stop_listening()
    end_of_reply(device, SHORT)
    before = server.verdicts()
    for datagram in received:
        from_home(channel, datagram)
        stranger.send(datagram)
    counted(server, before, malformed=2 * len(SHORT))
    assert stranger.heard() == []


def test_packets_of_a_session_that_has_ended_are_unknown(
    server: RunningServer, device: TalkingDevice, stranger: Stranger
) -> None:
    channel = device.open
    session = device.session_id
    device.close_channel()
    wait_for(lambda: f"session {session} ended" in server.log(), what="the session has ended")
    before = server.verdicts()
    stranger.send(sealed(channel, 1, SHORT[0]))
    counted(server, before, unknown_ssrc=1)
