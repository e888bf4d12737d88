"""Opus packets of another duration without a codec: frames are regrouped, not changed (RFC 6716, 3.2; PROTOCOL.md 6).

What a speech service sends is mostly 20 ms a packet; a device wants exactly the duration that the hello announced. Frames of one
configuration can share a packet, so shorter packets are merged and longer ones split, and what the decoder makes of them stays
the same. Where frames do not fit, `CannotRepacketize` gives back what was not yet passed on, so that it can be decoded instead.
"""

from __future__ import annotations

from app.opus.packet import MAX_DURATION_US, TOCS, frames_of, packet_of, toc

_CONFIGURATION = 0xFC
"""Of a TOC byte: configuration and stereo."""


class CannotRepacketize(Exception):
    """The frames do not fit into packets of the wanted duration without decoding them.

    ``pending``: the packets that were fed and not yet returned in any form, in order, the one just fed last. They are of any
    duration, and are to be decoded; the repacketizer holds nothing any more.
    """

    def __init__(self, reason: str, pending: tuple[bytes, ...]) -> None:
        super().__init__(reason)
        self.pending = pending


class Repacketizer:
    """Regroups a stream of mono packets into packets of ``duration_ms`` (5 to 120 ms, a whole number of them)."""

    def __init__(self, duration_ms: int) -> None:
        self._duration_us = duration_ms * 1000
        if not 5_000 <= self._duration_us <= MAX_DURATION_US:
            raise ValueError(f"Opus packets last 5 to 120 ms, not {duration_ms}")
        self._frames: list[bytes] = []
        self._configuration = 0

    def feed(self, packet: bytes) -> list[bytes]:
        """The packets that are complete now, each of exactly the wanted duration; padding is dropped.

        Raises CannotRepacketize, and Malformed for what is no Opus packet (which changes nothing).
        """
        described = toc(packet)
        frames = frames_of(packet)
        if described.channels != 1:
            raise self._cannot("a stereo packet, and the device plays mono", packet)
        if self._duration_us % described.frame_us:
            raise self._cannot(f"frames of {described.frame_us} µs do not fill {self._duration_us} µs", packet)
        configuration = packet[0] & _CONFIGURATION
        if self._frames and configuration != self._configuration:
            raise self._cannot("the configuration changes in mid-packet", packet)
        self._configuration = configuration
        self._frames += frames
        size = self._duration_us // described.frame_us
        complete = []
        while len(self._frames) >= size:
            complete.append(packet_of(self._frames[:size], configuration))
            del self._frames[:size]
        return complete

    def flush(self) -> list[bytes]:
        """The stream is over: its last packet, filled up with frames that a decoder conceals; none when nothing is left."""
        if not self._frames:
            return []
        size = self._duration_us // TOCS[self._configuration].frame_us
        frames = self._frames + [b""] * (size - len(self._frames))
        self._frames = []
        return [packet_of(frames, self._configuration)]

    def _cannot(self, reason: str, packet: bytes) -> CannotRepacketize:
        held = [packet_of(self._frames, self._configuration)] if self._frames else []
        self._frames = []
        return CannotRepacketize(reason, (*held, packet))
