"""The devices as their conversations know them: name, language, prompt and voice, and what was said before.

Nothing here waits for the database but `Memory.forget`; an outage is ridden out: conversations begin without their past, and what
is said meanwhile is put behind it when the database answers again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

import gevent
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from sqlalchemy.exc import DataError, IntegrityError

from app.devices.database import DatabaseUnavailable
from app.devices.history import HistoryStore
from app.devices.models import Remembered
from app.turn import give_way
from app.voice.history import History, from_json

log = logging.getLogger(__name__)

MAX_WAITING = 20_000
"""Devices whose history waits to be written, and likewise those that wait to be read; further ones are dropped and counted."""
BATCH = 100
FLUSH_SECONDS = 2.0
LONGEST_PAUSE = 10.0
OPENING_SECONDS, OPENING_PAUSE = 3.0, 0.02
"""At the start the database may take so long to be opened before its absence is an outage."""
TIDY_ROUNDS = 150


@dataclass(frozen=True, slots=True)
class Profile:
    """``language``: what the device's OTA request said; ``prompt`` and ``voice``: the device's own. All may be empty."""

    name: str = ""
    language: str = ""
    prompt: str = ""
    voice: str = ""


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """``written``: histories; ``dropped``: those that were not, because too many waited or the database refused them."""

    written: int
    waiting: int
    dropped: int
    errors: int


class DeviceMemory:
    """What is known of one device. Until it has been read, profile and history are empty, and can be used."""

    def __init__(self, device_id: str, most: int, save: Callable[[DeviceMemory], None]) -> None:
        self.device_id = device_id
        self.profile = Profile()
        self.history = History(most)
        self.is_loaded = False
        self.revision = 0
        self._save = save
        self._settled = Event()

    def wait_loaded(self, seconds: float) -> bool:
        """Whether it has been read, after at most ``seconds``; at once when the database does not answer."""
        self._settled.wait(seconds)
        return self.is_loaded

    def save(self) -> None:
        """A turn is over: to be written, soon. Returns at once."""
        self.revision += 1
        self._save(self)

    def restore(self, remembered: Remembered) -> None:
        """It has been read."""
        self.profile = Profile(remembered.name, remembered.language, remembered.prompt, remembered.voice)
        if not self.is_loaded:
            self.history.put_before(from_json(remembered.messages))
            self.is_loaded = True
        self._settled.set()

    def give_up_waiting(self) -> None:
        """It cannot be read now, but later perhaps."""
        self._settled.set()


class Memory:
    """All devices that talk, or talked and are not written yet.

    ``trouble``: why the database cannot be used now, None when it can; ``most``: messages of a history; ``clock``: seconds since
    the epoch.
    """

    def __init__(
        self, store: HistoryStore, trouble: Callable[[], str | None], most: int, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._trouble = trouble
        self._most = most
        self._clock = clock
        self._live: WeakValueDictionary[str, DeviceMemory] = WeakValueDictionary()
        self._wanted: dict[str, DeviceMemory] = {}
        self._waiting: dict[str, DeviceMemory] = {}
        self._turnstile = BoundedSemaphore(1)
        """Reading, writing and forgetting pass one by one, or what is forgotten could come back."""
        self._news = Event()
        self._greenlets: list[gevent.Greenlet] = []
        self._failures = 0
        self._rounds = 0
        self._written = self._dropped = self._errors = 0

    def start(self) -> None:
        """Reads and writes from now on."""
        if not self._greenlets:
            self._greenlets = [gevent.spawn(self._read_on), gevent.spawn(self._write_on)]

    def stop(self) -> None:
        """Writes what waits, if the database answers soon."""
        greenlets, self._greenlets = self._greenlets, []
        if not greenlets:
            return
        gevent.killall(greenlets)
        with gevent.Timeout(1.5, False):
            try:
                self._flush()
            except DatabaseUnavailable as fault:
                log.warning("%s", fault)
        if self._waiting:
            log.warning("what was said last with %d devices is not remembered", len(self._waiting))

    def figures(self) -> MemoryFigures:
        """What has been counted up to now."""
        return MemoryFigures(self._written, len(self._waiting), self._dropped, self._errors)

    def open(self, device_id: str) -> DeviceMemory:
        """For one session, or several; it is read in the background. Returns at once."""
        memory = self._live.get(device_id)
        if memory is None:
            memory = self._live[device_id] = DeviceMemory(device_id, self._most, self._save)
        if not self._want(memory) or self._failures:
            memory.give_up_waiting()
        return memory

    def reread(self, device_id: str) -> None:
        """An operator changed something: a session that lives gets to know it."""
        memory = self._live.get(device_id)
        if memory is not None:
            self._want(memory)

    def forget(self, device_id: str) -> bool:
        """Nothing was ever said with this device; False when nothing was. Raises DatabaseUnavailable."""
        with self._turnstile:
            was_kept = self._store.forget(device_id)
            was_waiting = self._waiting.pop(device_id, None) is not None
            memory = self._live.get(device_id)
            if memory is not None:
                memory.history.clear()
            return was_kept or was_waiting

    def _want(self, memory: DeviceMemory) -> bool:
        if memory.device_id not in self._wanted and len(self._wanted) >= MAX_WAITING:
            return False
        self._wanted[memory.device_id] = memory
        self._news.set()
        return True

    def _save(self, memory: DeviceMemory) -> None:
        # What has not been read must not be written over what is kept: it waits until both can be put together.
        is_readable = memory.is_loaded or self._want(memory)
        if not is_readable or (memory.device_id not in self._waiting and len(self._waiting) >= MAX_WAITING):
            self._dropped += 1
            return
        self._waiting[memory.device_id] = memory

    def _read_on(self) -> None:
        for _ in range(int(OPENING_SECONDS / OPENING_PAUSE)):
            if self._trouble() is None:
                break
            gevent.sleep(OPENING_PAUSE)
        while True:
            self._news.wait()
            self._news.clear()
            while not self._succeeds(self._load):
                gevent.sleep(self._pause())

    def _write_on(self) -> None:
        while True:
            gevent.sleep(FLUSH_SECONDS)
            while not self._succeeds(self._write):
                gevent.sleep(self._pause())

    def _pause(self) -> float:
        return min(LONGEST_PAUSE, 2.0 ** min(self._failures, 6) / 2) * random.uniform(0.75, 1.25)

    def _succeeds(self, work: Callable[[], bool]) -> bool:
        """``work`` tells whether it asked the database at all."""
        try:
            trouble = self._trouble()
            if trouble is not None and (self._wanted or self._waiting):
                raise DatabaseUnavailable(trouble)
            if trouble is None and work():
                self._failures = 0
        except DatabaseUnavailable as fault:
            self._errors += 1
            self._failures += 1
            if self._failures == 1:
                log.error("%s; conversations go on without what was said before until it answers", fault)
            for memory in self._wanted.values():
                memory.give_up_waiting()
            return False
        except Exception:
            log.exception("what was said could not be read or written")
            self._errors += 1
            self._failures += 1
            return False
        return True

    def _load(self) -> bool:
        has_asked = False
        while self._wanted:
            with self._turnstile:
                batch = dict(list(self._wanted.items())[:BATCH])
                for device_id in batch:
                    del self._wanted[device_id]
                has_asked = True
                try:
                    remembered = self._store.load(list(batch))
                except BaseException:  # a kill, too
                    self._wanted = {**batch, **self._wanted}
                    raise
                for device_id, memory in batch.items():
                    memory.restore(remembered[device_id])
                    give_way()
        return has_asked

    def _write(self) -> bool:
        has_asked = self._flush()
        self._rounds += 1
        if self._rounds % TIDY_ROUNDS == 0:
            forgotten = self._store.forget_oldest()
            if forgotten:
                log.warning("what was said with %d devices is forgotten: too many are remembered", forgotten)
        return has_asked

    def _flush(self) -> bool:
        has_asked = False
        while True:
            with self._turnstile:
                ready = [memory for memory in self._waiting.values() if memory.is_loaded][:BATCH]
                if not ready:
                    return has_asked
                has_asked = True
                revisions, texts = {}, {}
                for memory in ready:
                    revisions[memory.device_id], texts[memory.device_id] = memory.revision, memory.history.to_json()
                    give_way()
                try:
                    self._store.save(texts, int(self._clock() * 1000))
                except (DataError, IntegrityError) as fault:
                    log.error("what was said with %d devices cannot be remembered: %.200s", len(texts), fault.orig)
                    self._dropped += len(texts)
                else:
                    self._written += len(texts)
                for memory in ready:
                    if memory.revision == revisions[memory.device_id]:
                        self._waiting.pop(memory.device_id, None)
