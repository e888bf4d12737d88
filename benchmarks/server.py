"""The real server as a process of its own: gunicorn, its worker, the broker process, Mosquitto; on free ports of 127.0.0.1."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from benchmarks import machine
from benchmarks.machine import Cores

TOP = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
KEY = "the benchmarks' signature key"
START_SECONDS, STOP_SECONDS = 60.0, 10.0


class ServerError(Exception):
    """The server did not come up or did not behave; the text says how."""


class BenchServer:
    """A context manager: inside it the server is ready, and its pids are known. ``extra`` are more environment variables."""

    def __init__(self, cores: Cores, extra: dict[str, str] | None = None) -> None:
        self.cores = cores
        self._extra = extra or {}
        self._directory = tempfile.TemporaryDirectory(prefix="xiaozhi-bench-")
        self._process: subprocess.Popen[bytes] | None = None
        self._children: list[int] = []
        self.http_port, self.mqtt_port = _free_port(socket.SOCK_STREAM), _free_port(socket.SOCK_STREAM)
        self.udp_port = _free_port(socket.SOCK_DGRAM)
        self.worker = self.broker = self.mosquitto = 0
        self._began = (0.0, 0.0)

    def __enter__(self) -> BenchServer:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def get(self, path: str) -> str:
        """The body of an HTTP answer. Raises OSError."""
        with urllib.request.urlopen(f"http://{HOST}:{self.http_port}{path}", timeout=10) as answer:
            return answer.read().decode()

    @property
    def api_token(self) -> str:
        """With which the API and the console are asked."""
        return str(json.loads((Path(self._directory.name) / "state" / "secrets.json").read_text())["api_token"])

    def ota(self, mac: str, client: str) -> dict[str, object]:
        """What OTA tells this device about MQTT."""
        request = urllib.request.Request(
            f"http://{HOST}:{self.http_port}/xiaozhi/ota/",
            data=b"{}",
            headers={"Device-Id": mac, "Client-Id": client, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["mqtt"]

    def disturbance(self) -> float:
        """How much of the worker's core others have used since the start, 0 to 1: figures beside more than a little are poor."""
        elapsed, foreign = (now - then for now, then in zip(self._clocks(), self._began, strict=True))
        return max(0.0, foreign / elapsed)

    def _clocks(self) -> tuple[float, float]:
        foreign = machine.busy_seconds(self.cores.server) - machine.cpu_seconds(self.worker)
        return time.monotonic(), foreign

    def log_tail(self, lines: int = 15) -> str:
        return "\n".join((Path(self._directory.name) / "server.log").read_text(errors="replace").splitlines()[-lines:])

    def _start(self) -> None:
        directory = Path(self._directory.name)
        (directory / "config.json").write_text("{}")
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("XIAOZHI_") and name not in ("PORT", "OPENAI_API_KEY", "OPENAI_BASE_URL")
        }
        environment |= {
            "XIAOZHI_DIALOGUE__AGENT": "echo",
            "XIAOZHI_CONFIG": str(directory / "config.json"),
            "XIAOZHI_STATE_DIR": str(directory / "state"),
            "XIAOZHI_WEBSOCKET__HOST": HOST,
            "XIAOZHI_WEBSOCKET__PORT": str(self.http_port),
            "XIAOZHI_MQTT_SERVER__LISTEN_HOST": HOST,
            "XIAOZHI_MQTT_SERVER__LISTEN_PORT": str(self.mqtt_port),
            "XIAOZHI_UDP__LISTEN_HOST": HOST,
            "XIAOZHI_UDP__LISTEN_PORT": str(self.udp_port),
            "XIAOZHI_OTA__SIGNATURE_KEY": KEY,
            "XIAOZHI_SESSIONS__HELLOS_PER_MINUTE": "1000000",
            "XIAOZHI_SESSIONS__IDLE_SECONDS": "3600",
            "XIAOZHI_DIALOGUE__LONGEST_UTTERANCE_MS": "300000",
        } | self._extra
        with (directory / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "-k", "gevent", "wsgi:app"],
                cwd=TOP,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._await_ready()
        self._find_processes()
        self._pin()
        self._began = self._clocks()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.get("/readyz")
            except (urllib.error.URLError, OSError):
                if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                    raise ServerError(f"the server did not become ready; its log ends with:\n{self.log_tail()}") from None
                time.sleep(0.05)
            else:
                return

    def _find_processes(self) -> None:
        master = self._process.pid if self._process else 0
        for pid in machine.children(master):
            if "app broker" in machine.command_line(pid):
                self.broker = pid
            else:
                self.worker = pid
        self.mosquitto = next((pid for pid in machine.children(self.broker) if "mosquitto" in machine.command_line(pid)), 0)
        self._children = [self.worker, self.broker, self.mosquitto]
        if not all(self._children):
            raise ServerError(f"worker, broker and Mosquitto are expected beneath the server, found pids {self._children}")

    def _pin(self) -> None:
        machine.pin(self.worker, self.cores.server)
        for pid in (self._process.pid if self._process else 0, self.broker, self.mosquitto):
            machine.pin(pid, self.cores.load)

    def _stop(self) -> None:
        """SIGTERM, as an operator would; what is left of our own processes after that is killed."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                for pid in (process.pid, *filter(None, self._children)):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                process.wait()
        self._directory.cleanup()


def _free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
