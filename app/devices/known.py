"""The devices as a running server knows them: what was decided about them in memory, what was seen of them on its way to disk."""

from __future__ import annotations

import logging
import random
from collections import OrderedDict
from collections.abc import Callable

import gevent
from gevent.event import Event
from sqlalchemy.exc import DataError, IntegrityError

from app.devices.database import DatabaseUnavailable
from app.devices.models import STRANGER, Sighting, Standing
from app.devices.store import DeviceStore
from app.figures import DeviceFigures

log = logging.getLogger(__name__)

MAX_CACHED = 50_000
MAX_WAITING = 20_000
"""Devices whose sighting waits for the database; above it those of further devices are dropped and counted."""
BATCH = 500
FLUSH_SECONDS = 2.0
LONGEST_PAUSE = 60.0
LOOKUP_SECONDS = 2.0
TIDY_ROUNDS = 150

NOT_ACTIVATED = "This device is not activated: restart it, and activate it with the code that it shows."
NOT_READY = "The server cannot look up this device now: try again in a minute."


class KnownDevices:
    """``enforce``: whether a device has to be activated (``auth.enable``).

    Nothing here waits for the database but `standing_of` for a device that is not in memory; an outage is ridden out.
    """

    def __init__(self, store: DeviceStore, migrate: Callable[[], None], *, enforce: bool) -> None:
        self._store = store
        self._migrate = migrate
        self._enforce = enforce
        self._cache: OrderedDict[str, Standing] = OrderedDict()
        self._holds_all = False
        """Whether everything that was decided is in the cache, so that who is not in it is a stranger."""
        self._active: set[str] | None = None
        self._waiting: dict[str, Sighting] = {}
        self._gone: set[str] = set()
        """Deleted since the last round began: what that one read of them holds no longer."""
        self._since = 0
        self._migrated = False
        self._trouble: str | None = "the database has not been opened yet"
        self._failures = 0
        self._rounds = 0
        self._wake = Event()
        self._greenlet: gevent.Greenlet | None = None
        self._written = self._dropped = self._errors = 0

    def start(self) -> None:
        """Opens the database in the background, and keeps at it."""
        if self._greenlet is None:
            self._greenlet = gevent.spawn(self._run)

    def stop(self) -> None:
        """Writes what waits, if the database answers soon."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is None:
            return
        greenlet.kill()
        if self._trouble is None:
            with gevent.Timeout(1.5, False):
                try:
                    self._flush()
                except DatabaseUnavailable as fault:
                    log.warning("%s; %d devices seen last are not remembered", fault, len(self._waiting))

    def readiness(self) -> str | None:
        """None when the database answers, else why not."""
        return self._trouble

    def figures(self) -> DeviceFigures:
        """What has been counted up to now."""
        return DeviceFigures(
            database_up=self._trouble is None,
            written=self._written,
            waiting=len(self._waiting),
            dropped=self._dropped,
            errors=self._errors,
        )

    def seen(self, sighting: Sighting) -> None:
        """To be remembered, soon."""
        if sighting.device_id not in self._waiting and len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
            return
        self._waiting[sighting.device_id] = sighting

    def standing_of(self, device_id: str) -> Standing:
        """What was decided about the device. Raises DatabaseUnavailable when that is neither in memory nor to be had."""
        standing = self._cache.get(device_id)
        if standing is not None:
            self._cache.move_to_end(device_id)
            return standing
        if self._holds_all:
            return STRANGER
        if self._trouble is not None:
            raise DatabaseUnavailable(self._trouble)
        try:
            standing = self._store.standing(device_id, LOOKUP_SECONDS) or STRANGER
        except DatabaseUnavailable as fault:
            self._fail(fault)
            raise
        self._put(device_id, standing)
        return standing

    def peek(self, device_id: str) -> Standing:
        """What is known without asking the database."""
        return self._cache.get(device_id, STRANGER)

    def decided(self, device_id: str, standing: Standing) -> None:
        """An operator has decided; from now on that counts."""
        self._put(device_id, standing)
        if self._active is None:
            return
        if standing.active:
            self._active.add(device_id)
        else:
            self._active.discard(device_id)

    def forgotten(self, device_id: str) -> None:
        """An operator has deleted the device; it is a stranger from now on."""
        self._waiting.pop(device_id, None)
        self._gone.add(device_id)
        self.decided(device_id, STRANGER)

    def refusal(self, device_id: str) -> str | None:
        """Why this device may not talk, as a sentence for it to show; None when it may. Waits for nothing."""
        if not self._enforce:
            return None
        if self._active is None:
            return NOT_READY
        return None if device_id in self._active else NOT_ACTIVATED

    def _put(self, device_id: str, standing: Standing) -> None:
        self._cache[device_id] = standing
        self._cache.move_to_end(device_id)
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
            self._holds_all = False

    def _run(self) -> None:
        while True:
            try:
                self._round()
            except DatabaseUnavailable as fault:
                self._fail(fault)
                pause = min(LONGEST_PAUSE, 2.0 ** min(self._failures, 6) / 2) * random.uniform(0.75, 1.25)
            except Exception:
                log.exception("the devices could not be brought up to date")
                self._errors += 1
                pause = LONGEST_PAUSE
            else:
                pause = FLUSH_SECONDS
            self._wake.wait(pause)
            self._wake.clear()

    def _round(self) -> None:
        if not self._migrated:
            self._migrate()
            self._migrated = True
        began = self._store.now()
        self._gone.clear()
        if self._enforce and self._active is None:
            self._active = self._store.active_ids()
        changes = self._store.changes(self._since) if self._since else self._store.decisions(MAX_CACHED)
        self._holds_all = self._holds_all or (not self._since and len(changes) < MAX_CACHED)
        for device_id, standing in changes.items():
            if device_id not in self._gone:
                self.decided(device_id, standing)
        self._since = began
        self._flush()
        self._rounds += 1
        if self._rounds % TIDY_ROUNDS == 0:
            self._tidy()
        if self._trouble is not None and self._failures:
            log.info("the database answers again")
        self._trouble, self._failures = None, 0

    def _flush(self) -> None:
        while self._waiting:
            batch = dict(list(self._waiting.items())[:BATCH])
            try:
                self._store.remember(list(batch.values()))
            except (DataError, IntegrityError) as fault:
                log.error("%d devices cannot be remembered: %.200s", len(batch), fault.orig)
                self._dropped += len(batch)
            else:
                self._written += len(batch)
            for device_id, sighting in batch.items():
                if self._waiting.get(device_id) is sighting:
                    del self._waiting[device_id]

    def _tidy(self) -> None:
        forgotten = self._store.forget_strangers()
        if forgotten:
            log.warning("%d devices that nobody activated or named are forgotten: too many are remembered", forgotten)

    def _fail(self, fault: DatabaseUnavailable) -> None:
        self._errors += 1
        self._failures += 1
        if self._trouble is None or self._failures == 1:
            log.error("%s; devices are served from memory until it answers", fault)
        self._trouble = str(fault)
