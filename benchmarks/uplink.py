"""What an uplink packet costs, and how many a second one core takes."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import machine
from benchmarks.figures import Scrape
from benchmarks.fleet import Device, Fleet
from benchmarks.load import Child, Sent, audio_socket, await_empty, fill, pace
from benchmarks.mmsg import Train
from benchmarks.recordings import TURN_PACKETS, repeated
from benchmarks.report import Report, Row
from benchmarks.scale import Scale
from benchmarks.server import BenchServer

GOAL = "12"
NOTABLE = 0.03
MOST_REPEATED = 4
FILL_PREPARED = 170_000
"""Packets prepared for a second in which the worker is never idle: more than it takes."""
CATCH_UP_SECONDS = 0.1
"""A rate is kept up with when the queue it leaves is worked off in so much time."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One train sent. ``cpu``: seconds of the worker; ``behind``: seconds until its queue was empty after the last datagram."""

    sent: Sent
    accepted: int
    dropped: int
    cpu: float
    behind: float
    foreign: float
    """Share of the worker's core that others used during the trial: it explains losses that are not the server's."""

    @property
    def is_lossless(self) -> bool:
        return not self.dropped and self.accepted == self.sent.count

    @property
    def us_per_packet(self) -> float:
        return self.cpu / max(1, self.accepted) * 1e6


class Uplink:
    """Trials on one server, each with fresh sessions. ``packets``: the loop of speech all devices send."""

    def __init__(self, server: BenchServer, fleet: Fleet, packets: list[bytes], sessions: int) -> None:
        self._server = server
        self._fleet = fleet
        self._core = server.cores.load
        self._packets = packets
        self._sessions = sessions

    def trial(self, count: int, send: Callable[..., Sent], *, mode: str | None = "auto") -> Trial:
        """``count`` packets prepared, then sent by ``send(socket, train)``. ``mode`` None: nobody listens."""
        devices = self._ready(count, mode)
        train = self._train(devices, count)
        port = self._server.udp_port
        with audio_socket(port) as sock:
            before, drops = Scrape.of(self._server), machine.udp_queue(port).drops
            core, began = machine.busy_seconds(self._server.cores.server), time.monotonic()
            cpu = machine.cpu_seconds(self._server.worker)
            sent: Sent = Child(lambda: send(sock, train), self._core).result(60)
            behind = await_empty(port)
            cpu = machine.cpu_seconds(self._server.worker) - cpu
            core = machine.busy_seconds(self._server.cores.server) - core
            foreign = max(0.0, core - cpu) / (time.monotonic() - began)
            after = Scrape.of(self._server)
        return Trial(
            sent,
            after.since(before, "udp_received_total", "accepted"),
            machine.udp_queue(port).drops - drops,
            cpu,
            behind,
            foreign,
        )

    def _ready(self, count: int, mode: str | None) -> list[Device]:
        """Enough devices that no turn becomes too long, each in a fresh session that listens."""
        wanted = max(self._sessions, math.ceil(count / (TURN_PACKETS - 100)))
        missing = wanted - len(self._fleet.devices)
        if missing > 0:
            self._fleet.connect(missing)
        devices = self._fleet.devices[:wanted]
        self._fleet.open_sessions(devices)
        if mode is not None:
            self._fleet.tell(devices, {"type": "listen", "state": "start", "mode": mode})
        self._fleet.settle(devices)
        return devices

    def _train(self, devices: list[Device], count: int) -> Train:
        """One packet of each device in turn, everybody at another place of the loop."""
        gc.disable()
        try:
            rounds = math.ceil(count / len(devices))
            loops = [repeated(self._packets, rounds, 7 * index % len(self._packets)) for index in range(len(devices))]
            datagrams = [
                device.datagram(loop[turn]) for turn in range(rounds) for device, loop in zip(devices, loops, strict=True)
            ]
            return Train(datagrams[:count])
        finally:
            gc.enable()


def measure(server: BenchServer, fleet: Fleet, packets: list[bytes], scale: Scale, report: Report) -> None:
    """Figures 1 and 2."""
    uplink = Uplink(server, fleet, packets, scale.uplink_sessions)
    uplink.trial(scale.idle_packets // 4, lambda sock, train: pace(sock, train, 20_000))  # warms everything up
    report.section(f"CPU of an uplink packet, all told ({scale.uplink_sessions} sessions, {_mean(packets):.0f} bytes on average)")
    for mode, name in (("auto", "listening"), ("realtime", "realtime"), (None, "idle")):
        count = scale.paced_packets if mode == "auto" else scale.idle_packets
        rates = scale.paced_rates if mode == "auto" else scale.paced_rates[-1:]
        for rate in rates:
            trial = uplink.trial(count, lambda sock, train, rate=rate: pace(sock, train, rate), mode=mode)
            report.add(
                Row(
                    f"uplink_us_{name}_{rate}",
                    f"{name}, {rate:,} packets/s, evenly spaced",
                    trial.us_per_packet,
                    "µs",
                    _verdict(trial),
                    GOAL if mode == "auto" else "",
                )
            )
    fullest = _saturate(uplink, server, scale, report)
    report.section("Packets a second that one core accepts without loss")
    rate, trial, repeats = _lossless_rate(uplink, fullest, scale)
    note = "none of the rates tried was without loss"
    if trial is not None:
        note = f"{scale.loss_seconds} s: {_verdict(trial)}, {trial.us_per_packet:.2f} µs each"
    if repeats:
        note += f"; {repeats} trials repeated, as others had the core"
    report.add(Row("uplink_lossless_rate", "highest rate without loss, all listening", rate, "packets/s", note))


def _saturate(uplink: Uplink, server: BenchServer, scale: Scale, report: Report) -> float:
    """The worker always busy, nothing lost; returns packets a second."""
    rates = []
    limit = int(Scrape.of(server).value("udp_receive_buffer_bytes")) // 2
    for mode, name in (("auto", "listening"), (None, "idle")):
        trial = uplink.trial(
            int(FILL_PREPARED * scale.fill_seconds),
            lambda sock, train: fill(sock, train, server.udp_port, limit, scale.fill_seconds),
            mode=mode,
        )
        seconds = trial.sent.seconds + trial.behind
        rates.append(trial.sent.count / seconds)
        report.add(
            Row(
                f"uplink_us_{name}_saturated",
                f"{name}, as fast as the worker takes them",
                trial.us_per_packet,
                "µs",
                f"{rates[-1]:,.0f}/s, worker {min(1.0, trial.cpu / seconds):.0%} busy; {_verdict(trial)}",
                GOAL if mode == "auto" else "",
            )
        )
    return rates[0]


def _lossless_rate(uplink: Uplink, fullest: float, scale: Scale) -> tuple[float, Trial | None, int]:
    """Bisects: from half to 1.5 times the rate at which the worker took a queue that was never empty, which is tried first.

    A loss while others had the worker's core says nothing of the server: that rate is tried again, ``MOST_REPEATED`` times in
    all. The last value is how often that was done.
    """
    low, high = 0.5 * fullest, 1.5 * fullest
    best: tuple[float, Trial | None] = (0.0, None)
    steps = repeated_trials = 0
    while steps < scale.loss_steps:
        rate = (low + high) / 2
        trial = uplink.trial(int(rate * scale.loss_seconds), lambda sock, train, rate=rate: pace(sock, train, rate))
        kept_up = trial.is_lossless and trial.behind < CATCH_UP_SECONDS
        if not kept_up and trial.foreign > NOTABLE and repeated_trials < MOST_REPEATED:
            repeated_trials += 1
            continue
        steps += 1
        if kept_up:
            low = rate
            # The sender's own rate counts: where it is the slower one, the figure is what it managed, not what it was told.
            best = max(best, (trial.sent.rate, trial), key=lambda pair: pair[0])
        else:
            high = rate
    return *best, repeated_trials


def _verdict(trial: Trial) -> str:
    text = f"{trial.accepted:,} of {trial.sent.count:,} accepted"
    if trial.dropped:
        text += f", {trial.dropped:,} dropped by the kernel"
    if trial.foreign > NOTABLE:
        text += f", others had {trial.foreign:.0%} of the core"
    if trial.sent.at_once > 1.05:
        text += f", {trial.sent.at_once:.1f} sent at once"
    return text


def _mean(packets: list[bytes]) -> float:
    return sum(map(len, packets)) / len(packets)
