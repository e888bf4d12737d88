"""Wrong codes, tokens and signatures by the network they come from: after some, even a right one has to wait."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from app.web.caller import IPAddress

FREE = 10
"""Wrong tries at once."""
SECONDS_EACH = 12.0
"""So soon one of them is forgotten."""
MAX_NETWORKS = 10_000


class WrongTries:
    """Remembers the networks that were wrong last, MAX_NETWORKS of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._clean_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, address: IPAddress) -> int:
        """Seconds until the network of ``address`` may try again; 0: now."""
        left = self._clean_at.get(network_of(address), 0.0) - self._clock() - (FREE - 1) * SECONDS_EACH
        return int(left) + 1 if left > 0 else 0

    def add(self, address: IPAddress) -> None:
        """A wrong try."""
        key, now = network_of(address), self._clock()
        self._clean_at[key] = max(self._clean_at.pop(key, now), now) + SECONDS_EACH
        if len(self._clean_at) > MAX_NETWORKS:
            self._clean_at.popitem(last=False)


def network_of(address: IPAddress) -> str:
    """The address; for IPv6 its /64, of which every address may be one machine's."""
    if isinstance(address, ipaddress.IPv6Address):
        return (int(address) >> 64).to_bytes(8, "big").hex()
    return str(address)
