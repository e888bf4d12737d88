"""Audio under load, each direction in a process of its own: the sender keeps a schedule, the receiver notes arrivals."""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import machine
from benchmarks.mmsg import Receiver, Train
from benchmarks.server import HOST

_FORK = multiprocessing.get_context("fork")
"""What was prepared before is there in the child, without a copy."""
RECEIVE_BUFFER = 64 * 1024 * 1024
SO_RCVBUFFORCE = 33
MOST_AT_ONCE = 64
"""How many datagrams a sender behind its schedule sends in one call."""
CALLS_A_LOOK = 8
"""How many calls `fill` makes before it looks at the server's queue again."""


@dataclass(frozen=True, slots=True)
class Sent:
    """``count`` datagrams in ``seconds``; ``at_once`` is how many went out in one call on average."""

    count: int
    seconds: float
    at_once: float

    @property
    def rate(self) -> float:
        return self.count / self.seconds


class Child:
    """A forked process that runs ``work`` on a core, and its result."""

    def __init__(self, work: Callable[[], Any], core: int) -> None:
        self._ours, theirs = _FORK.Pipe(duplex=False)
        self._process = _FORK.Process(target=_run, args=(work, core, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def result(self, seconds: float) -> Any:
        """Waits for it. Raises TimeoutError, or RuntimeError when the child failed."""
        try:
            if not self._ours.poll(seconds):
                raise TimeoutError(f"a load process did not end within {seconds:.0f} s")
            result = self._ours.recv()
        except EOFError:
            raise RuntimeError("a load process failed; what it said stands above") from None
        finally:
            self._process.kill()
            self._process.join()
            self._ours.close()
        return result


def _run(work: Callable[[], Any], core: int, pipe: Any) -> None:
    os.sched_setaffinity(0, {core})
    gc.disable()
    pipe.send(work())
    pipe.close()


def audio_socket(port: int) -> socket.socket:
    """A UDP socket connected with the server, with room for seconds of its frames."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    sock.connect((HOST, port))
    return sock


def pace(sock: socket.socket, train: Train, rate: float) -> Sent:
    """Sends the whole train evenly, one datagram at a time while it keeps up, ``rate`` a second."""
    descriptor, total, sent, calls = sock.fileno(), len(train), 0, 0
    clock, send = time.perf_counter, train.send
    began = clock()
    while sent < total:
        due = min(total, int((clock() - began) * rate) + 1) - sent
        if due > 0:
            sent += send(descriptor, sent, min(due, MOST_AT_ONCE))
            calls += 1
    return Sent(sent, clock() - began, sent / calls)


def fill(sock: socket.socket, train: Train, port: int, limit: int, seconds: float) -> Sent:
    """Sends for so long as fast as the server takes it: its queue is kept near ``limit`` bytes, as the kernel accounts them."""
    descriptor, total, sent, calls = sock.fileno(), len(train), 0, 0
    clock = time.perf_counter
    began = clock()
    while sent < total and clock() - began < seconds:
        if machine.udp_queue(port).waiting < limit:
            for _ in range(CALLS_A_LOOK):
                count = min(MOST_AT_ONCE, total - sent)
                if count:
                    sent += train.send(descriptor, sent, count)
                    calls += 1
    return Sent(sent, clock() - began, sent / calls)


def collect(sock: socket.socket, expected: int, seconds: float) -> list[tuple[int, bytes]]:
    """Receives ``expected`` datagrams, or what comes within ``seconds``: (time in ns of the real-time clock, datagram)."""
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, (0).to_bytes(8, "little") + (200_000).to_bytes(8, "little"))
    receiver = Receiver(sock)
    arrivals: list[tuple[int, bytes]] = []
    deadline = time.monotonic() + seconds
    while len(arrivals) < expected and time.monotonic() < deadline:
        try:
            arrivals.extend(receiver.receive())
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                raise
    return arrivals


def await_empty(port: int, seconds: float = 15.0) -> float:
    """Waits until the server has taken everything out of its queue; how long that took."""
    began = time.monotonic()
    while machine.udp_queue(port).waiting:
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"the server's receive queue was not empty after {seconds:.0f} s")
        time.sleep(0.002)
    return time.monotonic() - began
