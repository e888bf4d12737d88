"""The real server for the tests: ``gunicorn -k gevent wsgi:app`` from the top folder, on ports of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.ports import free_port
from tests.waiting import eventually as wait_for

TOP = Path(__file__).resolve().parents[2]
GUNICORN = (sys.executable, "-m", "gunicorn", "-k", "gevent", "wsgi:app")
READY_SECONDS = 60.0

_METRIC = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)


class RunningServer:
    """``config``: the document of a configuration file of its own, else the repository's. Ports come from the environment.

    The echo answers, unless ``config`` or ``environment`` says otherwise: it needs nothing else, and gives back what it got.
    """

    def __init__(
        self,
        directory: Path,
        *,
        config: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.state_dir = directory / "state"
        self.http_port, self.mqtt_port, self.udp_port = free_port(), free_port(), free_port()
        self.arguments = [*GUNICORN, *arguments]
        ours = ("XIAOZHI_", "OPENAI_", "PORT", "DATABASE_URL")
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(ours)},
            **({} if "dialogue" in (config or {}) else {"XIAOZHI_DIALOGUE__AGENT": "echo"}),
            "PORT": str(self.http_port),
            "XIAOZHI_MQTT_SERVER__LISTEN_PORT": str(self.mqtt_port),
            "XIAOZHI_UDP__LISTEN_PORT": str(self.udp_port),
            "XIAOZHI_STATE_DIR": str(self.state_dir),
            **(environment or {}),
        }
        if config is not None:
            path = directory / "config.json"
            path.write_text(json.dumps(config), "utf-8")
            self.environment["XIAOZHI_CONFIG"] = str(path)
        self.log_path = directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RunningServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.clear()

    # From start to end

    def start(self, wait: bool = True) -> RunningServer:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(self.arguments, cwd=TOP, env=self.environment, stdout=log, stderr=log)
        if wait:
            try:
                self.wait_until_ready()
            except BaseException:
                self.clear()
                raise
        return self

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        try:
            wait_for(self.is_ready, seconds, "the server is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.readiness()}\n{self.log()}") from None

    def ended(self, seconds: float = 30.0) -> int:
        """Waits for the end of the master and returns its exit status."""
        assert self.process is not None
        process = self.process
        wait_for(lambda: process.poll() is not None, seconds, f"the master ends; its log:\n{self.log()}")
        return int(process.returncode)

    def stop(self) -> int:
        """SIGTERM; the exit status. Asserts that nothing is left."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        status = self.ended()
        assert self.pids() == {}, f"left over: {self.pids()}"
        return status

    def clear(self) -> None:
        """Whatever became of the server: nothing of it is left."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(AssertionError):
                self.ended()
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    # Its processes

    def pids(self) -> dict[int, str]:
        """Every process of this server by pid, with its command line: the state directory in the environment tells."""
        mark = b"XIAOZHI_STATE_DIR=" + os.fsencode(self.state_dir)
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def _pid(self, mark: str) -> int:
        assert self.process is not None
        master = self.process.pid
        return wait_for(
            lambda: next((pid for pid, command in sorted(self.pids().items()) if pid != master and mark in command), 0),
            what=f"a process {mark!r}",
        )

    @property
    def master_pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def worker_pid(self) -> int:
        return self._pid("wsgi:app")

    @property
    def broker_pid(self) -> int:
        return self._pid("app broker")

    @property
    def mosquitto_pid(self) -> int:
        return self._pid("mosquitto -c")

    # What it says

    def log(self) -> str:
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    @property
    def ota_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/xiaozhi/ota/"

    def get(self, path: str) -> tuple[int, bytes]:
        """A GET; status 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error).encode()
        finally:
            connection.close()

    def readiness(self) -> str:
        return self.get("/readyz")[1].decode()

    def is_ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def metrics(self) -> dict[str, float]:
        """Every sample, without its prefix: ``udp_received_total{verdict="accepted"}``."""
        status, body = self.get("/metrics")
        assert status == 200, body
        return {
            name.removeprefix("xiaozhi_") + (f"{{{labels}}}" if labels else ""): float(value)
            for name, labels, value in _METRIC.findall(body.decode())
        }

    def verdicts(self) -> dict[str, int]:
        """How many datagrams got which verdict."""
        metrics = self.metrics()
        return {
            verdict: int(metrics[f'udp_received_total{{verdict="{verdict}"}}'])
            for verdict in ("accepted", "malformed", "unknown_ssrc", "replayed", "implausible", "held")
        }
