"""All sessions of this server: opened by hello, found by id, ended when idle, counted.

A device has one session at a time. The ids of open sessions are also kept in a journal, so that after a crash the next process
can say goodbye to devices that would otherwise wait for one that no longer exists (PROTOCOL.md 1.6).
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable

from app.journal import Journal
from app.logs import about
from app.protocol.malformed import Malformed
from app.sections import Sessions as Limits
from app.session.channel import Channel
from app.session.session import Conversation, Session, Terms
from app.session.state import Event
from app.session.timings import TimingFigures, Timings
from app.session.trails import Trails
from app.session.transcript import Transcripts
from app.throttle import Throttle
from app.timers import Timer, Timers

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0


class Refused(Exception):
    """A hello that gets no session. ``result`` is its name among the figures; the text is for the device's screen."""

    def __init__(self, result: str, sentence: str) -> None:
        super().__init__(sentence)
        self.result = result

    @classmethod
    def not_understood(cls, fault: Malformed) -> Refused:
        """Of a hello that breaks the protocol."""
        return cls("refused_malformed", f"This hello cannot be understood: {str(fault).removeprefix('hello: ')}.")


class Registry:
    """``converse`` makes the conversation of a session that has been opened; ``may_talk(device_id)`` is None, or the sentence
    that says why that device gets no session on any transport. ``trails``: where the ways of devices are noted; ``transcripts``
    and ``timings``: what is kept and measured of all sessions. ``epoch``: seconds since then."""

    def __init__(
        self,
        limits: Limits,
        timers: Timers,
        journal: Journal,
        converse: Callable[[Session], Conversation],
        may_talk: Callable[[str], str | None] = lambda _device_id: None,
        *,
        trails: Trails | None = None,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self._limits = limits
        self._timers = timers
        self._journal = journal
        self._converse = converse
        self._may_talk = may_talk
        self._by_id: dict[str, Session] = {}
        self._by_device: dict[str, Session] = {}
        self._hellos = Throttle(limits.hellos_per_minute / 60, limits.hellos_per_minute, 100_000, timers.clock)
        self._sweep: Timer | None = None
        self.trails = Trails(epoch) if trails is None else trails
        self.transcripts = Transcripts(timers, epoch)
        self.timings = TimingFigures()
        self.started = 0
        self.ended: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._by_id)

    def admit(self, device_id: str) -> None:
        """Says whether this device's hello may have a session now. Raises Refused."""
        refusal = self._may_talk(device_id)
        if refusal is not None:
            raise Refused("refused_inactive", refusal)
        if not self._hellos.allows(device_id):
            raise Refused("refused_rate", "Too many hellos in a minute. Wait a moment, then try again.")
        if len(self._by_id) >= self._limits.max and device_id not in self._by_device:
            raise Refused("refused_full", "The server has no room for another conversation. Try again later.")

    def open(self, device_id: str, channel: Channel, terms: Terms, note: str) -> Session:
        """A fresh session for an admitted device; the one it had ends. ``note`` stands in the journal for the channel."""
        before = self._by_device.get(device_id)
        if before is not None:
            before.end(Event.REPLACED)
        session = Session(
            device_id,
            channel,
            terms,
            now=self._timers.clock(),
            on_end=self._forget,
            timings=Timings(self.timings),
            transcript=self.transcripts.begin(),
        )
        self._by_id[session.id] = self._by_device[device_id] = session
        self._journal.put(session.id, note)
        self.started += 1
        self.trails.hello_answered(device_id)
        session.begin(self._converse(session))
        log.info("%s: session %s opened", device_id, session.id, extra=about(device_id, session.id))
        return session

    def of_id(self, identity: str) -> Session | None:
        return self._by_id.get(identity)

    def of_device(self, device_id: str) -> Session | None:
        return self._by_device.get(device_id)

    def sessions(self) -> list[Session]:
        """Those of this moment, oldest first."""
        return list(self._by_id.values())

    def start(self) -> None:
        """Begins to end idle sessions; twice is fine."""
        if self._sweep is None:
            self._sweep = self._timers.after(SWEEP_SECONDS, self._end_idle)

    def stop(self) -> None:
        """Ends every session with a goodbye; twice is fine."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for session in list(self._by_id.values()):
            session.end(Event.SHUTDOWN)

    def _end_idle(self) -> None:
        now = self._timers.clock()
        idle = []
        for session in self._by_id.values():
            if session.heard or session.is_speaking:
                session.heard = False
                session.heard_at = now
            elif now - session.heard_at >= self._limits.idle_seconds:
                idle.append(session)
        for session in idle:
            session.end(Event.IDLE)
        self._sweep = self._timers.after(SWEEP_SECONDS, self._end_idle)

    def _forget(self, session: Session, reason: Event) -> None:
        del self._by_id[session.id]
        if self._by_device.get(session.device_id) is session:
            del self._by_device[session.device_id]
        self._journal.remove(session.id)
        self.transcripts.ended(session.device_id, session.transcript)
        self.ended[reason.value] += 1
        lasted = self._timers.clock() - session.started_at
        self.trails.session_over(session, reason.value, lasted)
        whom = about(session.device_id, session.id)
        log.info("%s: session %s ended after %.1f s: %s", session.device_id, session.id, lasted, reason.value, extra=whom)
