"""The Procfile's processes side by side, as honcho and the platforms start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.devices import SHORT, one_device
from tests.system.running_server import READY_SECONDS, TOP, RunningServer, wait_for

STANDS_BY = "another broker process serves this state directory"
TAKES_OVER = "the broker process before has ended; this one takes over"


class Honcho(RunningServer):
    """``honcho start`` of the whole Procfile, with free ports; what it started is found by the state directory."""

    def __init__(self, directory: Path, *processes: str, **environment: str) -> None:
        super().__init__(directory, environment=environment)
        programs = Path(sys.executable).parent
        self.environment["PATH"] = f"{programs}{os.pathsep}{self.environment['PATH']}"
        self.arguments = [str(programs / "honcho"), "start", "-p", str(self.http_port), *processes]

    def own(self, mark: str) -> list[int]:
        """Its processes, without the shells that honcho puts before them."""
        return [pid for pid, command in sorted(self.pids().items()) if mark in command and not command.startswith("/bin/sh")]

    def mosquittos(self) -> list[int]:
        return self.own("mosquitto -c")

    def interrupt(self) -> None:
        """Ctrl-C."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        self.ended()


@pytest.fixture(scope="module")
def honcho(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Honcho]:
    pytest.importorskip("honcho")
    with Honcho(tmp_path_factory.mktemp("honcho")) as running:
        wait_for(lambda: STANDS_BY in running.log(), READY_SECONDS, f"one broker process stands by: {running.log()}")
        wait_for(lambda: "the database is up to date" in running.log(), READY_SECONDS, running.log())
        yield running


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("XIAOZHI_", "OPENAI_", "DATABASE_URL"))}
    return subprocess.run(
        [sys.executable, "-m", "app", *command],
        cwd=TOP,
        env=plain | environment,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def test_one_of_two_broker_processes_serves_and_the_other_stands_by(honcho: Honcho) -> None:
    assert len(honcho.own("app broker")) == 2
    assert len(honcho.mosquittos()) == 1
    assert honcho.log().count(STANDS_BY) == 1
    with one_device(honcho) as device:
        device.hello()
        assert device.speak(SHORT[:4]).heard == SHORT[:4]


def test_the_release_process_does_not_end_the_others(honcho: Honcho) -> None:
    assert "honcho ends every process when one returns, so this one waits" in honcho.log()
    assert len(honcho.own("app release")) == 1
    assert honcho.is_ready()


def test_the_other_takes_over_when_the_one_that_serves_dies(tmp_path: Path) -> None:
    pytest.importorskip("honcho")
    with Honcho(tmp_path, "web") as server:
        served_by = server.broker_pid
        beside = subprocess.Popen(
            [sys.executable, "-m", "app", "broker"],
            cwd=TOP,
            env=server.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            assert beside.stdout is not None
            while STANDS_BY not in (line := beside.stdout.readline().decode()):
                assert line, "it ended"
            os.kill(served_by, signal.SIGKILL)
            while TAKES_OVER not in (line := beside.stdout.readline().decode()):
                assert line, "it ended"
            wait_for(
                lambda: STANDS_BY in server.log(), READY_SECONDS, f"the one that was started again stands by: {server.log()}"
            )
            server.wait_until_ready()
            with one_device(server) as device:
                device.hello()
                assert device.speak(SHORT[:4]).heard == SHORT[:4]
        finally:
            beside.terminate()
            beside.communicate(timeout=60)


def test_ctrl_c_ends_all_of_them_and_devices_get_their_goodbye(tmp_path: Path) -> None:
    pytest.importorskip("honcho")
    with Honcho(tmp_path) as server:
        wait_for(lambda: STANDS_BY in server.log(), READY_SECONDS, server.log())
        with one_device(server) as device:
            device.hello()
            server.interrupt()
            device.wait_for_event("goodbye_received")
        wait_for(lambda: server.pids() == {}, what=f"nothing is left: {server.pids()}")
        assert TAKES_OVER not in server.log()
        assert "Traceback" not in server.log()


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"XIAOZHI_PLATFORM__HTTP_ONLY": "true"}, "only HTTP reaches this server"),
        ({"XIAOZHI_MQTT_SERVER__ENABLE": "false", "XIAOZHI_MQTT__BROKER": "192.0.2.1"}, "mqtt_server.enable is false"),
    ],
)
def test_where_no_broker_is_needed_its_process_waits_and_says_why(tmp_path: Path, environment: dict[str, str], why: str) -> None:
    server = RunningServer(tmp_path, environment=environment)
    server.arguments = [sys.executable, "-m", "app", "broker"]
    server.start(wait=False)
    try:
        wait_for(lambda: f"no broker is needed here: {why}" in server.log(), READY_SECONDS, server.log())
        assert len(server.pids()) == 1
        assert server.stop() == 0
    finally:
        server.clear()


def test_a_release_migrates_the_database(tmp_path: Path) -> None:
    done = run("release", XIAOZHI_STATE_DIR=str(tmp_path))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "The configuration is good, and the database is up to date.")
    assert (tmp_path / "xiaozhi.db").exists()


def test_a_check_leaves_the_database_alone(tmp_path: Path) -> None:
    assert run("release", "--check", XIAOZHI_STATE_DIR=str(tmp_path)).returncode == 0
    assert not (tmp_path / "xiaozhi.db").exists()


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"XIAOZHI_UDP__LISTEN_PORT": "99999"}, "udp.listen_port"),
        ({"DATABASE_URL": "mysql://u@h/n"}, "mysql is not served"),
        ({"DATABASE_URL": "postgresql://u:geheim@127.0.0.1:1/n"}, "the database cannot be used"),
        ({"XIAOZHI_VOICE__TTS": '{"provider": "parrot"}'}, "voice.tts.provider: 'parrot' is none of"),
    ],
)
def test_what_is_wrong_stops_the_release_with_a_sentence(tmp_path: Path, environment: dict[str, str], sentence: str) -> None:
    done = run("release", XIAOZHI_STATE_DIR=str(tmp_path), **environment)
    assert done.returncode == 1
    assert "This version cannot be released: " in done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr + done.stdout
