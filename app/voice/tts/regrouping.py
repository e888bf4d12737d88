"""A synthesizer's Opus packets, made into packets of the device's duration: the same frames regrouped, or else encoded anew."""

from __future__ import annotations

from collections import deque

from app.opus.codec import Decoder
from app.opus.packet import MAX_FRAME, frames_of, packet_of
from app.opus.repacketizer import CannotRepacketize, Repacketizer
from app.voice.tts.encoding import SpeechEncoder
from app.voice.tts.loudness import Loudness

MOST_PACKET_BYTES = MAX_FRAME
"""Of a packet to the device: what fits into a datagram."""
WARM_UP_PACKETS = 4
"""How many of the packets before a decoder is fed until what it decodes is right."""


class Regrouping:
    """One sentence. `regroup` returns at once; what it gives up, and everything after it, waits for `encode`.

    ``loudness``: of the device's rate; it is used when the sentence is encoded anew from its beginning.
    """

    def __init__(self, frame_duration_ms: int, loudness: Loudness) -> None:
        self._frame_duration_ms = frame_duration_ms
        self._sample_rate = loudness.rate
        self._loudness: Loudness | None = loudness
        self._repacketizer = Repacketizer(frame_duration_ms)
        self._before: deque[bytes] = deque(maxlen=WARM_UP_PACKETS)
        self._coder: tuple[Decoder, SpeechEncoder] | None = None
        self.given_up: list[bytes] = []
        """Packets that wait for `encode`."""
        self.is_passing = True
        """Whether the frames are passed on as they are, which they are no more once one did not fit."""

    def regroup(self, packet: bytes) -> list[bytes]:
        """The packets that are complete now; none where they do not fit. Raises Malformed."""
        if not self.is_passing:
            self.given_up.append(packet)
            return []
        try:
            regrouped = self._repacketizer.feed(packet)
        except CannotRepacketize as cannot:
            self._give_up(cannot.pending)
            return []
        if any(len(made) > MOST_PACKET_BYTES for made in regrouped):
            self._give_up((*regrouped, *map(_without_filling, self._repacketizer.flush())))
            return []
        if regrouped:
            self._loudness = None
            self._before.extend(regrouped)
        return regrouped

    def flush(self) -> list[bytes]:
        """The last packet of a sentence that was passed through."""
        return self._repacketizer.flush()

    def encode(self) -> list[bytes]:
        """Decodes and encodes what was given up: CPU work for the thread pool. Raises Malformed."""
        packets, self.given_up = self.given_up, []
        decoder, encoder = self._coder = self._coder or self._make_coder()
        return [made for packet in packets for made in encoder.encode(self._sample_rate, decoder.decode(packet))]

    def finish_encoding(self) -> list[bytes]:
        """The last packets, likewise."""
        return [] if self._coder is None else self._coder[1].finish()

    def _give_up(self, packets: tuple[bytes, ...]) -> None:
        self.is_passing = False
        self.given_up.extend(packets)

    def _make_coder(self) -> tuple[Decoder, SpeechEncoder]:
        decoder = Decoder(self._sample_rate)
        for packet in self._before:
            decoder.decode(packet)
        return decoder, SpeechEncoder(self._frame_duration_ms, self._sample_rate, self._loudness)


def _without_filling(packet: bytes) -> bytes:
    """A packet that was filled up with frames which were not sent, without these."""
    frames = frames_of(packet)
    while len(frames) > 1 and not frames[-1]:
        frames.pop()
    return packet_of(frames, packet[0])
