"""How many hellos a second are answered, and how fast."""

from __future__ import annotations

import time
from collections import deque

from benchmarks import machine
from benchmarks.figures import quantile
from benchmarks.fleet import Device, Fleet, hello
from benchmarks.report import Report, Row
from benchmarks.scale import Scale
from benchmarks.server import BenchServer, ServerError

UNDER_WAY = 64
"""Hellos that wait for their answer at any time, each of another device."""
QUIET_RATE = 50
"""Hellos a second for the latency of a server that has time."""


def measure(server: BenchServer, fleet: Fleet, devices: list[Device], scale: Scale, report: Report) -> None:
    """Figure 5."""
    devices = devices[: scale.hello_devices]
    under_way = min(UNDER_WAY, len(devices))
    report.section(f"Hellos ({len(devices)} device connections, {under_way} under way)")
    pids = {"worker": server.worker, "front": server.broker, "Mosquitto": server.mosquitto}
    before = {name: machine.cpu_seconds(pid) for name, pid in pids.items()}
    began = time.monotonic()
    latencies = _closed_loop(fleet, devices, under_way, scale.hello_seconds)
    seconds = time.monotonic() - began
    spent = {name: machine.cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    each = ", ".join(f"{name} {cpu / len(latencies) * 1e6:.0f} µs" for name, cpu in spent.items())
    report.add(Row("hellos_per_second", "hellos answered", len(latencies) / seconds, "hellos/s", f"CPU each: {each}"))
    _latencies(report, latencies, "busy", f"with {under_way} under way")
    _latencies(report, _open_loop(fleet, devices, scale.quiet_hellos), "quiet", f"at {QUIET_RATE} hellos/s")


def _latencies(report: Report, latencies: list[float], key: str, how: str) -> None:
    latencies.sort()
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        value = quantile(latencies, share) * 1000
        report.add(Row(f"hello_{key}_{name}_ms", f"from hello to its answer, {name}, {how}", value, "ms"))


def _closed_loop(fleet: Fleet, devices: list[Device], under_way: int, seconds: float) -> list[float]:
    """Whenever an answer comes, the next device says hello."""
    free = deque(devices)
    asked: dict[str, float] = {}
    latencies: list[float] = []

    def ask() -> None:
        device = free.popleft()
        asked[device.mac] = time.monotonic()
        fleet.publish(device, hello())

    for _ in range(under_way):
        ask()
    deadline = time.monotonic() + seconds
    while asked:
        if time.monotonic() > deadline + 10:
            raise ServerError(f"{len(asked)} hellos were not answered")
        for device, message, now in fleet.poll(0.1):
            if message["type"] != "hello":
                raise ServerError(f"a hello was answered with {message}")
            latencies.append(now - asked.pop(device.mac))
            free.append(device)
            if now < deadline:
                ask()
    return latencies


def _open_loop(fleet: Fleet, devices: list[Device], count: int) -> list[float]:
    """A hello now and then, whether the one before was answered or not."""
    asked: dict[str, deque[float]] = {device.mac: deque() for device in devices}
    latencies: list[float] = []
    began, said = time.monotonic(), 0
    while len(latencies) < count:
        now = time.monotonic()
        if now - began > count / QUIET_RATE + 10:
            raise ServerError(f"{said - len(latencies)} hellos were not answered")
        if said < count and now >= began + said / QUIET_RATE:
            device = devices[said % len(devices)]
            asked[device.mac].append(now)
            fleet.publish(device, hello())
            said += 1
        pause = began + said / QUIET_RATE - time.monotonic() if said < count else 0.1
        for device, _, at in fleet.poll(max(0.0, pause)):
            latencies.append(at - asked[device.mac].popleft())
    return latencies
