"""The UDP server on a real socket."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from app.protocol.audio_packet import HEADER_SIZE, AudioPacket
from app.sections import Udp
from app.transport.udp import AT_ONCE, FAIR_SHARE, FAIR_SHARE_SECONDS, MAX_DATAGRAM, UdpServer
from tests.ports import free_port
from tests.system.running_server import wait_for
from tests.transport.uplink_device import SSRC, UplinkDevice, opus


def started(host: str = "127.0.0.1", buffer_bytes: int = 1 << 20) -> UdpServer:
    server = UdpServer(Udp(listen_host=host, listen_port=free_port(), receive_buffer_bytes=buffer_bytes))
    server.start()
    wait_for(lambda: server.readiness() is None, what="the port is bound")
    return server


@pytest.fixture
def server() -> Iterator[UdpServer]:
    made = started()
    yield made
    made.stop()


@pytest.fixture
def sock(server: UdpServer) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.connect(("127.0.0.1", server.port))
        made.setblocking(False)
        yield made


def arrives(server: UdpServer, field: str, count: int) -> None:
    wait_for(lambda: getattr(server.figures, field) >= count, what=f"{field} {getattr(server.figures, field)} of {count}")
    assert getattr(server.figures, field) == count


def with_leg(server: UdpServer) -> UplinkDevice:
    device = UplinkDevice()
    device.leg._figures = server.figures
    server.add(device.leg)
    return device


def test_packets_reach_the_leg_of_their_ssrc(server: UdpServer, sock: socket.socket) -> None:
    device = with_leg(server)
    for sequence in range(1, 301):
        sock.send(device.datagram(sequence, opus(sequence)))
    arrives(server, "accepted", 300)
    assert device.delivered == [(number, opus(number)) for number in range(1, 301)]
    assert device.leg.address == sock.getsockname()


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x01",
        bytes(15),
        bytes(16),
        bytes(17),
        AudioPacket(SSRC, 0, 1, b"abc").encode()[:-1],
        AudioPacket(SSRC, 0, 1, b"abc").encode() + b"x",
        AudioPacket(SSRC, 0, 1, b"abc", flags=0x80).encode(),
        b"\x02" + AudioPacket(SSRC, 0, 1, b"abc").encode()[1:],
        AudioPacket(SSRC, 0, 1, bytes(MAX_DATAGRAM - HEADER_SIZE)).encode(),
        AudioPacket(SSRC, 0, 1, bytes(MAX_DATAGRAM - HEADER_SIZE)).encode() + b"what is cut off on receipt",
    ],
    ids=lambda datagram: f"{len(datagram)} bytes",
)
def test_malformed_datagrams_are_counted(server: UdpServer, sock: socket.socket, datagram: bytes) -> None:
    device = with_leg(server)
    sock.send(datagram)
    arrives(server, "malformed", 1)
    assert device.heard == []


def test_unknown_and_removed_ssrcs_are_counted(server: UdpServer, sock: socket.socket) -> None:
    device = with_leg(server)
    server.remove(device.leg)
    server.remove(device.leg)
    sock.send(device.datagram(1, opus(1)))
    arrives(server, "unknown_ssrc", 1)
    assert device.heard == []


def test_a_leg_that_fails_does_not_stop_the_others(server: UdpServer, sock: socket.socket) -> None:
    device = with_leg(server)

    def fail(_sequence: int, _packet: bytes) -> None:
        raise RuntimeError("a test")

    device.leg._deliver = fail
    sock.send(device.datagram(1, opus(1)))
    sock.send(b"x")
    arrives(server, "malformed", 1)
    assert server.readiness() is None


def test_downlink_goes_to_where_the_device_was_heard(server: UdpServer, sock: socket.socket) -> None:
    device = with_leg(server)
    server.send(device.leg, b"too early")
    assert server.figures.no_address == 1
    sock.send(device.datagram(1, opus(1)))
    arrives(server, "accepted", 1)
    server.send(device.leg, b"a frame")
    assert sock.recv(100) == b"a frame"
    assert server.figures.sent == 1


def test_what_cannot_be_sent_is_counted(server: UdpServer) -> None:
    device = with_leg(server)
    device.leg.address = ("127.0.0.1", 0)
    server.send(device.leg, b"a frame")
    device.leg.address = ("127.0.0.1", 9)
    server.stop()
    server.send(device.leg, b"a frame")
    assert (server.figures.send_errors, server.figures.sent) == (2, 0)


def test_ipv4_and_ipv6_devices_reach_one_socket() -> None:
    try:
        server = started("::")
    except OSError:
        pytest.skip("no IPv6 here")
    try:
        device = with_leg(server)
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.connect((host, server.port))
                sock.setblocking(False)
                device.leg.address = None
                sequence = server.figures.accepted + 1
                sock.send(device.datagram(sequence, opus(sequence)))
                arrives(server, "accepted", sequence)
                server.send(device.leg, b"a frame")
                assert wait_for(lambda sock=sock: sock.recv(100)) == b"a frame"  # type: ignore[misc]
    finally:
        server.stop()


def test_fresh_ssrcs_are_neither_reserved_nor_taken() -> None:
    drawn = [bytes(4), b"\xff" * 4, SSRC.to_bytes(4, "big"), b"\x00\x00\x00\x09"]
    random_bytes: Callable[[int], bytes] = lambda size: drawn.pop(0)  # noqa: E731
    server = UdpServer(Udp(), random_bytes=random_bytes)
    server.add(UplinkDevice().leg)
    assert server.fresh_ssrc() == 9


def test_a_port_in_use_is_said_and_taken_later() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.bind(("127.0.0.1", 0))
        server = UdpServer(Udp(listen_host="127.0.0.1", listen_port=thief.getsockname()[1], receive_buffer_bytes=65_536))
        server.start()
        wait_for(lambda: "stop the program that has the port" in (server.readiness() or ""))
    wait_for(lambda: server.readiness() is None)
    server.stop()
    server.stop()
    assert server.readiness() == "it has been stopped"


def test_it_can_be_started_again(server: UdpServer) -> None:
    server.stop()
    server.start()
    server.start()
    wait_for(lambda: server.readiness() is None)


def test_kernel_drops_are_counted() -> None:
    server = started(buffer_bytes=65_536)
    try:
        server._greenlet.kill()  # type: ignore[union-attr]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(2000):
                sock.sendto(bytes(1000), ("127.0.0.1", server.port))
        assert server.kernel_drops > 0
        assert server.receive_buffer_bytes >= 65_536
    finally:
        server.stop()


def test_what_is_taken_together_has_one_time_of_arrival() -> None:
    """The clock is read once for all that has arrived, not for each."""
    reads: list[float] = []

    def clock() -> float:
        reads.append(float(len(reads)))
        return reads[-1]

    server = UdpServer(Udp(), clock=clock)
    device = UplinkDevice()
    server.add(device.leg)
    waiting = [device.datagram(sequence, opus(sequence)) for sequence in (1, 2, 3)]

    def receive(_most: int) -> tuple[bytes, tuple[str, int]]:
        if not waiting:
            raise BlockingIOError
        return waiting.pop(0), ("192.0.2.1", 1000)

    assert server._drain(receive) == 3
    assert reads == [0.0]
    assert (device.leg.reception.first_at, device.leg.reception.last_at) == (0.0, 0.0)


class Flood:
    """A socket that is never empty, each datagram of which takes ``cost`` seconds."""

    def __init__(self, cost: float) -> None:
        self.taken = 0
        self._cost = cost

    def clock(self) -> float:
        return self.taken * self._cost

    def receive(self, _most: int) -> tuple[bytes, tuple[str, int]]:
        self.taken += 1
        return b"x", ("192.0.2.1", 1000)


def test_others_get_their_turn_after_a_fair_share_of_datagrams() -> None:
    flood = Flood(cost=0.0)
    assert UdpServer(Udp(), clock=flood.clock)._drain(flood.receive) == flood.taken == FAIR_SHARE


def test_others_get_their_turn_after_a_fair_share_of_time() -> None:
    """Whatever is in them, and whatever they begin: an end of speech costs more than a packet in the midst of it."""
    flood = Flood(cost=0.0002)
    assert UdpServer(Udp(), clock=flood.clock)._drain(flood.receive) == FAIR_SHARE
    assert flood.clock() < FAIR_SHARE_SECONDS + AT_ONCE * 0.0002
