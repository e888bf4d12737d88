"""How the server is started, reloaded and refused."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port
from tests.system.devices import SHORT, one_device
from tests.system.running_server import READY_SECONDS, RunningServer, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module's own: it is signalled."""
    with RunningServer(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_the_log_says_where_the_console_is_and_what_to_enter_in_a_device(server: RunningServer) -> None:
    said = wait_for(lambda: re.search(r"ready: the console is at .*", server.log()), what="it is said")[0]
    assert f"http://127.0.0.1:{server.http_port}/ " in said
    assert re.search(rf"a device's OTA URL is http://[\d.]+:{server.http_port}/xiaozhi/ota/", said)


def test_sighup_brings_a_new_worker_beside_the_same_broker(server: RunningServer) -> None:
    with one_device(server) as device:
        device.hello()
        worker, broker, mosquitto = server.worker_pid, server.broker_pid, server.mosquitto_pid
        os.kill(server.master_pid, signal.SIGHUP)
        device.wait_for_event("goodbye_received")
        wait_for(lambda: worker not in server.pids() and server.is_ready(), READY_SECONDS, "the new worker is ready")
        assert server.worker_pid != worker
        assert (server.broker_pid, server.mosquitto_pid) == (broker, mosquitto)
        assert "cannot be bound" not in server.log()
        assert "cannot listen" not in server.log()
        device.hello()
        assert device.speak(SHORT[:4]).heard == SHORT[:4]


def test_sigttin_and_sigttou_change_nothing(server: RunningServer) -> None:
    worker = server.worker_pid
    os.kill(server.master_pid, signal.SIGTTIN)
    wait_for(lambda: "SIGTTIN is ignored" in server.log(), what="it is said")
    os.kill(server.master_pid, signal.SIGTTOU)
    wait_for(lambda: "Handling signal: ttou" in server.log())
    assert server.is_ready()
    assert server.worker_pid == worker
    assert len(server.pids()) == 4


def test_web_concurrency_as_platforms_set_it_does_not_break_the_start(tmp_path: Path) -> None:
    with RunningServer(tmp_path, environment={"WEB_CONCURRENCY": "2"}) as server:
        assert len(server.pids()) == 4
        assert server.stop() == 0


def test_a_shells_limit_of_open_files_is_raised_for_the_devices(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    server.arguments = ["sh", "-c", 'ulimit -S -n 512; exec "$@"', "sh", *server.arguments]
    with server:
        for pid in (server.worker_pid, server.broker_pid, server.mosquitto_pid):
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert re.search(r"Max open files +(\d+) +\1 ", limits), limits


def refused(server: RunningServer) -> str:
    """The log of a server that must not start."""
    with contextlib.closing(_Closing(server)):
        server.start(wait=False)
        assert server.ended(60) != 0
        assert server.pids() == {}, server.log()
        assert "Traceback" not in server.log(), server.log()
        return server.log()


class _Closing:
    def __init__(self, server: RunningServer) -> None:
        self.close = server.clear


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--preload"], "without --preload"),
        (["-w", "2"], "Start gunicorn without -w"),
        (["-k", "sync"], "gunicorn -k gevent wsgi:app"),
    ],
)
def test_ways_of_starting_that_cannot_work_are_refused_with_a_sentence(
    tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    assert sentence in refused(RunningServer(tmp_path, arguments=arguments))


@pytest.mark.parametrize(
    ("config", "environment", "sentence"),
    [
        (None, {"XIAOZHI_CONFIG": "BAD"}, "is no JSON: line 2, column 1"),
        (None, {"XIAOZHI_CONFIG": "/nonexistent.json"}, "/nonexistent.json does not exist: create it"),
        ({"udp": {"listen_port": 99999}}, {}, "udp.listen_port"),
        (None, {"XIAOZHI_MQTT_SERVER__LISTEN_PORT": "99999"}, "mqtt_server.listen_port"),
        (None, {"PORT": "http"}, "websocket.port"),
        ({"mqtt_server": {"enable": True, "tls": {"enable": True}}}, {}, "mqtt_server.tls.pem has to name a file"),
        (
            {"mqtt_server": {"enable": True, "tls": {"enable": True, "pem": "/no.pem", "key": "/no.key"}}},
            {},
            "/no.pem cannot be read",
        ),
        ({"mqtt_server": {"enable": False}}, {}, "name your broker in mqtt.broker"),
        ({"dialogue": {"agent": "parrot"}}, {}, "dialogue.agent"),
        (None, {"XIAOZHI_STATE_DIR": "/proc/nowhere"}, "name another in XIAOZHI_STATE_DIR"),
        (None, {"XIAOZHI_UDP": "{"}, "udp"),
    ],
)
def test_a_wrong_configuration_stops_the_start_with_a_sentence(
    tmp_path: Path, config: dict[str, Any] | None, environment: dict[str, str], sentence: str
) -> None:
    if environment.get("XIAOZHI_CONFIG") == "BAD":
        bad = tmp_path / "bad.json"
        bad.write_text('{"udp": {}\n"mqtt": {}}')
        environment = {"XIAOZHI_CONFIG": str(bad)}
    server = RunningServer(tmp_path, config=config, environment=environment)
    if config and "udp" in config:
        del server.environment["XIAOZHI_UDP__LISTEN_PORT"]
    said = refused(server)
    assert sentence in said, said


def test_a_configuration_that_became_wrong_does_not_survive_a_reload_silently(tmp_path: Path) -> None:
    with RunningServer(tmp_path, config={}) as server:
        (tmp_path / "config.json").write_text("{")
        os.kill(server.master_pid, signal.SIGHUP)
        wait_for(lambda: "is no JSON" in server.log(), READY_SECONDS, f"it is said: {server.log()}")
        assert server.process is not None
        if server.process.poll() is None:
            (tmp_path / "config.json").write_text("{}")
            server.wait_until_ready()
        else:
            assert server.pids() == {}, server.log()


def test_certificate_files_that_hold_no_certificate_are_said(tmp_path: Path) -> None:
    pem, key = tmp_path / "a.pem", tmp_path / "a.key"
    pem.write_text("nothing")
    key.write_text("nothing")
    tls = {"enable": True, "pem": str(pem), "key": str(key), "port": free_port()}
    server = RunningServer(tmp_path, config={"mqtt_server": {"enable": True, "tls": tls}})
    with contextlib.closing(_Closing(server)):
        server.start(wait=False)
        wait_for(lambda: "give a certificate chain and its private key in PEM form" in server.log(), READY_SECONDS, server.log())
        assert "Traceback" not in server.log()


def test_a_udp_port_in_use_is_said_and_taken_when_it_is_free(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief, contextlib.closing(_Closing(server)):
        thief.bind(("0.0.0.0", server.udp_port))
        server.start(wait=False)
        sentence = "cannot be bound: Address already in use: stop the program that has the port, or set udp.listen_port"
        wait_for(lambda: sentence in server.readiness(), READY_SECONDS, f"it is said: {server.log()}")
        assert sentence in server.log()
        assert server.get("/readyz")[0] == 503
        assert server.get("/healthz")[0] == 200
        thief.close()
        server.wait_until_ready()
        with one_device(server) as device:
            device.hello()
            assert device.speak(SHORT[:4]).heard == SHORT[:4]


def test_a_broker_port_in_use_is_said_and_taken_when_it_is_free(tmp_path: Path) -> None:
    server = RunningServer(tmp_path)
    with socket.socket() as thief, contextlib.closing(_Closing(server)):
        thief.bind(("0.0.0.0", server.mqtt_port))
        thief.listen()
        server.start(wait=False)
        wait_for(lambda: "cannot listen on 0.0.0.0 port" in server.log(), READY_SECONDS, "it is said")
        assert "mqtt_server.listen_port" in server.log()
        wait_for(lambda: '"mqtt":{"ready":true' in server.readiness(), READY_SECONDS, "the worker is connected")
        wait_for(lambda: "has not reported yet" not in server.readiness(), what="the broker process has reported")
        assert not server.is_ready(), f"no device can connect: {server.readiness()}"
        thief.close()
        server.wait_until_ready()
        with one_device(server) as device:
            device.hello()
            assert device.speak(SHORT[:4]).heard == SHORT[:4]
