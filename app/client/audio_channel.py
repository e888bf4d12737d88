"""The device's UDP leg: seals the microphone's packets and opens those that come (PROTOCOL.md 5)."""

from __future__ import annotations

import itertools
import socket
import struct
import sys
import time
from collections.abc import Callable

import gevent

from app.client.audio_path import OnPacket
from app.client.leg import Leg, LegFailed
from app.protocol.audio_packet import AUDIO, HEADER, HEADER_SIZE, MAX_U32, AudioPacket
from app.protocol.cipher import SessionCipher
from app.protocol.malformed import Malformed
from app.protocol.messages import ServerHello
from app.turn import give_way

MAX_DATAGRAM = 2048
READ = 1
FAIR_SHARE = 64
"""Packets received at most before other greenlets get their turn."""
BUFFER_BYTES = 1 << 20
_SO_TIMESTAMPNS = 35  # Linux; the socket module has no name for it
_TIMESPEC = struct.Struct("@qq")


class Offer:
    """What a server's hello offers, checked as strictly as a device depends on it. Raises LegFailed."""

    __slots__ = ("frame_duration_ms", "key", "nonce", "port", "sample_rate", "server", "session_id")

    def __init__(self, hello: ServerHello) -> None:
        udp = hello.udp
        if hello.transport != "udp" or udp is None:
            raise LegFailed(Leg.HELLO, "the server's hello over MQTT offers no UDP.")
        if not hello.session_id:
            raise LegFailed(Leg.HELLO, "the server's hello names no session_id: a session cannot be told from another.")
        if udp.encryption != "aes-128-ctr":
            raise LegFailed(Leg.HELLO, f"the server's hello wants the encryption {udp.encryption!r}; devices know aes-128-ctr.")
        self.nonce = bytes.fromhex(udp.nonce)
        kind, flags, payload_len, _, _, sequence = HEADER.unpack(self.nonce)
        if kind != AUDIO or flags or payload_len or sequence:
            raise LegFailed(
                Leg.HELLO, "udp.nonce in the server's hello is no header template: it has to be 01 00 0000 <ssrc> <u32> 00000000."
            )
        self.key = bytes.fromhex(udp.key)
        self.server, self.port = udp.server, udp.port
        self.session_id = hello.session_id
        self.sample_rate = hello.audio_params.sample_rate
        self.frame_duration_ms = hello.audio_params.frame_duration


class AudioChannel:
    """A connected UDP socket under one session's key. One greenlet receives; `send` is called from wherever.

    Counters: ``sent``, ``send_errors``, ``received`` (accepted), ``malformed``, ``stale`` (sequence not above the last
    accepted), ``unreachable`` (the other side's host said that nobody listens there).
    """

    leg = Leg.UDP

    def __init__(self, offer: Offer, on_packet: OnPacket, clock: Callable[[], float] = time.monotonic) -> None:
        self.offer = offer
        self._on_packet = on_packet
        self._clock = clock
        self._cipher = SessionCipher(offer.key)
        self._sequence = 0
        self.last_accepted = 0
        self.sent = self.send_errors = self.received = self.malformed = self.stale = self.unreachable = 0
        self._socket = self._connected()
        self._greenlet: gevent.Greenlet | None = None

    @property
    def where(self) -> str:
        return f"UDP {self.offer.server}:{self.offer.port}"

    def _connected(self) -> socket.socket:
        server, port = self.offer.server, self.offer.port
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(server, port, type=socket.SOCK_DGRAM)[0]
            opened = socket.socket(family, kind, protocol)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            if sys.platform == "linux":
                opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            opened.connect(address)
            opened.setblocking(False)
        except OSError as error:
            raise LegFailed(
                Leg.UDP, f"{server}:{port} from the server's hello cannot be used: {error.strerror}: check udp.external_host."
            ) from None
        return opened

    def start(self) -> None:
        """Begins to receive."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._receive)
            # Only when it has ended: nobody may wait on a descriptor that is another's by then.
            self._greenlet.link(lambda _: self._socket.close())

    def close(self) -> None:
        """Ends it; may be called twice, but not from within ``on_packet``."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is None:
            self._socket.close()
        else:
            greenlet.kill(block=False)

    def send(self, payload: bytes) -> None:
        """Seals and sends one Opus packet: the nonce with payload_len, timestamp 0 and the next sequence filled in."""
        self._sequence = self._sequence + 1 & MAX_U32
        header = bytearray(self.offer.nonce)
        header[2:4] = len(payload).to_bytes(2, "big")
        header[8:16] = self._sequence.to_bytes(8, "big")
        try:
            self._socket.send(bytes(header) + self._cipher.apply(header, payload))
            self.sent += 1
        except ConnectionRefusedError:
            self.unreachable += 1
        except OSError:
            self.send_errors += 1

    def _receive(self) -> None:
        hub = gevent.get_hub()
        readable = hub.loop.io(self._socket.fileno(), READ)
        try:
            for count in itertools.count(1):
                if not count % FAIR_SHARE:
                    give_way()
                try:
                    datagram, ancillary, _, _ = self._socket.recvmsg(MAX_DATAGRAM, 64)
                except BlockingIOError:
                    hub.wait(readable)
                except ConnectionRefusedError:
                    self.unreachable += 1
                else:
                    self._accept(self._arrival(ancillary), datagram)
        finally:
            readable.close()

    def _arrival(self, ancillary: list[tuple[int, int, bytes]]) -> float:
        """When the kernel got the datagram, so that a busy process does not count its own delay as the server's."""
        now = self._clock()
        delay = 0.0
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                delay = max(0.0, time.time() - seconds - nanoseconds / 1e9)
        return now - delay

    def _accept(self, arrival: float, datagram: bytes) -> None:
        try:
            packet = AudioPacket.decode(datagram)
        except Malformed:
            self.malformed += 1
            return
        if packet.sequence <= self.last_accepted:
            self.stale += 1
            return
        self.last_accepted = packet.sequence
        self.received += 1
        self._on_packet(arrival, packet, self._cipher.apply(datagram[:HEADER_SIZE], packet.payload))
