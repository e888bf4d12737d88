"""What the console costs: the time of each of its pages, and the worker's time for each page that stays open."""

from __future__ import annotations

import json
import selectors
import socket
import time
import urllib.request
from collections.abc import Sequence

from benchmarks import machine
from benchmarks.figures import quantile
from benchmarks.fleet import Device, Fleet
from benchmarks.report import Report, Row
from benchmarks.scale import Scale
from benchmarks.server import HOST, BenchServer, ServerError

PAGES = (
    ("devices", "/"),
    ("devices_search", "/?q=02:be"),
    ("devices_last", "/?page={last}"),
    ("device", "/devices/{mac}"),
    ("try", "/try"),
    ("firmware", "/firmware"),
    ("settings", "/settings"),
)
PAGE_SIZE, FOLLOWED = 40, 50
"""Rows of the list's pages, and devices of one event stream."""
REQUESTS = 20
PATIENCE_SECONDS = 20.0


def measure(server: BenchServer, fleet: Fleet, scale: Scale, report: Report) -> None:
    """Devices that are remembered and connected, and some of them in a session."""
    count, talking = scale.console_devices, scale.console_sessions
    report.section(f"Console ({count:,} devices, {talking} in session)")
    devices = fleet.connect(count)
    for number, device in enumerate(devices):
        server.ota(device.mac, f"00000000-0000-4000-8000-{number:012d}")
    _await_remembered(server, count)
    fleet.open_sessions(devices[:talking])
    _pages(server, devices, report)
    _streams(server, devices, scale, report)


def _pages(server: BenchServer, devices: Sequence[Device], report: Report) -> None:
    values = {"last": -(-len(devices) // PAGE_SIZE), "mac": devices[0].mac}
    for name, template in PAGES:
        path = template.format(**values)
        before = machine.cpu_seconds(server.worker)
        taken = sorted(_time_of(server, path) for _ in range(REQUESTS))
        cpu = (machine.cpu_seconds(server.worker) - before) / REQUESTS
        note = f"the slowest of {REQUESTS} {taken[-1] * 1000:.0f} ms; CPU of the worker {cpu * 1000:.1f} ms"
        report.add(Row(f"console_{name}_ms", f"the page {template}, p50", quantile(taken, 0.5) * 1000, "ms", note, "200 ms"))


def _streams(server: BenchServer, devices: Sequence[Device], scale: Scale, report: Report) -> None:
    """Of each kind so many at once; what the worker uses without any is taken off."""
    count, seconds, talking = scale.console_streams, scale.console_seconds, scale.console_sessions
    alone = _cpu_share(server, seconds)
    report.add(Row("console_alone_percent", "the worker without a reader", 100 * alone, "% of a core"))
    busy, idle = devices[:talking][:FOLLOWED], devices[talking:][:FOLLOWED]
    kinds = (
        ("list_busy", f"a stream of {len(busy)} devices in session", _list_path(busy)),
        ("list_idle", f"a stream of {len(idle)} devices in none", _list_path(idle)),
        ("device", "a stream of one device in session", f"/api/v1/devices/{devices[0].mac}/events"),
    )
    for name, figure, path in kinds:
        with Readers(server, path, count) as readers:
            share = _cpu_share(server, seconds, readers)
        each = 100 * max(0.0, share - alone) / count
        report.add(Row(f"console_{name}_percent", figure, each, "% of a core", f"{count} at once, {seconds:g} s", "1 %"))
        report.add(Row(f"console_{name}_bytes", "… and what it says", readers.bytes / count / seconds, "bytes/s"))


class Readers:
    """So many pages that follow ``path``. A context manager."""

    def __init__(self, server: BenchServer, path: str, count: int) -> None:
        self._selector = selectors.DefaultSelector()
        self.bytes = 0
        request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {server.api_token}\r\n\r\n".encode()
        for _ in range(count):
            connection = socket.create_connection((HOST, server.http_port), PATIENCE_SECONDS)
            connection.sendall(request)
            answer = connection.recv(65_536)
            if not answer.startswith(b"HTTP/1.1 200"):
                raise ServerError(f"a stream was refused: {answer[:200]!r}")
            self._selector.register(connection, selectors.EVENT_READ)

    def __enter__(self) -> Readers:
        self.read(3.0)  # the present state, and whatever follows from many beginning at once
        self.bytes = 0
        return self

    def __exit__(self, *_: object) -> None:
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def read(self, seconds: float) -> None:
        """Reads what comes for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            for key, _ in self._selector.select(left):
                data = key.fileobj.recv(65_536)  # type: ignore[union-attr]
                if not data:
                    raise ServerError("the server ended a stream")
                self.bytes += len(data)


def _cpu_share(server: BenchServer, seconds: float, readers: Readers | None = None) -> float:
    before, began = machine.cpu_seconds(server.worker), time.monotonic()
    if readers is None:
        time.sleep(seconds)
    else:
        readers.read(seconds)
    return (machine.cpu_seconds(server.worker) - before) / (time.monotonic() - began)


def _list_path(devices: Sequence[Device]) -> str:
    return f"/api/v1/events?devices={','.join(device.mac for device in devices)}"


def _get(server: BenchServer, path: str) -> bytes:
    headers = {"Authorization": f"Bearer {server.api_token}", "Accept-Language": "zh-CN"}
    request = urllib.request.Request(f"http://{HOST}:{server.http_port}{path}", headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        body: bytes = answer.read()
        return body


def _time_of(server: BenchServer, path: str) -> float:
    began = time.monotonic()
    _get(server, path)
    return time.monotonic() - began


def _await_remembered(server: BenchServer, count: int) -> None:
    """They are written to the database in batches, a little later."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while json.loads(_get(server, "/api/v1/status"))["remembered"] != count:
        if time.monotonic() > deadline:
            raise ServerError(f"{count} devices are not remembered; the log ends with:\n{server.log_tail()}")
        time.sleep(0.2)
