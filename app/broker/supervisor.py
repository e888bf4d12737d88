"""The built-in broker: a Mosquitto of our own, started, watched, restarted and stopped.

Its face is hbmqtt's: ``Broker(config).start()`` and ``.shutdown()`` with hbmqtt's configuration keys (app/broker/config.py).
It runs on greenlets: gevent.monkey.patch_all() has to come first.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent

from app.broker.config import TEMPLATE, BrokerConfig, Listener
from app.broker.rundir import BrokerError, create_run_directory, mosquitto_account, write_private

log = logging.getLogger(__name__)
mosquitto_log = logging.getLogger("mosquitto")

START_SECONDS = 10.0
STOP_SECONDS = 3.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
STEADY_SECONDS = 30.0
LOG_LEVELS = {"Error": logging.ERROR, "Warning": logging.WARNING, "Notice": logging.INFO}
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def find_mosquitto() -> str:
    """The path of the mosquitto binary. Raises BrokerError with the command that installs it."""
    # Debian installs it to /usr/sbin, which is not in everybody's PATH.
    path = shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise BrokerError("Mosquitto is not installed: run apt-get install -y mosquitto.")
    return path


class Broker:
    """One Mosquitto process. ``run_dir`` is where its files go; without one a temporary directory is made and removed."""

    def __init__(self, config: Mapping[str, Any], *, run_dir: Path | None = None) -> None:
        self.config = BrokerConfig.read(config)
        self.restarts = 0
        self.on_change: Callable[[], None] = lambda: None
        """Called when Mosquitto has died and when it is back."""
        self._run_dir = run_dir
        self._temporary: Path | None = None
        self._files: list[Path] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._last_lines: deque[str] = deque(maxlen=10)
        self._greenlets: list[gevent.Greenlet] = []
        self._ready = False
        self._says_running = False

    @property
    def running(self) -> bool:
        """Whether Mosquitto accepts connections."""
        return self._ready and self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Mosquitto's process id, None when there is none."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Starts Mosquitto and returns when every listener accepts connections. Twice is fine.

        Raises BrokerError when it does not within 10 s, with Mosquitto's last words.
        """
        if self._greenlets:
            return
        binary = find_mosquitto()
        try:
            self._write_files()
            self._launch(binary)
            self._wait_until_ready()
        except BaseException:
            self.shutdown()
            raise
        self._greenlets.append(gevent.spawn(self._supervise, binary))

    def shutdown(self) -> None:
        """Stops Mosquitto (SIGTERM, after 3 s SIGKILL) and removes its files. Twice is fine."""
        supervisors, self._greenlets = self._greenlets, []
        gevent.killall(supervisors)
        self._stop_process()
        for path in self._files:
            path.unlink(missing_ok=True)
        self._files.clear()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None

    def _write_files(self) -> None:
        if self._run_dir is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="xiaozhi-mosquitto-"))
        directory = create_run_directory(self._run_dir or self._temporary or Path())
        config = replace(
            self.config,
            password_file=self._copy(directory, "password_file", self.config.password_file),
            acl_file=self._copy(directory, "acl_file", self.config.acl_file),
            listeners=tuple(self._with_copies(directory, listener) for listener in self.config.listeners),
        )
        self._conf = directory / "mosquitto.conf"
        self._write(self._conf, config.render(TEMPLATE.read_text("utf-8")).encode())
        self._files += [item.socket_path for item in config.listeners if item.socket_path is not None]

    def _with_copies(self, directory: Path, listener: Listener) -> Listener:
        return replace(
            listener,
            certfile=self._copy(directory, f"{listener.name}.cert", listener.certfile),
            keyfile=self._copy(directory, f"{listener.name}.key", listener.keyfile),
            cafile=self._copy(directory, f"{listener.name}.ca", listener.cafile),
        )

    def _copy(self, directory: Path, name: str, source: Path | None) -> Path | None:
        """A copy that Mosquitto's user can read, whatever the permissions of the original and the way to it."""
        if source is None:
            return None
        target = directory / f"mosquitto.{name.replace('/', '_')}"
        self._write(target, source.read_bytes())
        return target

    def _write(self, path: Path, content: bytes) -> None:
        write_private(path, content)
        self._files.append(path)

    def _launch(self, binary: str) -> None:
        for listener in self.config.listeners:
            if listener.socket_path is not None:
                listener.socket_path.unlink(missing_ok=True)
        account = mosquitto_account()
        identity: dict[str, Any] = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        parent = os.getpid()
        self._says_running = False

        def die_with_us() -> None:
            # After the change of user, because the kernel clears the signal then; that is also why Mosquitto must not change its
            # user by itself. Our death between fork and here would go unnoticed, hence the second question.
            _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        self._process = subprocess.Popen(
            [binary, "-c", str(self._conf)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
            preexec_fn=die_with_us,  # noqa: PLW1509 - it takes no lock that a thread could hold
            **identity,
        )
        self._reader = gevent.spawn(self._read_log, self._process)

    def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        stream = process.stderr
        if stream is None:
            return
        with stream:
            for line in stream:
                words = line.decode("utf-8", "replace").rstrip()
                if words:
                    self._last_lines.append(words)
                    self._says_running = self._says_running or words.endswith(" running")
                    mosquitto_log.log(LOG_LEVELS.get(words.partition(":")[0], logging.INFO), "%s", words)

    def _wait_until_ready(self) -> None:
        process = self._process
        deadline = time.monotonic() + START_SECONDS
        waiting = list(self.config.listeners)
        # A port that accepts is no proof: it may be the other program's that keeps ours from starting.
        while waiting or not self._says_running:
            if process is None or process.poll() is not None:
                self._reader.join(timeout=1)
                raise BrokerError(f"Mosquitto ended at once: {self._last_words()}")
            if waiting and _accepts(waiting[0]):
                waiting.pop(0)
            elif time.monotonic() > deadline:
                raise BrokerError(f"Mosquitto does not listen after {START_SECONDS:.0f} s: {self._last_words()}")
            else:
                gevent.sleep(0.02)
        self._ready = True

    def _last_words(self) -> str:
        return " / ".join(self._last_lines) or "it said nothing."

    def _supervise(self, binary: str) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            if self._process is not None:
                self._process.wait()
                self._ready = False
                log.error("Mosquitto ended with status %s", self._process.returncode)
                self.on_change()
            if time.monotonic() - started > STEADY_SECONDS:
                pause = FIRST_PAUSE
            gevent.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                self._launch(binary)
                self._wait_until_ready()
            except (BrokerError, OSError) as error:
                log.error("Mosquitto could not be restarted, trying again in %.1f s: %s", pause, error)
                self._stop_process()
                continue
            self.restarts += 1
            log.warning("Mosquitto was restarted (restart %d)", self.restarts)
            self.on_change()

    def _stop_process(self) -> None:
        process, self._process, self._ready = self._process, None, False
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._reader.join(timeout=1)
        self._reader.kill()


def _accepts(listener: Listener) -> bool:
    """Whether somebody accepts connections there."""
    if listener.socket_path is not None:
        family, address = socket.AF_UNIX, str(listener.socket_path)  # type: int, Any
    else:
        host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.host, listener.host)
        family, address = socket.AF_INET6 if ":" in host else socket.AF_INET, (host, listener.port)
    with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1)
        return probe.connect_ex(address) == 0
