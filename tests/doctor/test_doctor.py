"""``python -m app doctor`` against real servers, each with one fault provoked."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gevent

from tests.broker.broker_process import BrokerProcess
from tests.foreign.certificates import Authority
from tests.foreign.tls_mosquitto import TlsMosquitto
from tests.ports import free_port
from tests.proxy.scripted_proxy import FORWARDED, ScriptedProxy
from tests.system.running_server import READY_SECONDS, TOP, RunningServer, wait_for


@dataclass(frozen=True)
class Report:
    status: int
    findings: list[dict[str, str]]
    errors: str

    def faults(self) -> dict[str, str]:
        """The sentences by check, of all that has to be changed."""
        return {finding["check"]: finding["sentence"] for finding in self.findings if finding["state"] == "fault"}

    def of(self, check: str) -> list[str]:
        return [finding["sentence"] for finding in self.findings if finding["check"] == check]


def command(server: RunningServer, *arguments: str, **environment: str) -> tuple[int, str, str]:
    """Runs the doctor with the server's environment; this process's greenlets go on meanwhile."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "app", "doctor", "--timeout", "1.5", *arguments],
            cwd=TOP,
            env={**server.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    ended = gevent.get_hub().threadpool.apply(run)
    return ended.returncode, ended.stdout, ended.stderr


def examined(server: RunningServer, *arguments: str, **environment: str) -> Report:
    status, out, errors = command(server, "--json", *arguments, **environment)
    assert "Traceback" not in errors, errors
    return Report(status, [json.loads(line) for line in out.splitlines()], errors)


def broken(directory: Path, config: Mapping[str, Any], **arguments: Any) -> RunningServer:
    return RunningServer(directory, config=config, **arguments)


# Nothing wrong


def test_a_healthy_server_gets_no_fault_and_every_leg_is_named(healthy: RunningServer) -> None:
    report = examined(healthy)
    assert report.faults() == {}
    assert report.status == 0
    checks = [finding["check"] for finding in report.findings]
    assert {
        "configuration",
        "secrets",
        "clock",
        "receive buffer",
        "voice",
        "port",
        "server",
        "ota",
        "mqtt",
        "hello",
        "udp",
        "websocket",
    } <= set(checks)
    assert any("127.0.0.1" in sentence for sentence in report.of("ota")), "every address of this machine"
    secrets = json.loads((healthy.state_dir / "secrets.json").read_text())
    assert not any(secret in json.dumps(report.findings) for secret in secrets.values())


def test_people_get_lines_and_a_last_word(healthy: RunningServer) -> None:
    status, out, _ = command(healthy, "--ota", healthy.ota_url)
    assert status == 0
    assert out.splitlines()[-1] == "A device can be served."
    assert any(line.startswith("ok       udp") for line in out.splitlines())


def test_both_directions_are_proven_with_an_assistant_that_can_only_say_that_it_understands_nothing(tmp_path: Path) -> None:
    providers = {"XIAOZHI_VOICE__ASR__PROVIDER": "none", "XIAOZHI_VOICE__TTS__PROVIDER": "chime"}
    with RunningServer(tmp_path, environment={"XIAOZHI_DIALOGUE__AGENT": "assistant", **providers}) as server:
        report = examined(server, "--ota", server.ota_url)
    assert report.faults() == {}
    assert all("comes back" in report.of(leg)[-1] for leg in ("udp", "websocket"))
    assert "voice.asr.provider" in report.of("voice.asr")[0]


# The configuration and this machine


def test_a_configuration_that_cannot_be_used_is_the_only_finding(healthy: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"udp": {"listen_port": 70000}}')
    report = examined(healthy, XIAOZHI_CONFIG=str(path), XIAOZHI_UDP__LISTEN_PORT="70000")
    assert report.status == 1
    assert "udp.listen_port" in report.faults()["configuration"]
    assert len(report.findings) == 1


def test_a_setting_that_nobody_knows_is_a_warning(healthy: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"udp": {"extrenal_host": "x"}}')
    report = examined(healthy, "--ota", healthy.ota_url, XIAOZHI_CONFIG=str(path))
    assert report.status == 0
    assert any("udp.extrenal_host" in sentence for sentence in report.of("configuration"))


def test_secrets_that_others_can_read_are_said(healthy: RunningServer, tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_bytes((healthy.state_dir / "secrets.json").read_bytes())
    path.chmod(0o644)
    report = examined(healthy, "--ota", healthy.ota_url, XIAOZHI_STATE_DIR=str(tmp_path))
    assert f"chmod 600 {path}" in report.faults()["secrets"]


def test_without_a_server_it_says_so_and_that_the_ports_are_free(tmp_path: Path) -> None:
    report = examined(RunningServer(tmp_path))
    assert list(report.faults()) == ["server"]
    assert "start it" in report.faults()["server"]
    assert sum("is free" in sentence for sentence in report.of("port")) == 3


def test_a_port_that_another_program_has_is_named(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", server.udp_port))
        report = examined(server)
    assert f"UDP port {server.udp_port} (udp.listen_port) is taken by another program" in report.faults()["port"]


# The way of a device


def test_a_wrong_external_host_is_said_with_the_address_the_audio_went_to(tmp_path: Path) -> None:
    with broken(tmp_path, {"udp": {"external_host": "198.51.100.77"}}) as server:
        report = examined(server, "--ota", server.ota_url)
    assert report.status == 1
    assert list(report.faults()) == ["udp"]
    assert f"UDP 198.51.100.77 port {server.udp_port}" in report.faults()["udp"]
    assert "udp.external_host" in report.faults()["udp"]


def test_a_wrong_external_port_is_said(tmp_path: Path) -> None:
    wrong = free_port()
    with broken(tmp_path, {"udp": {"external_port": wrong}}) as server:
        report = examined(server, "--ota", server.ota_url)
    assert list(report.faults()) == ["udp"]
    assert str(wrong) in report.faults()["udp"]
    assert "udp.external_port" in report.faults()["udp"]


def test_a_port_that_swallows_audio_is_said_with_what_the_server_says(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as swallows:
        swallows.bind(("127.0.0.1", 0))
        port = swallows.getsockname()[1]
        with broken(tmp_path, {"udp": {"external_port": port}}) as server:
            report = examined(server, "--ota", server.ota_url)
    assert "No audio came back" in report.faults()["udp"]
    assert "The server says" in report.faults()["udp"]


def test_a_wrong_mqtt_endpoint_is_said(tmp_path: Path) -> None:
    nobody = free_port()
    network = {"mqtt": {"endpoint": f"127.0.0.1:{nobody}"}}
    with broken(tmp_path, {"ota": {"test": network, "external": network}}) as server:
        report = examined(server, "--ota", server.ota_url)
    assert list(report.faults()) == ["mqtt"]
    assert f"127.0.0.1:{nobody}" in report.faults()["mqtt"]


def test_a_broker_that_is_down_is_said_by_the_server_and_by_the_way(tmp_path: Path) -> None:
    config = {"mqtt_server": {"enable": False}, "mqtt": {"broker": "127.0.0.1", "port": free_port()}}
    server = broken(tmp_path, config)
    server.start(wait=False)
    try:
        wait_for(lambda: "cannot be reached" in server.readiness(), READY_SECONDS, "the server says that its broker is away")
        report = examined(server, "--ota", server.ota_url)
    finally:
        server.clear()
    assert "cannot be reached" in report.faults()["server"]
    assert "nothing listens" in report.faults()["mqtt"].lower()


def test_a_front_with_another_key_is_said(tmp_path: Path) -> None:
    other = BrokerProcess(tmp_path / "other").start()
    network = {"mqtt": {"endpoint": f"127.0.0.1:{other.port}"}}
    try:
        with broken(tmp_path / "server", {"ota": {"test": network, "external": network}}) as server:
            report = examined(server, "--ota", server.ota_url)
    finally:
        other.stop()
    assert list(report.faults()) == ["mqtt"]
    assert "ota.signature_key" in report.faults()["mqtt"]


def test_a_configuration_with_another_key_than_the_server_s_is_said(healthy: RunningServer) -> None:
    report = examined(healthy, "--ota", healthy.ota_url, XIAOZHI_OTA__SIGNATURE_KEY="another")
    assert list(report.faults()) == ["credentials"]
    assert "ota.signature_key" in report.faults()["credentials"]
    assert "another " not in report.findings[-1]["sentence"].replace("another key", "")


def test_an_address_that_is_none_is_a_sentence(healthy: RunningServer) -> None:
    assert "no OTA address" in examined(healthy, "--ota", "voice.example.org").faults()["ota"]


def test_an_address_at_which_nobody_answers_is_a_sentence(healthy: RunningServer) -> None:
    report = examined(healthy, "--ota", f"http://127.0.0.1:{free_port()}/xiaozhi/ota/")
    assert "othing listens" in report.faults()["ota"]


# Through a proxy


def through(server: RunningServer, authority: Authority | None, headers: Mapping[str, str], *names: str) -> Report:
    certificate = authority.sign("proxy", *names) if authority else None
    proxy = ScriptedProxy(server.http_port, headers, certificate)
    try:
        scheme, ca = ("https", ["--cafile", str(authority.ca)]) if authority else ("http", [])
        return examined(server, "--ota", f"{scheme}://localhost:{proxy.port}/xiaozhi/ota/", *ca)
    finally:
        proxy.stop()


def test_a_proxy_that_says_what_it_has_to_is_no_fault(healthy: RunningServer, authority: Authority) -> None:
    report = through(healthy, authority, FORWARDED)
    assert report.faults() == {}
    assert any("certificate" in sentence for sentence in report.of("tls"))


def test_a_proxy_with_a_host_of_its_own_is_said(healthy: RunningServer, authority: Authority) -> None:
    headers = {name: value for name, value in FORWARDED.items() if name != "X-Forwarded-Host"}
    report = through(healthy, authority, {**headers, "Host": f"127.0.0.1:{healthy.http_port}"})
    assert "X-Forwarded-Host" in report.faults()["ota"]


def test_a_proxy_that_does_not_say_https_is_said(healthy: RunningServer, authority: Authority) -> None:
    headers = {name: value for name, value in FORWARDED.items() if name != "X-Forwarded-Proto"}
    assert "X-Forwarded-Proto" in through(healthy, authority, headers).faults()["ota"]


def test_a_certificate_for_another_name_is_said(healthy: RunningServer, authority: Authority) -> None:
    report = through(healthy, authority, FORWARDED, "DNS:elsewhere.example.org")
    assert "not trusted" in report.faults()["tls"]
    assert "ota" in report.faults()


# Foreign brokers


def test_a_broker_that_does_not_rename_is_said_at_hello(tmp_path: Path, authority: Authority) -> None:
    foreign = TlsMosquitto(tmp_path / "foreign", authority, authority.sign("broker"), anonymous=True)
    try:
        config = {"mqtt_server": {"enable": False}, "mqtt": {"broker": "127.0.0.1", "port": foreign.port}}
        with broken(tmp_path / "server", config) as server:
            report = examined(server, "--ota", server.ota_url)
    finally:
        foreign.stop()
    assert list(report.faults()) == ["hello"]
    assert "rename" in report.faults()["hello"]


# Activation


def test_a_server_that_wants_devices_activated_is_walked_after_the_doctor_s_is(tmp_path: Path) -> None:
    with broken(tmp_path, {"auth": {"enable": True}}) as server:
        before = examined(server, "--ota", server.ota_url)
        assert before.faults() == {}
        (sentence,) = before.of("ota")
        words = sentence.partition("`python -m app ")[2].partition("`")[0].split()
        command = [sys.executable, "-m", "app", *words]
        subprocess.run(command, cwd=TOP, env=server.environment, check=True, capture_output=True, timeout=60)

        def walked() -> Report | None:
            """None until the server has noticed the command's work, which it looks for every two seconds."""
            after = examined(server, "--ota", server.ota_url)
            return after if after.of("udp") else None

        after = wait_for(walked, 30, "the doctor's device is let in")
    assert after is not None
    assert after.status == 0
