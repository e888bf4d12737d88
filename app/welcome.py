"""What the log says once devices can be served: where the console is, and what to enter in a device; or what is not ready."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Protocol

import gevent

from app.protocol.http_paths import OTA
from app.transport.udp import address_of_this_machine

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 15.0
"""How long the parts may take to get ready before the log says which are not."""
LOOK_SECONDS = 0.2


class Part(Protocol):
    """One part of the server; `readiness` is None when it is ready, else why not."""

    name: str

    def readiness(self) -> str | None: ...


def say_when_ready(parts: Callable[[], Sequence[Part]], bound: Iterable[object], http_only: bool) -> None:
    """Waits for every part, and says it; blocks its greenlet. ``bound``: the addresses of the sockets that serve HTTP."""
    complained, until = False, time.monotonic() + PATIENCE_SECONDS
    while reasons := {part.name: reason for part in parts() if (reason := part.readiness()) is not None}:
        if not complained and time.monotonic() >= until:
            complained = True
            missing = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
            log.warning("not ready to serve devices yet: %s (python -m app doctor tells more)", missing)
        gevent.sleep(LOOK_SECONDS)
    log.info("%s", sentence(bound, address_of_this_machine(), http_only))


def sentence(bound: Iterable[object], own: str, http_only: bool) -> str:
    """Where people and devices find this server. ``bound``: as in `say_when_ready`; ``own``: this machine's address among others;
    ``http_only``: whether a platform's router is in front."""
    tcp = next((address for address in bound if isinstance(address, tuple)), None)
    if tcp is None or http_only:
        return f"ready: the console is at the address that leads here, and a device's OTA URL is that address with {OTA}"
    host, port = str(tcp[0]), int(tcp[1])
    if ip_address(host).is_unspecified and ip_address(own).is_loopback:
        host = own
    if not ip_address(host).is_unspecified:
        return f"ready: the console is at {_url(host, port)}/, and a device's OTA URL is {_url(host, port)}{OTA}"
    return (
        f"ready: the console is at {_url('127.0.0.1', port)}/ on this machine, {_url(own, port)}/ from others; "
        f"a device's OTA URL is {_url(own, port)}{OTA} (where this machine is reached by another address: with that one)"
    )


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
