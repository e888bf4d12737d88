"""What an idle device costs in memory: its MQTT connection, and its session."""

from __future__ import annotations

from benchmarks import machine
from benchmarks.fleet import Device, Fleet
from benchmarks.report import Report, Row
from benchmarks.scale import Scale
from benchmarks.server import BenchServer

WARM_UP = 50
"""Devices that come and go before, so that what is allocated once is there."""


def measure(server: BenchServer, fleet: Fleet, scale: Scale, report: Report) -> list[Device]:
    """Figure 6; returns the devices, connected and in sessions."""
    early = fleet.connect(WARM_UP)
    fleet.open_sessions(early)
    fleet.tell(early, {"type": "goodbye"})
    fleet.settle(early)
    count = scale.idle_connections
    report.section(f"Memory ({count:,} devices)")
    pids = {"worker": server.worker, "front": server.broker, "Mosquitto": server.mosquitto}
    before = _resident(pids)
    devices = fleet.connect(count)
    fleet.settle(devices[-1:])
    connected = _resident(pids)
    fleet.open_sessions(devices)
    in_session = _resident(pids)
    grown = {name: (connected[name] - before[name]) / count / 1024 for name in pids}
    report.add(
        Row(
            "connection_kib",
            "an idle MQTT connection",
            grown["front"] + grown["Mosquitto"],
            "KiB",
            f"front {grown['front']:.1f} + Mosquitto {grown['Mosquitto']:.1f}; and {grown['worker']:.1f} in the worker",
        )
    )
    session = (in_session["worker"] - connected["worker"]) / count / 1024
    report.add(Row("session_kib", "a session", session, "KiB", "of the worker"))
    for name, resident in in_session.items():
        report.add(Row(f"{name.lower()}_mib", f"the {name} then", resident / 2**20, "MiB", "resident"))
    return devices


def _resident(pids: dict[str, int]) -> dict[str, int]:
    return {name: machine.resident_bytes(pid) for name, pid in pids.items()}
