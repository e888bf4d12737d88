"""The UDP server: one socket, one greenlet that drains it, and the sessions' legs by ssrc (DESIGN.md, the hot path).

A packet goes from the kernel to the conversation in plain function calls. What a stranger can send ends in a counter.
"""

from __future__ import annotations

import _socket
import logging
import secrets
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import gevent

from app.protocol.aes import Scratch
from app.protocol.audio_packet import AUDIO, FROM_SERVER, HEADER, HEADER_SIZE
from app.protocol.cipher import UNUSABLE_SSRCS
from app.sections import Udp
from app.transport.audio_leg import AudioLeg, UdpFigures
from app.turn import give_way

log = logging.getLogger(__name__)

READ = 1
AT_ONCE = 20
"""Datagrams taken between two looks at the clock: those of one look arrive at one time, as far as anybody can tell."""
FAIR_SHARE = 200
FAIR_SHARE_SECONDS = 0.005
"""How many are taken in a row, and for how long at most, before others get their turn: ordinary audio takes about 2 ms."""
COALESCE_SECONDS = 0.004
"""How long datagrams gather before the next look: waking up for each costs more than handling it."""
MAX_DATAGRAM = 8_192
"""Longer than any audio packet: 120 ms of Opus at its highest bitrate, 510 kbit/s (RFC 6716, 2.1.1), are 7,650 bytes."""
SO_RCVBUFFORCE = 33
SO_MEMINFO = 55
MEMINFO = struct.Struct("=9I")
MEMINFO_DROPS = 8
BIND_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to bind: the worker before may still be closing."""


class UdpServer:
    """``figures`` counts what came of every datagram; ``scratch``: see `AudioLeg`. `start` and `stop` may be called twice."""

    def __init__(
        self,
        settings: Udp,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._random_bytes = random_bytes
        self._clock = clock
        self._socket: Any = None
        self._greenlet: gevent.Greenlet | None = None
        self._legs: dict[int, AudioLeg] = {}
        self._trouble: str | None = "it has not been started"
        self.figures = UdpFigures()
        self.scratch = Scratch()
        self.receive_buffer_bytes = 0
        self.port = settings.listen_port

    # The legs

    def fresh_ssrc(self) -> int:
        """An ssrc that no live session has and nobody can guess."""
        while True:
            ssrc = int.from_bytes(self._random_bytes(4), "big")
            if ssrc not in UNUSABLE_SSRCS and ssrc not in self._legs:
                return ssrc

    def add(self, leg: AudioLeg) -> None:
        """From now on this leg's packets are received."""
        self._legs[leg.ssrc] = leg

    def remove(self, leg: AudioLeg) -> None:
        """Its packets are unknown from now on; twice is fine."""
        if self._legs.get(leg.ssrc) is leg:
            del self._legs[leg.ssrc]

    def send(self, leg: AudioLeg, datagram: bytes) -> bool:
        """Sends to where the leg's device was heard last; whether it left. What cannot be sent at once is lost and counted, as in
        the network."""
        if leg.address is None:
            self.figures.no_address += 1
            return False
        try:
            self._socket.sendto(datagram, leg.address)
        except (OSError, AttributeError):  # the kernel's buffer is full, the host has no route, or we have just stopped
            self.figures.send_errors += 1
            return False
        self.figures.sent += 1
        return True

    # The socket

    def start(self) -> None:
        """Binds and receives from now on; a port in use is tried again for ever, and said."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        if self._greenlet is not None:
            self._greenlet.kill()
            self._greenlet = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._trouble = "it has been stopped"

    def readiness(self) -> str | None:
        """None when packets are received, else why not."""
        return self._trouble

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel threw away because our receive buffer was full."""
        if self._socket is None:
            return 0
        try:
            meminfo = self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, MEMINFO.size)
        except OSError:
            return 0
        return int(MEMINFO.unpack(meminfo)[MEMINFO_DROPS])

    def _run(self) -> None:
        attempt = 0
        while self._socket is None:
            try:
                self._socket = self._bind()
            except OSError as error:
                where = f"{self._settings.listen_host}:{self._settings.listen_port}"
                self._trouble = (
                    f"UDP {where} cannot be bound: {error.strerror}: stop the program that has the port, or set udp.listen_port"
                )
                if attempt == 0:
                    log.error("%s", self._trouble)
                gevent.sleep(BIND_PAUSES[min(attempt, len(BIND_PAUSES) - 1)])
                attempt += 1
        self._trouble = None
        self._receive_for_ever(self._socket)

    def _bind(self) -> _socket.socket:
        host, port = self._settings.listen_host, self._settings.listen_port
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
        # The plain socket: gevent's would add a Python call to each packet, and waiting is done on its descriptor.
        sock = _socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self.receive_buffer_bytes = _enlarge_receive_buffer(sock, self._settings.receive_buffer_bytes)
            sock.bind(address)
        except OSError:
            sock.close()
            raise
        self.port = sock.getsockname()[1]
        log.info("UDP listens on %s port %d with a receive buffer of %d KiB", host, self.port, self.receive_buffer_bytes // 1024)
        return sock

    def _receive_for_ever(self, sock: Any) -> None:
        hub = gevent.get_hub()
        readable = hub.loop.io(sock.fileno(), READ)
        try:
            while True:
                taken = self._drain(sock.recvfrom)
                if taken >= FAIR_SHARE:
                    give_way()
                elif taken:
                    gevent.sleep(COALESCE_SECONDS)
                else:
                    hub.wait(readable)
        finally:
            readable.close()

    def _drain(self, receive: Callable[[int], tuple[bytes, Any]]) -> int:
        """Takes what has arrived; returns how many datagrams that were, or FAIR_SHARE when there may be more."""
        clock = self._clock
        began = now = clock()
        taken = 0
        while taken < FAIR_SHARE and now - began < FAIR_SHARE_SECONDS:
            some = self._take(receive, now)
            taken += some
            if some < AT_ONCE:
                return taken
            now = clock()
        return FAIR_SHARE

    def _take(self, receive: Callable[[int], tuple[bytes, Any]], now: float) -> int:
        """Takes up to AT_ONCE datagrams; returns how many there were. ``now``: for all of them, in monotonic s."""
        figures, legs, unpack = self.figures, self._legs, HEADER.unpack_from
        for taken in range(AT_ONCE):
            try:
                datagram, address = receive(MAX_DATAGRAM)
            except BlockingIOError:
                return taken
            except OSError as error:  # an ICMP answer to something we sent
                log.debug("UDP receive: %s", error)
                continue
            size = len(datagram)
            if not HEADER_SIZE < size < MAX_DATAGRAM:
                figures.malformed += 1
                continue
            kind, flags, payload_len, ssrc, timestamp, sequence = unpack(datagram)
            if payload_len != size - HEADER_SIZE or kind != AUDIO or flags & FROM_SERVER:
                figures.malformed += 1
                continue
            leg = legs.get(ssrc)
            if leg is None:
                figures.unknown_ssrc += 1
                continue
            try:
                leg.receive(datagram, address, timestamp, sequence, now)
            except Exception:
                log.exception("a packet's handler failed")
        return AT_ONCE


def _enlarge_receive_buffer(sock: Any, wanted: int) -> int:
    """Asks for ``wanted`` bytes and returns what was granted, which the kernel reports doubled for its own bookkeeping."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, wanted)
    except OSError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
    granted = int(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)) // 2
    if granted < wanted:
        log.warning(
            "the UDP receive buffer is %d KiB instead of %d: bursts may be lost; type: sysctl -w net.core.rmem_max=%d",
            granted // 1024,
            wanted // 1024,
            wanted,
        )
    return granted


def address_of_this_machine() -> str:
    """The address from which it talks to the rest of the world; nothing is sent to find out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of the documentation's network: the way to anywhere (RFC 5737)
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
