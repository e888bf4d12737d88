"""What the doctor sees without a server."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.server import StreamServer

from app.doctor import machine
from app.doctor.finding import Finding, State
from app.doctor.web import Readiness, certificate, readiness_findings
from app.settings import Settings
from app.web.host import HostPort
from tests.foreign.certificates import Authority, Certificate
from tests.waiting import eventually

DAY = 86_400


def test_a_clock_before_the_program_s_own_files_is_a_fault() -> None:
    assert machine.clock(now=0.0).state is State.FAULT
    assert "1970" in machine.clock(now=0.0).sentence
    assert machine.clock().state is State.OK


@pytest.mark.parametrize(("apart", "faults"), [(2, 0), (3600, 1), (-3600, 1)])
def test_clocks_that_differ_are_a_fault(apart: float, faults: int) -> None:
    found = list(readiness_findings("http://x/", Readiness({"udp": ""}, date=1_000_000.0), now=1_000_000.0 + apart))
    assert [finding.check for finding in found if finding.state is State.FAULT] == ["clock"] * faults


def test_a_buffer_larger_than_any_kernel_grants_is_a_warning_with_the_command() -> None:
    finding = machine.receive_buffer(Settings(udp={"receive_buffer_bytes": 2**31 - 1}))
    assert finding.state is State.WARNING
    assert "sysctl -w net.core.rmem_max=" in finding.sentence


def test_a_host_that_this_machine_does_not_have_is_a_fault() -> None:
    settings = Settings(udp={"listen_host": "192.0.2.200"})
    faults = [finding for finding in machine.ports(settings, server_runs=False) if finding.state is State.FAULT]
    assert any("correct the host" in finding.sentence and "udp.listen_port" in finding.sentence for finding in faults)


def test_damaged_secrets_are_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("{")
    path.chmod(0o600)
    (finding,) = machine.state_directory(Settings(state_dir=tmp_path))
    assert finding.state is State.FAULT
    assert machine.signature_key(Settings(state_dir=tmp_path)) is None


def test_a_state_directory_that_is_not_there_yet_is_no_fault_and_is_not_made(tmp_path: Path) -> None:
    (finding,) = machine.state_directory(Settings(state_dir=tmp_path / "var"))
    assert finding.state is State.OK
    assert not (tmp_path / "var").exists()


@contextlib.contextmanager
def tls_server(shown: Certificate) -> Iterator[int]:
    from gevent.ssl import SSLContext

    context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown.pem, shown.key)
    server = StreamServer(("127.0.0.1", 0), lambda sock, _: sock.close(), ssl_context=context)
    server.start()
    yield int(server.server_port)
    server.stop()


def judged(shown: Certificate, ca: Path, now: float | None = None) -> Finding:
    with tls_server(shown) as port:
        finding: Finding = gevent.get_hub().threadpool.apply(
            lambda: certificate("tls", HostPort("localhost", port), ca, 5, now=now)
        )
    return finding


def test_a_certificate_is_good_runs_out_soon_or_has_run_out(authority: Authority) -> None:
    good = authority.sign("good", days=90)
    assert judged(good, authority.ca).state is State.OK
    soon = judged(good, authority.ca, now=time.time() + 80 * DAY)
    assert soon.state is State.WARNING
    assert "renew it" in soon.sentence


def test_a_certificate_that_has_run_out_is_a_fault(authority: Authority) -> None:
    old = authority.sign("old", days=0)
    eventually(lambda: "expired" in judged(old, authority.ca).sentence)
    assert judged(old, authority.ca).state is State.FAULT


def test_a_port_without_tls_is_a_fault() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        nobody = listener.getsockname()[1]
    assert certificate("tls", HostPort("localhost", nobody), None, 2).state is State.FAULT
