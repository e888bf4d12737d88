"""The UDP leg of one session: its device's packets in, our frames out (PROTOCOL.md 5; DESIGN.md, the hot path)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from app.opus.packet import MAX_FRAME, TOCS, is_plausible
from app.protocol.aes import Scratch
from app.protocol.audio_packet import HEADER_SIZE
from app.protocol.cipher import DownlinkCipher, SessionCipher
from app.protocol.replay import Freshness, ReplayWindow
from app.session.reception import Reception
from app.transport.probation import Doubtful, Probation

MAX_LEAP = 256
"""Packets in a row that the network may lose before the sequence is doubted."""
MAX_TOCS = 8
"""TOC bytes one session may use."""
SETTLED_AFTER = 4
"""Packets in a row that the first address has to show before it is as good as any other that was believed."""


class UdpFigures:
    """What the UDP server has counted. Every datagram has one verdict; a held one that is believed later is accepted then."""

    __slots__ = (
        "accepted",
        "held",
        "implausible",
        "lost",
        "malformed",
        "no_address",
        "reordered",
        "replayed",
        "roamed",
        "send_errors",
        "sent",
        "timestamp_implausible",
        "unknown_ssrc",
    )

    def __init__(self) -> None:
        self.accepted = self.malformed = self.unknown_ssrc = self.replayed = self.implausible = self.held = 0
        self.lost = self.reordered = self.roamed = self.timestamp_implausible = 0
        self.sent = self.send_errors = self.no_address = 0


class AudioLeg:
    """Uplink: what is new, believed and decrypted goes to ``deliver(sequence, packet)``. Downlink: `seal`, then send.

    ``frame_duration_ms`` and ``channels`` are those of the device's hello. ``address`` is None until its first packet;
    ``implausible`` counts packets of this ssrc that decrypted to no Opus of the session; ``reception`` keeps what was accepted.
    ``scratch``: one for all legs that one greenlet serves (see `SessionCipher`).
    """

    __slots__ = (
        "_apply",
        "_channels",
        "_deliver",
        "_downlink",
        "_figures",
        "_frame_duration_ms",
        "_probation",
        "_timestamp",
        "_tocs",
        "_unsettled",
        "_window",
        "address",
        "implausible",
        "reception",
        "ssrc",
    )

    def __init__(
        self,
        ssrc: int,
        key: bytes,
        figures: UdpFigures,
        *,
        frame_duration_ms: int,
        channels: int,
        deliver: Callable[[int, bytes], None],
        reception: Reception | None = None,
        scratch: Scratch | None = None,
    ) -> None:
        cipher = SessionCipher(key, scratch)
        self.ssrc = ssrc
        self.address: Any = None
        self.implausible = 0
        self.reception = Reception(frame_duration_ms) if reception is None else reception
        self._apply = cipher.apply
        self._downlink = DownlinkCipher(cipher, ssrc, frame_duration_ms)
        self._window = ReplayWindow()
        self._figures = figures
        self._frame_duration_ms = frame_duration_ms
        self._channels = channels
        self._deliver = deliver
        self._probation = Probation()
        self._timestamp = 0
        self._tocs: frozenset[int] = frozenset()
        self._unsettled = SETTLED_AFTER

    def receive(self, datagram: bytes, address: Any, timestamp: int, sequence: int, now: float = 0.0) -> None:
        """One datagram of this ssrc, its header already checked. ``now``: when it was taken from the socket, in monotonic s."""
        window = self._window
        ahead = sequence - window.highest
        if ahead <= 0 and window.judge(sequence) is Freshness.REPLAYED and not self._may_be_usurped(address, sequence):
            self._figures.replayed += 1
            return
        payload = self._apply(datagram[:HEADER_SIZE], datagram[HEADER_SIZE:])
        toc = payload[0]
        if toc not in self._tocs or address != self.address or ahead > MAX_LEAP:
            self._doubt(Doubtful(address, sequence, payload), ahead, now)
        elif (toc & 3 or len(payload) > MAX_FRAME) and not is_plausible(payload, self._frame_duration_ms):
            self._refuse(address)
        else:
            if timestamp != self._timestamp and ahead > 0:
                self._check_timestamp(timestamp)
            if self._probation.run:
                self._probation.doubt_address(address)
            if self._unsettled:
                self._unsettled -= 1
            self._accept(sequence, ahead, payload, now)

    def seal(self, packets: Sequence[bytes]) -> list[bytes]:
        """The datagrams of these Opus packets. Raises what `DownlinkCipher.seal` raises."""
        return self._downlink.seal(packets)

    def _accept(self, sequence: int, ahead: int, payload: bytes, now: float) -> None:
        """``ahead``: of the highest sequence before."""
        figures = self._figures
        self._window.accept(sequence)
        if ahead == 1:
            self.reception.next(now)
        elif ahead > 1:
            figures.lost += ahead - 1
            self.reception.leap(ahead - 1, now)
        else:
            figures.reordered += 1
            self.reception.straggler()
        figures.accepted += 1
        self._deliver(sequence, payload)

    def _doubt(self, packet: Doubtful, ahead: int, now: float) -> None:
        """A packet that differs from what the session uses: the first one of all, a changed address or encoder, or a forgery."""
        figures = self._figures
        toc = packet.payload[0]
        if TOCS[toc].channels > self._channels or not is_plausible(packet.payload, self._frame_duration_ms):
            self._refuse(packet.address)
            return
        at_home = packet.address == self.address and ahead <= MAX_LEAP
        if self.address is None and ahead <= MAX_LEAP:
            believed = [packet]
        elif not at_home and not self._unsettled and (ahead <= 0 or toc not in self._tocs):
            self._refuse(packet.address)  # not newer than all seen, or not of the session's configuration
            return
        elif at_home and len(self._tocs) >= MAX_TOCS:
            self._refuse(packet.address)
            return
        else:
            believed = self._probation.consider(packet, at_home=at_home)
        if not believed:
            figures.held += 1
            return
        if self.address is not None and packet.address != self.address:
            figures.roamed += 1
            if self._unsettled:  # what came first was a stranger's noise, and so were its sequence and its TOC byte
                self._window, self._tocs = ReplayWindow(), frozenset()
                self.reception.restart()
        if len(believed) >= SETTLED_AFTER:
            self._unsettled = 0
        self.address = packet.address
        self._tocs |= {toc}
        for each in believed:
            if self._window.judge(each.sequence) is not Freshness.REPLAYED:
                self._accept(each.sequence, each.sequence - self._window.highest, each.payload, now)

    def _may_be_usurped(self, address: Any, sequence: int) -> bool:
        """Whether this may be the device, come after a stranger whose noise was taken for its first packet.

        One random payload in 25 is well-formed Opus of 60 ms. So until the first address has shown several good packets in a row,
        others may show theirs, whatever their sequences; but not copies of packets that were accepted.
        """
        return bool(self._unsettled) and address != self.address and not self._window.has_seen(sequence)

    def _refuse(self, address: Any) -> None:
        if self._unsettled and address == self.address:
            self._unsettled = SETTLED_AFTER
        self.implausible += 1
        self._figures.implausible += 1
        self._probation.refuse(address)

    def _check_timestamp(self, timestamp: int) -> None:
        """Counts a timestamp that is neither constant nor growing nor that of a frame we sent; devices differ, so no more."""
        if timestamp < self._timestamp and not self._downlink.has_stamped(timestamp):
            self._figures.timestamp_implausible += 1
        self._timestamp = timestamp
