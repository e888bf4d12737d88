"""PCM of any rate as it comes, made into Opus packets of the device's: resampled, normalised, encoded.

Its calls are CPU work, 3 to 6 ms a second of speech, that releases the GIL: for the thread pool, one after another.
"""

from __future__ import annotations

import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from app.opus.codec import SAMPLE_BYTES, Encoder
from app.voice.tts.loudness import Loudness

BITRATE = 32_000
COMPLEXITY = 5
"""With application AUDIO this is CELT: 3 ms of CPU a second of speech; VOIP (hybrid) and complexity 8 take 9 and 16."""
FULL_SCALE = 32_768
RATES = range(4_000, 192_001)
"""Hz that are believed to be a rate of speech."""


class SpeechEncoder:
    """One sentence: mono packets of exactly ``frame_duration_ms`` (10 to 120) at ``sample_rate``.

    ``loudness`` None: as loud as it comes. Raises OpusMissing.
    """

    def __init__(self, frame_duration_ms: int, sample_rate: int, loudness: Loudness | None) -> None:
        self._encoder = Encoder(
            sample_rate, frame_duration_ms=frame_duration_ms, complexity=COMPLEXITY, dtx=False, bitrate=BITRATE
        )
        self._sample_rate = sample_rate
        self._loudness = loudness
        self._resampler: soxr.ResampleStream | None = None
        self._rate = sample_rate
        self._pcm = b""

    def encode(self, rate: int, samples: bytes) -> list[bytes]:
        """The packets that are complete now. ``samples``: s16le mono, at ``rate`` Hz."""
        sound = b""
        if rate != self._rate:
            sound = self._resampled(np.zeros(0, np.float32), is_last=True)
            self._rate = rate
            self._resampler = None
            if rate != self._sample_rate:
                self._resampler = soxr.ResampleStream(rate, self._sample_rate, 1, dtype="float32", quality="HQ")
        values = np.frombuffer(samples, "<i2").astype(np.float32) / np.float32(FULL_SCALE)
        return self._packets(sound + self._resampled(values, is_last=False))

    def finish(self) -> list[bytes]:
        """The last packets, filled up with silence."""
        sound = self._resampled(np.zeros(0, np.float32), is_last=True)
        if self._loudness is not None:
            sound += _pcm(self._loudness.finish())
        packets = self._packets(sound)
        rest, self._pcm = self._pcm, b""
        return packets + self._encoder.encode_all(rest)

    def _resampled(self, values: NDArray[np.float32], is_last: bool) -> bytes:
        if self._resampler is not None:
            values = self._resampler.resample_chunk(values, last=is_last)
        if self._loudness is not None:
            values = self._loudness.process(values)
        return _pcm(values)

    def _packets(self, sound: bytes) -> list[bytes]:
        sound = self._pcm + sound
        whole = len(sound) - len(sound) % self._encoder.frame_bytes
        self._pcm = sound[whole:]
        return self._encoder.encode_all(sound[:whole])


def _pcm(values: NDArray[np.float32]) -> bytes:
    return (values * FULL_SCALE).round().clip(-FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()


def pcm_bytes(rate: int, ms: int) -> int:
    """Bytes of s16le mono that last so long."""
    return rate * ms // 1000 * SAMPLE_BYTES
