"""Wrong codes, tokens and signatures by the network they come from: after some, even a right one has to wait."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from app.web.caller import IPAddress

FREE = 10
"""Wrong tries at once."""
SECONDS_EACH = 12.0
"""So soon one of them is forgotten."""
SITE = 6
"""As many networks' worth all of an IPv6 /48 has together: whoever rents one has 65,536 networks."""
MAX_NETWORKS = 10_000


class WrongTries:
    """Remembers the networks that were wrong last, MAX_NETWORKS of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._clean_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, address: IPAddress) -> int:
        """Seconds until the network of ``address`` may try again; 0: now."""
        clean_at = max(self._clean_at.get(key, 0.0) - (FREE * share - 1) * each for key, share, each in _counts(address))
        left = clean_at - self._clock()
        return int(left) + 1 if left > 0 else 0

    def add(self, address: IPAddress) -> None:
        """A wrong try."""
        now = self._clock()
        for key, _, each in _counts(address):
            self._clean_at[key] = max(self._clean_at.pop(key, now), now) + each
        while len(self._clean_at) > MAX_NETWORKS:
            self._clean_at.popitem(last=False)


def _counts(address: IPAddress) -> Iterator[tuple[str, int, float]]:
    """Under what a try of ``address`` is counted: the key, for how many networks it stands, and the seconds of each try."""
    network = network_of(address)
    yield network, 1, SECONDS_EACH
    if isinstance(address, ipaddress.IPv6Address):
        yield f"{network[:12]}/48", SITE, SECONDS_EACH / SITE


def network_of(address: IPAddress) -> str:
    """The address; for IPv6 its /64, of which every address may be one machine's."""
    if isinstance(address, ipaddress.IPv6Address):
        return (int(address) >> 64).to_bytes(8, "big").hex()
    return str(address)
