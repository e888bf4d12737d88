"""``Broker(config).start()/.shutdown()`` with hbmqtt's keys, and where its files go."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.broker import Broker, BrokerConfigError, broker_config
from app.broker.config import TEMPLATE, BrokerConfig
from app.broker.rundir import BrokerError, create_run_directory, mosquitto_socket, run_directory, write_private
from app.settings import Settings
from tests.broker.broker_process import TOP
from tests.ports import free_port

UNIX = {"type": "unix", "bind": "/run/x/m.sock"}
ANYBODY = {"allow-anonymous": True}


def rendered(config: dict[str, Any]) -> list[str]:
    lines = BrokerConfig.read(config).render(TEMPLATE.read_text()).splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_a_tcp_listener_is_rendered() -> None:
    lines = rendered({"listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:1883"}}, "auth": ANYBODY})
    assert "listener 1883 127.0.0.1" in lines
    assert "allow_anonymous true" in lines
    assert "max_connections -1" in lines
    assert "persistence false" in lines
    assert "set_tcp_nodelay true" in lines


def test_a_unix_listener_is_rendered() -> None:
    lines = rendered({"listeners": {"default": UNIX}, "auth": ANYBODY})
    assert "listener 0 /run/x/m.sock" in lines
    assert "set_tcp_nodelay false" in lines


def test_a_listener_inherits_from_default(tmp_path: Path) -> None:
    pem = tmp_path / "x.pem"
    pem.touch()
    default = {"type": "tcp", "max-connections": 50}
    secure = {"bind": "8883", "ssl": "on", "certfile": str(pem), "keyfile": str(pem)}
    config = BrokerConfig.read({"listeners": {"default": default, "secure": secure}, "auth": ANYBODY})
    (listener,) = config.listeners
    assert (listener.name, listener.host, listener.port, listener.max_connections) == ("secure", "", 8883, 50)
    assert listener.certfile == pem
    assert "tls_version tlsv1.2" in config.render(TEMPLATE.read_text())


def test_who_may_log_in_is_said_once_for_all_listeners(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    listeners = {"default": UNIX, "tcp": {"type": "tcp", "bind": "127.0.0.1:1883"}}
    lines = rendered({"listeners": listeners, "auth": {"password-file": str(file)}})
    assert "per_listener_settings true" not in lines
    first_listener = next(number for number, line in enumerate(lines) if line.startswith("listener "))
    for line in ("allow_anonymous false", f"password_file {file}"):
        assert lines.count(line) == 1
        assert lines.index(line) < first_listener


def test_password_and_acl_files_are_rendered(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    lines = rendered(
        {
            "listeners": {"default": UNIX},
            "auth": {"allow-anonymous": False, "password-file": str(file)},
            "topic-check": {"enabled": True, "acl-file": str(file)},
        }
    )
    assert f"password_file {file}" in lines
    assert f"acl_file {file}" in lines
    assert "allow_anonymous false" in lines


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "names no listener"),
    ({"listeners": {"default": {}}, "auth": ANYBODY}, "has no bind"),
    ({"listeners": {"a": {}}, "auth": ANYBODY}, "listeners.a.bind is missing"),
    ({"listeners": {"default": UNIX}}, "nobody could log in"),
    ({"listeners": {"default": UNIX}, "auth": ANYBODY, "plugins": []}, "plugins is not known"),
    ({"listeners": {"default": {**UNIX, "type": "ws"}}, "auth": ANYBODY}, "use tcp or unix"),
    ({"listeners": {"default": {**UNIX, "bnd": 1}}, "auth": ANYBODY}, "listeners.default.bnd is not known"),
    ({"listeners": {"default": {**UNIX, "ssl": True}}, "auth": ANYBODY}, "has no TLS"),
    ({"listeners": {"default": {"bind": "x"}}, "auth": ANYBODY}, '"host:port"'),
    ({"listeners": {"default": {"bind": "x:70000"}}, "auth": ANYBODY}, '"host:port"'),
    ({"listeners": {"default": {"bind": "1883", "ssl": "maybe"}}, "auth": ANYBODY}, "use true or false"),
    ({"listeners": {"default": {"bind": "1883", "ssl": True}}, "auth": ANYBODY}, "have to name files"),
    ({"listeners": {"default": {"bind": "1883", "certfile": "/none"}}, "auth": ANYBODY}, "there is no file /none"),
    ({"listeners": {"default": {**UNIX, "max-connections": "9"}}, "auth": ANYBODY}, "use a whole number"),
    ({"listeners": {"default": {**UNIX, "bind": "a\nuser root"}}, "auth": ANYBODY}, "on one line"),
    ({"listeners": {"default": UNIX}, "auth": {"allow-anonymous": 3}}, "use true or false"),
    ({"listeners": {"default": UNIX}, "auth": ANYBODY, "topic-check": {"enabled": "on"}}, "has to name a file"),
    ({"listeners": [1], "auth": ANYBODY}, "has to be an object"),
]


@pytest.mark.parametrize(("config", "sentence"), WRONG)
def test_a_wrong_key_or_value_is_refused_with_a_sentence(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BrokerConfigError, match=sentence):
        Broker(config)


def test_the_built_in_brokers_config_is_valid(tmp_path: Path) -> None:
    config = BrokerConfig.read(broker_config(Settings(state_dir=tmp_path)))
    assert config.listeners[0].socket_path == mosquitto_socket(tmp_path)


SCRIPT = """
from gevent import monkey; monkey.patch_all()
import sys, subprocess
from app.broker import Broker, BrokerError
listener = {"type": "tcp", "bind": "127.0.0.1:" + sys.argv[1]}
broker = Broker({"listeners": {"default": listener}, "auth": {"allow-anonymous": True}})
try:
    broker.start(); broker.start()
except BrokerError as error:
    print(error)
    sys.exit()
print(broker.running, broker.pid is not None, broker.restarts)
broker.shutdown(); broker.shutdown()
print(broker.running, broker.pid)
"""


def run_script(port: int) -> list[str]:
    command = [sys.executable, "-c", SCRIPT, str(port)]
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=60, env={**os.environ, "PYTHONPATH": str(TOP)}
    )
    assert "Traceback" not in result.stderr
    return result.stdout.splitlines()


def test_a_broker_starts_and_shuts_down_twice() -> None:
    assert run_script(free_port()) == ["True True 0", "False None"]


def test_a_port_that_is_taken_is_said_with_mosquittos_own_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        (line,) = run_script(other.getsockname()[1])
    assert line.startswith("Mosquitto ended at once: ")
    assert "Address already in use" in line


def test_the_run_directory_depends_on_the_state_directory_alone(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    assert run_directory(tmp_path / "a") == run_directory(tmp_path / "link") == run_directory(tmp_path / "b" / ".." / "a")
    assert run_directory(tmp_path / "a") != run_directory(tmp_path / "b")
    assert len(os.fsencode(mosquitto_socket(tmp_path / ("x" * 200)))) <= 100


def test_without_root_the_run_directory_is_in_the_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1234)
    assert run_directory(Path("/srv/x")) == Path("/srv/x/run")
    assert run_directory(tmp_path / ("x" * 100)).name.startswith("xiaozhi-1234-")


def test_a_run_directory_is_private(tmp_path: Path) -> None:
    status = create_run_directory(tmp_path / "run").stat()
    assert status.st_mode & 0o027 == 0


def test_a_symbolic_link_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path)
    with pytest.raises(BrokerError, match="symbolic link"):
        create_run_directory(tmp_path / "run")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's directory")
def test_another_users_directory_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    os.chown(tmp_path / "run", 54321, 54321)
    with pytest.raises(BrokerError, match="belongs to the user 54321"):
        create_run_directory(tmp_path / "run")


def test_a_private_file_replaces_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "file").symlink_to(tmp_path / "target")
    write_private(tmp_path / "file", b"x")
    assert not (tmp_path / "target").exists()
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
