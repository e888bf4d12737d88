"""A real broker process for the tests: started, watched and ended by pid, with its own state directory and port."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt

from app.broker.rundir import run_directory
from tests.ports import free_port
from tests.waiting import eventually

TOP = Path(__file__).resolve().parents[2]
KEY = "the tests' signature key"
OPERATOR, PASSWORD = "operator", "the operator's password"
SCRIPT = """
from gevent import monkey; monkey.patch_all()
import logging, sys
from pathlib import Path
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
from app.broker.process import run_broker
from app.settings import load
sys.exit(run_broker(load(Path(sys.argv[1])), sys.argv[2] or None, bool(sys.argv[3])))
"""


class BrokerProcess:
    """``python -m app broker``, without the command line around it."""

    def __init__(self, directory: Path, *, upstream: str = "", die_with_parent: bool = False, **mqtt_server: Any) -> None:
        self.state_dir = directory / "state"
        self.run_dir = run_directory(self.state_dir)
        self.port = mqtt_server.setdefault("listen_port", free_port())
        mqtt_server.setdefault("listen_host", "127.0.0.1")
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / "config.json"
        self.log_path = directory / "broker.log"
        self.config.write_text(
            json.dumps(
                {
                    "mqtt": {"username": OPERATOR, "password": PASSWORD},
                    "mqtt_server": mqtt_server,
                    "ota": {"signature_key": KEY},
                }
            )
        )
        self.arguments = [sys.executable, "-c", SCRIPT, str(self.config), upstream, "yes" if die_with_parent else ""]
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("XIAOZHI_") and name != "PORT"}
        return {**kept, "XIAOZHI_STATE_DIR": str(self.state_dir), "PYTHONPATH": str(TOP)}

    def start(self, wait: bool = True) -> BrokerProcess:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.arguments, env=self.environment(), stdout=log, stderr=log, cwd=self.log_path.parent
            )
        if wait:
            eventually(self.listens, what="the broker process listens")
        return self

    def listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        with contextlib.closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def log(self) -> str:
        return self.log_path.read_text("utf-8") if self.log_path.exists() else ""

    def mosquitto_pids(self) -> list[int]:
        """The Mosquittos that run with this process's configuration file, whoever their parent is."""
        wanted = str(self.run_dir / "mosquitto.conf").encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in (entry / "cmdline").read_bytes().split(b"\0") and _state(entry) != "Z":
                        found.append(int(entry.name))
        return found

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def _state(entry: Path) -> str:
    return (entry / "stat").read_text().rpartition(")")[2].split()[0]


class Operator:
    """A paho client with the operator's credentials that keeps what it hears."""

    def __init__(self, port: int, *topics: str, client_id: str = "", version: int = mqtt.MQTTv311) -> None:
        self.messages: list[mqtt.MQTTMessage] = []
        self.subscribed = 0
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTProtocolVersion(version))
        self.client.username_pw_set(OPERATOR, PASSWORD)
        self.client.on_message = lambda _client, _data, message: self.messages.append(message)
        self.client.on_subscribe = lambda *_: self._count()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        eventually(self.client.is_connected, 20, "the operator is connected")
        if topics:
            self.client.subscribe([(topic, 2) for topic in topics])
            eventually(lambda: self.subscribed, 20, "the operator has subscribed")

    def _count(self) -> None:
        self.subscribed += 1

    def payloads(self, topic: str) -> list[bytes]:
        return [message.payload for message in self.messages if message.topic == topic]

    def documents(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(payload) for payload in self.payloads(topic)]

    def lifecycle(self, device_id: str) -> list[str]:
        documents = self.documents("/p2p/device_public/_server/lifecycle")
        return [document["state"] for document in documents if document["device_id"] == device_id]

    def status(self) -> dict[str, Any]:
        """The newest status message."""
        return eventually(lambda: self.documents("/p2p/device_public/_server/broker"), what="a status message")[-1]

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        self.client.publish(topic, payload, qos, retain).wait_for_publish(20)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
