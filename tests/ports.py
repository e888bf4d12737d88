"""Ports for what the tests start: each is handed out once, and is none that a client's connection might be given meanwhile.

A port that the kernel chose (bind to 0, close, use later) is nobody's until it is used: meanwhile any connection of this machine
may get it, even the one that looks whether somebody listens there, and so finds itself. These come from below the kernel's own,
and each process that runs tests has a part of them to itself.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket

FIRST, END = 12_000, 32_000
"""Below `net.ipv4.ip_local_port_range`, and above what services are known to have."""
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
_EACH = (END - FIRST) // _WORKERS
_turn = itertools.count(random.randrange(_EACH))


def free_port() -> int:
    """A port that nobody has, neither for TCP nor for UDP."""
    for turn in itertools.islice(_turn, _EACH):
        port = FIRST + _WORKER * _EACH + turn % _EACH
        if _is_free(port):
            return port
    raise RuntimeError(f"no port is free from {FIRST} to {END}")


def _is_free(port: int) -> bool:
    with contextlib.suppress(OSError):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.bind(("0.0.0.0", port))
        return True
    return False
