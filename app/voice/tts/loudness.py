"""Every voice about equally loud: -20 dBFS of active speech, with its peaks held under -1.5 dBFS.

The level of active speech is that of ITU-T P.56, simplified: the mean power of those 20 ms blocks that are above -50 dBFS and not
more than 16 dB below that mean itself, so that pauses do not count. A voice is known by what its earlier sentences measured; its
gain is then one number for the whole sentence and right from the first sample. In the first seconds of an unknown voice the gain
follows the measurement, which at the beginning counts for little against "as loud as it should be", by 6 dB a second at most.

Opus packets that are passed through are not normalised: that would mean decoding and encoding them.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono, full scale from -1 to 1."""

TARGET_DBFS = -20.0
FLOOR_DBFS = -50.0
MARGIN_DB = 16.0
MOST_DB = 20.0
"""How much is made louder or quieter at most; silence and noise are no speech, but they are heard too."""
DB_A_SECOND = 6.0
DOUBT_SECONDS = 0.1
"""For how much speech of the right level the ignorance about an unknown voice stands."""
KNOWN_SECONDS, REMEMBERED_SECONDS = 3.0, 30.0
STEADY_DB = 2.0
BLOCK_MS = 20
CEILING = 10 ** (-1.5 / 20)
LIMITER_MS = 5
RELEASE = 10 ** (0.15 / 20)
"""By how much the limiter lets go in each of its blocks: 30 dB a second."""
MOST_VOICES = 256
_QUIETEST = 1e-10


@dataclass(frozen=True, slots=True)
class Level:
    """Of active speech, in dBFS, measured over so many seconds of it."""

    dbfs: float = TARGET_DBFS
    seconds: float = 0.0

    def and_then(self, later: Level) -> Level:
        """What both say together; the last half minute counts."""
        kept = min(self.seconds, max(0.0, REMEMBERED_SECONDS - later.seconds))
        seconds = kept + later.seconds
        return Level((self.dbfs * kept + later.dbfs * later.seconds) / seconds, seconds) if seconds else self


class KnownVoices:
    """What earlier sentences measured, by the synthesizer's identity; the 256 voices used last."""

    def __init__(self) -> None:
        self._levels: OrderedDict[str, Level] = OrderedDict()

    def level(self, identity: str) -> Level:
        """Of no seconds when the voice is unknown."""
        return self._levels.get(identity, Level())

    def learn(self, identity: str, sentence: Level) -> None:
        """A sentence of that voice has been measured."""
        self._levels[identity] = self.level(identity).and_then(sentence)
        self._levels.move_to_end(identity)
        if len(self._levels) > MOST_VOICES:
            self._levels.popitem(last=False)


class Loudness:
    """Normalises one sentence as it comes. ``rate``: Hz; ``known``: the voice's level so far."""

    def __init__(self, rate: int, known: Level) -> None:
        self.rate = rate
        self._known = known
        self._meter = Meter(rate)
        self._gain_db = _limited(TARGET_DBFS - known.dbfs) if known.seconds else 0.0
        self._has_sounded = known.seconds > 0
        self._gains_db: list[float] = []
        self._limiter = Limiter(rate)

    @property
    def measured(self) -> Level:
        """This sentence, so far."""
        return self._meter.level

    @property
    def is_steady(self) -> bool:
        """Whether the gain has been about the same so far, as it is once the voice is known."""
        return not self._gains_db or max(self._gains_db) - min(self._gains_db) <= STEADY_DB

    def process(self, samples: Samples) -> Samples:
        """The sound so far, but for the last 5 to 10 ms."""
        self._meter.add(samples)
        wanted = self._wanted_db()
        if self._has_sounded:
            most = DB_A_SECOND * len(samples) / self.rate
            wanted = min(max(wanted, self._gain_db - most), self._gain_db + most)
        first, last = (10 ** (gain / 20) for gain in (self._gain_db if self._has_sounded else wanted, wanted))
        self._gain_db = wanted
        if self._has_sounded or self._meter.level.seconds:
            self._has_sounded = True
            self._gains_db.append(wanted)
        if first == last:
            return self._limiter.process(samples * np.float32(last))
        return self._limiter.process(samples * np.linspace(first, last, len(samples), dtype=np.float32))

    def finish(self) -> Samples:
        """The rest."""
        return self._limiter.finish()

    def _wanted_db(self) -> float:
        if self._known.seconds >= KNOWN_SECONDS:
            return self._gain_db
        level = Level(TARGET_DBFS, DOUBT_SECONDS).and_then(self._known).and_then(self._meter.level)
        return _limited(TARGET_DBFS - level.dbfs)


class Meter:
    """Measures active speech."""

    def __init__(self, rate: int) -> None:
        self._block = rate * BLOCK_MS // 1000
        self._rest: Samples = np.zeros(0, np.float32)
        self._powers: list[NDArray[np.float64]] = []
        self.level = Level()

    def add(self, samples: Samples) -> None:
        """The next samples."""
        samples = np.concatenate((self._rest, samples))
        whole = len(samples) - len(samples) % self._block
        self._rest = samples[whole:]
        if not whole:
            return
        powers = np.square(samples[:whole].reshape(-1, self._block), dtype=np.float64).mean(axis=1)
        self._powers.append(powers[powers > 10 ** (FLOOR_DBFS / 10)])
        self.level = self._measure()

    def _measure(self) -> Level:
        active = np.concatenate(self._powers)
        self._powers = [active]
        if not len(active):
            return Level()
        active = active[active > active.mean() / 10 ** (MARGIN_DB / 10)]
        return Level(10 * math.log10(active.mean()), len(active) * BLOCK_MS / 1000)


class Limiter:
    """Turns the loudest 5 ms down before they come, and slowly up again: no sample is above the ceiling, none is cut off."""

    def __init__(self, rate: int) -> None:
        self._block = rate * LIMITER_MS // 1000
        self._held: Samples = np.zeros(0, np.float32)
        self._gain = 1.0

    def process(self, samples: Samples) -> Samples:
        """What has come so far, but for one block and a part of one."""
        samples = np.concatenate((self._held, samples))
        blocks = len(samples) // self._block
        if blocks < 2:
            self._held = samples
            return samples[:0]
        whole = blocks * self._block
        peaks = np.abs(samples[:whole].reshape(blocks, self._block)).max(axis=1)
        ready = whole - self._block
        self._held = samples[ready:]
        if self._gain == 1 and peaks.max() <= CEILING:
            return samples[:ready]
        gains = self._gains(np.minimum(1.0, CEILING / np.maximum(peaks, _QUIETEST)).tolist())
        curve = np.interp(np.arange(ready), np.arange(blocks) * self._block, gains)
        return samples[:ready] * curve.astype(np.float32)

    def finish(self) -> Samples:
        """What was held back."""
        held = len(self._held)
        silence = np.zeros(2 * self._block, np.float32)
        return self.process(silence)[:held]

    def _gains(self, needed: list[float]) -> list[float]:
        """The gain at the beginning of each block: such that on the way to the next it is never above what the block needs."""
        gains = [self._gain]
        for before, after in pairwise(needed):
            gains.append(min(before, after, gains[-1] * RELEASE))
        self._gain = gains[-1]
        return gains


def _limited(gain_db: float) -> float:
    return min(MOST_DB, max(-MOST_DB, gain_db))
