"""``python -m benchmarks``: measures the server on this machine, prints a table, and writes a JSON file."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import anatomy, console, conversations, hellos, listening, memory, playback, uplink, websocket
from benchmarks.fleet import Fleet
from benchmarks.machine import Cores, describe, pin
from benchmarks.recordings import speech
from benchmarks.report import RESULTS, Report, Row
from benchmarks.scale import FULL, QUICK, TINY, Scale
from benchmarks.server import BenchServer, ServerError

SECTIONS = ("memory", "hellos", "uplink", "playback", "websocket", "console", "conversations", "listening", "anatomy")


def main() -> int:
    """The exit status: 0 when all sections asked for were measured."""
    options = _options()
    scale = TINY if options.tiny else QUICK if options.quick else FULL
    signal.signal(signal.SIGALRM, _too_long)
    signal.signal(signal.SIGTERM, _terminated)
    signal.alarm(scale.limit_seconds)
    machine, cores = describe(), Cores.choose()
    packets, source = speech()
    report = Report(machine, {"audio": source, "server_core": cores.server, "load_core": cores.load, **asdict(scale)})
    print(f"{machine}\naudio: {source}; server worker on core {cores.server}, everything else on core {cores.load}")
    pin(os.getpid(), cores.load)
    try:
        _measure(scale, options.only, cores, packets, report)
    except (ServerError, TimeoutError) as error:
        print(f"\nThe benchmark failed: {error}", file=sys.stderr)
        return 1
    finally:
        signal.alarm(0)
    print(f"\n{os.path.relpath(report.write(options.results))}")
    return 0


def _measure(scale: Scale, only: list[str], cores: Cores, packets: list[bytes], report: Report) -> None:
    """Every group on a server of its own, so that none finds what another left behind."""
    if "memory" in only or "hellos" in only:
        with BenchServer(cores) as server, Fleet(server) as fleet:
            devices = memory.measure(server, fleet, scale, report) if "memory" in only else fleet.connect(scale.hello_devices)
            if "hellos" in only:
                hellos.measure(server, fleet, devices, scale, report)
            _note_disturbance(server, "hellos", report)
    if "uplink" in only:
        with BenchServer(cores) as server, Fleet(server) as fleet:
            uplink.measure(server, fleet, packets, scale, report)
            _note_disturbance(server, "uplink", report)
    if "playback" in only:
        with BenchServer(cores) as server, Fleet(server) as fleet:
            playback.measure(server, fleet, packets, scale, report)
            _note_disturbance(server, "playback", report)
    if "websocket" in only:
        with BenchServer(cores) as server:
            websocket.measure_memory(server, scale, report)
        with BenchServer(cores) as server:
            websocket.measure(server, packets, scale, report)
            _note_disturbance(server, "websocket", report)
    if "console" in only:
        with BenchServer(cores) as server, Fleet(server) as fleet:
            console.measure(server, fleet, scale, report)
            _note_disturbance(server, "console", report)
    if "conversations" in only:
        conversations.measure(cores, packets, scale, report)
    if "listening" in only:
        listening.measure(packets, report)
    if "anatomy" in only:
        anatomy.measure(packets, scale.anatomy_packets, report, report.value("uplink_us_listening_saturated"))


def _note_disturbance(server: BenchServer, name: str, report: Report) -> None:
    share = 100 * server.disturbance()
    report.add(Row(f"{name}_disturbed", "of the worker's core others used meanwhile", share, "%", "with the kernel's own"))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="less of everything: within 40 s, figures to look at, not to quote")
    size.add_argument("--tiny", action="store_true", help="every path once: whether the benchmark works, no figure worth reading")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS), help="these sections alone")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the JSON file")
    return parser.parse_args()


def _too_long(*_: object) -> None:
    raise TimeoutError("it took longer than its limit; is the machine busy?")


def _terminated(*_: object) -> None:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
