"""What a device heard: each frame with its time, and what can be said about the whole (PROTOCOL.md 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from app.client.playback import Playback

MAX_FRAMES = 20_000
"""Frames kept of one reply; more are counted only."""


class Fate(Enum):
    """What became of a frame that came in order."""

    PLAYED = "played"
    OVERFLOWED = "overflowed"
    """The playback queue was full."""
    DISCARDED = "discarded"
    """The device was not speaking."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One downlink packet, opened. ``arrival``: monotonic seconds; ``timestamp``: ms, as the server stamped it."""

    arrival: float
    sequence: int
    timestamp: int
    payload: bytes
    fate: Fate


class Reply:
    """One reply as the device heard it, growing until its ``tts stop``.

    ``sent``: the packets that the microphone sent for it. ``started_at``, ``stopped_at``: when ``tts start`` and ``tts stop``
    came. ``asked_at``: when the recording's last packet had been sent. All times are monotonic seconds.
    """

    def __init__(self, frame_duration_ms: int, sample_rate: int, last_sequence: int = 0) -> None:
        self.frame_duration_ms = frame_duration_ms
        self.sample_rate = sample_rate
        self.sent: Sequence[bytes] = ()
        self.frames: list[Frame] = []
        self.unrecorded = 0
        self.texts: list[str] = []
        self.asked_at: float | None = None
        self.started_at: float | None = None
        self.stopped_at: float | None = None
        self.playback = Playback(frame_duration_ms)
        self.last_sequence = last_sequence
        """The last sequence accepted before this reply: what is missing behind it was lost."""

    def add(self, frame: Frame) -> None:
        """Records a frame."""
        if len(self.frames) < MAX_FRAMES:
            self.frames.append(frame)
        else:
            self.unrecorded += 1

    @property
    def complete(self) -> bool:
        """Whether its ``tts stop`` has come."""
        return self.stopped_at is not None

    @property
    def heard(self) -> list[bytes]:
        """The packets that were played, in the order in which they were."""
        return [frame.payload for frame in self.frames if frame.fate is Fate.PLAYED]

    @property
    def discarded(self) -> int:
        """Frames that came while the device was not speaking."""
        return sum(frame.fate is Fate.DISCARDED for frame in self.frames)

    @property
    def overflowed(self) -> int:
        return self.playback.overflowed

    @property
    def underruns(self) -> int:
        return self.playback.underruns

    @property
    def lost(self) -> int:
        """Sequence numbers missing before the last frame that came."""
        if not self.frames:
            return 0
        return self.frames[-1].sequence - self.last_sequence - len(self.frames)

    @property
    def lateness_ms(self) -> list[float]:
        """For each frame of the reply how much later it came than real time from the first one on; early is 0."""
        spoken = [frame for frame in self.frames if frame.fate is not Fate.DISCARDED]
        if not spoken:
            return []
        first, step = spoken[0], self.frame_duration_ms / 1000
        return [max(0.0, (frame.arrival - first.arrival - (frame.sequence - first.sequence) * step) * 1000) for frame in spoken]

    @property
    def pace_ms(self) -> list[float]:
        """For each frame behind the head start how far it came behind the one of them that was most ahead of real time.

        A head start hides a server's jitter from `lateness_ms`; this shows it. The head start is the leading frames that came
        within half a frame of one another.
        """
        spoken = [frame for frame in self.frames if frame.fate is not Fate.DISCARDED]
        step = self.frame_duration_ms / 1000
        gaps = (index for index, (one, next_one) in enumerate(pairwise(spoken), 1) if next_one.arrival - one.arrival > step / 2)
        paced = [frame.arrival - frame.sequence * step for frame in spoken[next(gaps, 0) :]]
        ahead = min(paced, default=0.0)
        return [(offset - ahead) * 1000 for offset in paced]

    @property
    def first_audio_ms(self) -> float | None:
        """From the recording's last packet to the first frame played; None when the reply began before, or never."""
        begun = self.playback.started_at
        if begun is None or self.asked_at is None or begun < self.asked_at:
            return None
        return (begun - self.asked_at) * 1000

    @property
    def playout_ends_at(self) -> float | None:
        """When the last frame has been played; None where none was."""
        return self.playback.ends_at if self.playback.played else None

    @property
    def stop_margin_ms(self) -> float | None:
        """How long after the play-out's end ``tts stop`` came; negative: so much of the last sentence was cut off."""
        if self.stopped_at is None or self.playout_ends_at is None:
            return None
        return (self.stopped_at - self.playout_ends_at) * 1000

    @property
    def offset_in_sent(self) -> int | None:
        """Where in ``sent`` the packets heard begin, when they are one contiguous run of it, in order; None otherwise."""
        return find_run(self.heard, self.sent)

    def summary(self) -> dict[str, object]:
        """The figures of the reply, as plain JSON values."""
        late = self.lateness_ms
        pace = self.pace_ms
        begun = self.first_audio_ms
        margin = self.stop_margin_ms
        return {
            "packets_sent": len(self.sent),
            "packets_heard": len(self.heard),
            "equal_to_sent": self.offset_in_sent is not None,
            "late_p99_ms": round(percentile(late, 99), 3),
            "late_max_ms": round(max(late, default=0.0), 3),
            "pace_p99_ms": round(percentile(pace, 99), 3),
            "pace_max_ms": round(max(pace, default=0.0), 3),
            "lost": self.lost,
            "overflowed": self.overflowed,
            "discarded": self.discarded,
            "underruns": self.underruns,
            "first_audio_ms": None if begun is None else round(begun, 3),
            "stop_after_playout": margin is not None and margin >= 0,
            "stop_margin_ms": None if margin is None else round(margin, 3),
        }


def find_run(heard: Sequence[bytes], sent: Sequence[bytes]) -> int | None:
    """The index in ``sent`` at which ``heard`` is a contiguous run of it; None when it is nowhere, or empty."""
    if not heard:
        return None
    heard, sent = list(heard), list(sent)
    for start in range(len(sent) - len(heard) + 1):
        if sent[start : start + len(heard)] == heard:
            return start
    return None


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` of 100 of them do not exceed; 0 when there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * percent // 100) - 1)]
