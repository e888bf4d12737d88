"""A reachable house in which everything is looked at: devices' ways in, vitals, transcripts."""

from __future__ import annotations

from pathlib import Path

from app.protocol.messages import Listen
from app.session.live import Live
from app.session.session import Session
from app.session.vitals import SAMPLE_SECONDS, Vitals
from app.session.way_in import Leg, Step, WayIn
from tests.session.reachable_house import MAC, ReachableHouse


class LiveHouse(ReachableHouse):
    """``broker_is_ready`` and ``refusals``: what the broker says; ``refusal``: why devices may not talk."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        super().__init__(directory)
        self.broker_is_ready = True
        self.refusals = 0
        self.refusal: str | None = None
        self.vitals = Vitals(self.registry, self.timers, clock=lambda: self.now, most=3)
        self.trails = self.registry.trails
        self.way_in = WayIn(
            self.trails,
            self.presence,
            self.registry.of_device,
            broker_is_ready=lambda: self.broker_is_ready,
            refusals=lambda: self.refusals,
            may_talk=lambda _device: self.refusal,
            clock=self.clock,
            epoch=lambda: self.now,
        )
        self.live = Live(self.registry, self.presence, self.way_in, self.vitals, clock=self.clock, epoch=lambda: self.now)

    def step(self, leg: Leg, device_id: str = MAC) -> Step:
        return next(step for step in self.way_in.of(device_id) if step.leg is leg)

    def told(self, leg: Leg, device_id: str = MAC) -> tuple[str, str]:
        """State and code of a leg."""
        step = self.step(leg, device_id)
        return step.state.value, step.code

    def hears(self, session: Session, packets: int = 1, frame_seconds: float = 0.06) -> None:
        """So many packets come, evenly, on any transport."""
        for _ in range(packets):
            self.clock.now += frame_seconds
            self.now += frame_seconds
            session.channel.reception.next(self.clock.now)
            session.receive_audio(session.channel.reception.packets, b"\x58")

    def listens(self, session: Session) -> None:
        """The device begins to."""
        session.receive(Listen(state="start", mode="auto"))

    def sample(self, times: int = 1) -> None:
        """So many samples are taken."""
        for _ in range(times):
            self.pass_time(SAMPLE_SECONDS)
