"""Which devices are connected over MQTT, and the topic under which each is reached: what lets the server speak first.

Where the broker side announces who comes and goes (PROTOCOL.md 3), that is known. Where it does not, or announcements may have
been missed, all that is known is the topic on which a device last spoke.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from app.journal import Journal
from app.protocol import topics
from app.protocol.malformed import Malformed

MAX_DEVICES = 100_000
LOOKED_AT = 10_000
STRAGGLERS_SECONDS = 2.0
"""So late a message of a device may come after the word that it has gone: they take different ways through the broker."""


class Connected(Enum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Presence:
    """``topic``: where the device is reached, None when that was never heard; ``since``: seconds since the epoch at which it came
    or went, None when ``connected`` is UNKNOWN."""

    connected: Connected = Connected.UNKNOWN
    topic: str | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True)
class _Word:
    """The last word on one device. ``at``: seconds since the epoch; ``connects``: our own connections at that time."""

    online: bool
    at: float
    connects: int


class MqttPresence:
    """Remembers the MAX_DEVICES heard of last. ``kept``: the journal of their topics, for the next process; ``connects()``: how
    often we have connected to the broker; ``clock``: seconds since the epoch."""

    def __init__(self, kept: Journal, connects: Callable[[], int], clock: Callable[[], float] = time.time) -> None:
        self._kept = kept
        self._connects = connects
        self._clock = clock
        self._words: OrderedDict[str, _Word] = OrderedDict()
        self._broker_started = 0.0
        self._announces = False
        """Whether this broker side tells who comes and goes."""

    def spoke(self, sender: topics.Sender) -> None:
        """The device published something: it is connected, and is answered in the spelling in which it spoke."""
        self._kept.put(sender.device_id, sender.reply_topic)
        if self._announces and not self._says_enough(self._words.get(sender.device_id)):
            self._put(sender.device_id, online=True, at=self._clock())

    def announced(self, device: str, client_id: str, *, online: bool, at: float) -> None:
        """The broker side says that a device came or went at ``at`` (seconds since the epoch). Nonsense is ignored."""
        try:
            device_id, client = topics.device_id(device), topics.ClientId.parse(client_id)
        except Malformed:
            return
        self._announces = True
        if online:
            self._kept.put(device_id, topics.device_sub_topic(client.mac))
        self._put(device_id, online=online, at=at)

    def broker_started(self, at: float) -> None:
        """The broker's process, which announces, says since when it has run: what one before it said holds no longer."""
        self._announces = True
        self._broker_started = at

    @property
    def announces(self) -> bool:
        """Whether this broker side tells who comes and goes."""
        return self._announces

    def of(self, device_id: str) -> Presence:
        """What is known of the device now."""
        topic, word = self._kept.get(device_id), self._words.get(device_id)
        if not isinstance(topic, str):
            topic = None
        if word is None or not self._holds(word):
            return Presence(Connected.UNKNOWN, topic)
        return Presence(Connected.YES if word.online else Connected.NO, topic, word.at)

    def connected(self, most: int) -> list[str]:
        """Up to ``most`` devices that are known to be connected, those that came last first; of the LOOKED_AT last words."""
        last = islice(reversed(self._words.items()), LOOKED_AT)
        return list(islice((device_id for device_id, word in last if word.online and self._holds(word)), most))

    def _says_enough(self, word: _Word | None) -> bool:
        """Whether a message of the device adds nothing to the last word on it."""
        if word is None:
            return False
        return self._holds(word) if word.online else self._clock() - word.at <= STRAGGLERS_SECONDS

    def _holds(self, word: _Word) -> bool:
        """Whether no announcement after this one can have been missed."""
        return word.connects == self._connects() and word.at >= self._broker_started

    def _put(self, device_id: str, *, online: bool, at: float) -> None:
        self._words[device_id] = _Word(online, at, self._connects())
        self._words.move_to_end(device_id)
        if len(self._words) > MAX_DEVICES:
            self._words.popitem(last=False)
