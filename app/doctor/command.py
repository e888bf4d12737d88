"""``python -m app doctor``: exit status 0 when a device can be served, 1 when something has to be changed."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from app.doctor import addresses, machine
from app.doctor.finding import Finding, State, fault, ok
from app.doctor.walk import IDENTITY, Walk
from app.doctor.web import OtaVisit, certificate, host_and_port, readiness, readiness_findings
from app.protocol import http_paths
from app.protocol.malformed import Malformed
from app.settings import Settings

CHECK_WIDTH = 14


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``doctor``."""
    parser.add_argument("--ota", metavar="URL", help="the OTA address as devices have it; without it this machine's own")
    parser.add_argument("--cafile", type=Path, metavar="FILE", help="CA certificates for HTTPS and for MQTT on port 8883")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S", help="for each step (default 5)")
    parser.add_argument("--json", action="store_true", help="one JSON object a finding")


def run(options: argparse.Namespace) -> int:
    """Prints each finding as it is made."""
    faults = 0
    for finding in examine(options.ota, options.cafile, options.timeout):
        faults += finding.state is State.FAULT
        _print(finding, sys.stdout, options.json)
    if not options.json:
        print("A device can be served." if not faults else f"{faults} of these have to be changed.", flush=True)
    return 1 if faults else 0


def examine(url: str | None, cafile: Path | None, seconds: float) -> Iterator[Finding]:
    """Everything, from the configuration to sound in both directions. ``url``: the OTA address as devices have it."""
    settings, findings = machine.configuration()
    yield from findings
    if settings is None:
        return
    yield from machine.state_directory(settings)
    yield machine.clock()
    if not settings.http_only:
        yield machine.receive_buffer(settings)
    yield from _voice(settings, seconds)
    local = addresses.local_urls(settings.websocket, http_paths.OTA)
    runs_here = readiness(local[0], None, seconds) is not None if local else False
    yield from machine.ports(settings, runs_here)
    if url is None and not runs_here:
        yield fault("server", f"The server does not answer at {local[0]}: start it (make run), then ask the doctor again.")
        return
    try:
        yield from _network(settings, url or addresses.main_url(settings.websocket, http_paths.OTA), cafile, seconds)
    except Malformed as error:
        yield fault("ota", f"{error}.")
        return
    if url is None:
        yield from _other_addresses(settings, local, seconds)


def _voice(settings: Settings, seconds: float) -> Iterator[Finding]:
    if settings.dialogue.agent == "echo":
        yield ok("voice", "The echo answers (dialogue.agent), so no recognizer, mind or voice is used.")
        return
    from app.doctor import voice  # with all providers, which take their time to import

    yield from voice.findings(settings.voice, settings.state_dir, seconds)


def _network(settings: Settings, url: str, cafile: Path | None, seconds: float) -> Iterator[Finding]:
    where = host_and_port(url)
    if urlsplit(url).scheme == "https":
        yield certificate("tls", where, cafile, seconds)
    found = readiness(url, cafile, seconds)
    if found is not None:
        yield from readiness_findings(url, found)
    visit = OtaVisit(settings, url, IDENTITY, cafile, seconds)
    yield from visit.findings()
    key = machine.signature_key(settings)
    if visit.mqtt is not None:
        yield from Walk(visit.mqtt, key, cafile, seconds).findings()
    if visit.websocket is not None:
        for finding in Walk(visit.websocket, key, cafile, seconds).findings():
            # Devices that are offered MQTT use it: the WebSocket is for those which are not.
            yield _softened(finding) if visit.mqtt is not None else finding


def _other_addresses(settings: Settings, urls: list[str], seconds: float) -> Iterator[Finding]:
    """Whether OTA answers at every address of this machine; who reaches the one need not reach the other."""
    main = addresses.main_url(settings.websocket, http_paths.OTA)
    for url in urls:
        if url != main:
            yield from map(_softened, OtaVisit(settings, url, IDENTITY, None, seconds).findings())


def _softened(finding: Finding) -> Finding:
    return replace(finding, state=State.WARNING) if finding.state is State.FAULT else finding


def _print(finding: Finding, out: TextIO, as_json: bool) -> None:
    if as_json:
        line = json.dumps(
            {"check": finding.check, "state": finding.state.value, "sentence": finding.sentence}, ensure_ascii=False
        )
    else:
        mark = finding.state.value.upper() if finding.state is not State.OK else "ok"
        line = f"{mark:<8} {finding.check:<{CHECK_WIDTH}} {finding.sentence}"
    print(line, file=out, flush=True)
