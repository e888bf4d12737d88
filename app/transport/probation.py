"""Packets that are not believed yet (PROTOCOL.md 5).

CTR has no authentication: whoever has seen an ssrc on the wire can send packets for it. A packet is trusted when it comes from
the session's address, carries a TOC byte that the session uses, and continues its sequence. One that differs in any of these is
held; only when several such packets in a row agree with each other are they believed, all of them, and the difference with them.
So a device whose address changes loses nothing, and a stranger who guesses gains nothing: his payloads decrypt to noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

IN_A_ROW = 4
"""Agreeing packets before a new address, or a leap of the sequence, is believed."""
SAME_PLACE = 2
"""Agreeing packets before a new TOC byte from the known address is believed."""
MAX_STEP = 4
"""How far apart the sequences of packets in a row may be: three lost in between."""
MAX_APART = 64
"""The same for packets that only their TOC byte makes doubtful: an encoder may use its other modes rarely."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A packet that is well-formed Opus of the session's duration and differs from what the session uses."""

    address: Any
    sequence: int
    payload: bytes


class Probation:
    """``run``: the present run of doubtful packets, at most three of them."""

    __slots__ = ("run",)

    def __init__(self) -> None:
        self.run: list[Doubtful] = []

    def consider(self, packet: Doubtful, *, at_home: bool) -> list[Doubtful]:
        """Adds a packet; returns the whole run once it is to be believed, else nothing.

        ``at_home``: only the TOC byte is new; address and sequence are the session's.
        """
        run = self.run
        if run and not self._continues(run[-1], packet, MAX_APART if at_home else MAX_STEP):
            run.clear()
        run.append(packet)
        if len(run) < (SAME_PLACE if at_home else IN_A_ROW):
            return []
        self.run = []
        return run

    def doubt_address(self, home: Any) -> None:
        """A trusted packet came from the session's address: a run from another address is broken."""
        if self.run and self.run[0].address != home:
            self.run.clear()

    def refuse(self, address: Any) -> None:
        """A packet from there was not even doubtful: who tries all values of a byte sends more wrong ones than right ones."""
        if self.run and self.run[0].address == address:
            self.run.clear()

    @staticmethod
    def _continues(last: Doubtful, packet: Doubtful, step: int) -> bool:
        return (
            packet.address == last.address
            and packet.payload[0] == last.payload[0]
            and 0 < packet.sequence - last.sequence <= step
        )
