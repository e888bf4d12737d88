"""Speech in packets that do not tell it: CELT and hybrid ones are decoded, and WebRTC's detector is asked (PROTOCOL.md 6).

That is work of 50 µs and more a packet, so it is done in gevent's thread pool, several packets at a time, and the answers come
later; they come in order.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent

from app.opus.codec import MICROPHONE_SAMPLE_RATE, SAMPLE_BYTES, Decoder, OpusMissing
from app.protocol.malformed import Malformed

log = logging.getLogger(__name__)

AGGRESSIVENESS = 3
"""Of the detector, 0 to 3: 3 takes the least noise for speech."""
HANGOVER_MS = 100
"""How long the detector goes on after speech: five frames of 20 ms."""
JOB_MS = 60
"""A job is worth a way to the pool from so much audio on."""
MOST_WAITING_MS = 2_000
"""How much audio may wait for the pool. Then the oldest is passed over, and taken for what came before it."""

Flags = tuple[bool, ...]


class DecodedSpeech:
    """Tells ``on_flags`` of each packet, in order, whether each of its parts of ``flag_ms`` (10 or 20) holds speech.

    ``on_flags`` is called in a greenlet of this object's own. `passed_over`: packets that the pool was too slow for; `is_deaf`:
    there is no decoder, and nothing will ever be told.
    """

    __slots__ = (
        "_detector",
        "_is_closed",
        "_job",
        "_last",
        "_most",
        "_on_flags",
        "_skipped",
        "_waiting",
        "_worker",
        "is_deaf",
        "passed_over",
    )

    def __init__(self, frame_duration_ms: int, flag_ms: int, on_flags: Callable[[Flags], None]) -> None:
        self._on_flags = on_flags
        silence = (False,) * max(1, frame_duration_ms // flag_ms)
        self._last = silence
        self._detector = _Detector(flag_ms, silence)
        self._job = max(1, JOB_MS // frame_duration_ms)
        self._most = MOST_WAITING_MS // frame_duration_ms
        self._waiting: deque[bytes] = deque()
        self._skipped = 0
        self._worker: gevent.Greenlet | None = None
        self._is_closed = False
        self.passed_over = 0
        self.is_deaf = False

    @property
    def is_behind(self) -> bool:
        """Whether a job is under way, so that more will be told of what was added."""
        return self._worker is not None

    def add(self, packet: bytes) -> None:
        """One packet, in the order of arrival. Returns at once."""
        if self._is_closed:
            return
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self._skipped += 1
            self.passed_over += 1
        self._waiting.append(packet)
        if self._worker is None and len(self._waiting) >= self._job:
            self._worker = gevent.spawn(self._work)

    def close(self) -> None:
        """Nothing is told from here on; twice is fine, and in ``on_flags`` too. A job under way ends unheard."""
        self._is_closed = True
        self._waiting.clear()

    def _work(self) -> None:
        pool = gevent.get_hub().threadpool
        try:
            while len(self._waiting) >= self._job:
                packets, skipped = list(self._waiting), self._skipped
                self._waiting.clear()
                self._skipped = 0
                found = pool.apply(self._detector.flags_of, (packets,))
                for flags in [self._last] * skipped + found:
                    if self._is_closed:
                        return
                    self._last = flags
                    self._on_flags(flags)
        except OpusMissing as error:
            log.error("the end of speech in CELT and hybrid Opus is not found. %s", error)
            self.is_deaf = True
            self.close()
        finally:
            self._worker = None


class _Detector:
    """Decoder and detector of one stream. Used by one job at a time, in whatever thread."""

    def __init__(self, flag_ms: int, unknown: Flags) -> None:
        self._frame_bytes = MICROPHONE_SAMPLE_RATE * flag_ms // 1000 * SAMPLE_BYTES
        self._unknown = unknown
        self._decoder: Decoder | None = None
        self._is_speech: Callable[[bytes, int], bool] | None = None

    def flags_of(self, packets: list[bytes]) -> list[Flags]:
        """The flags of each; of one that cannot be decoded, that it holds no speech."""
        if self._decoder is None or self._is_speech is None:
            import webrtcvad  # type: ignore[import-untyped]  # takes 100 ms, and where all devices send SILK nobody needs it

            detector: Any = webrtcvad.Vad(AGGRESSIVENESS)
            self._is_speech = detector.is_speech
            self._decoder = Decoder(MICROPHONE_SAMPLE_RATE)
        flags = []
        for packet in packets:
            try:
                flags.append(self._flags(self._decoder.decode(packet), self._is_speech))
            except Malformed:
                flags.append(self._unknown)
        return flags

    def _flags(self, pcm: bytes, is_speech: Callable[[bytes, int], bool]) -> Flags:
        size = self._frame_bytes
        whole = range(0, len(pcm) - size + 1, size)
        return tuple([is_speech(pcm[start : start + size], MICROPHONE_SAMPLE_RATE) for start in whole]) or self._unknown
