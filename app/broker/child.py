"""The broker process as a child of gunicorn's master: started with it, restarted when it dies, stopped after the workers.

The master reaps every child it finds and forks workers at any time. So this child is watched by its pid's file descriptor, in a
thread that only waits, and started with ``posix_spawn``: `subprocess` keeps a pipe open meanwhile, which a worker forked at the
wrong moment would inherit and hold.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import select
import signal
import sys
import threading
import time

from app.settings import TOP

log = logging.getLogger(__name__)

COMMAND = [sys.executable, "-m", "app", "broker", "--die-with-parent"]
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds before a restart: doubled each time, and jittered."""
LONG_LIFE_SECONDS = 30.0
"""After a life so long the first pause is short again."""
STOP_SECONDS = 4.0


class BrokerChild:
    """`start`, `stop` and `forget` may be called twice."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._pid_descriptor: int | None = None

    def start(self) -> None:
        """Starts the process and its watch."""
        if self._thread is None:
            self._stopping.clear()
            self._thread = threading.Thread(target=self._watch, name="broker-child", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Ends the process, with SIGTERM, then with SIGKILL, and the watch."""
        self._stopping.set()
        for signal_number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 1.0)):
            if self._thread is not None:
                self._signal(signal_number)
                self._thread.join(seconds)
                if not self._thread.is_alive():
                    self._thread = None

    def forget(self) -> None:
        """In a forked worker: the process is not ours."""
        self._thread = None
        self._pid_descriptor = None

    def _watch(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            began = time.monotonic()
            self._live_once()
            if self._stopping.is_set():
                return
            if time.monotonic() - began > LONG_LIFE_SECONDS:
                pause = FIRST_PAUSE
            log.error("the broker process has died; it is started again in %.1f s", pause)
            self._stopping.wait(pause * random.uniform(0.5, 1.0))
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _live_once(self) -> None:
        """Starts the process and waits for its end, which the master may see first."""
        try:
            pid = _spawn()
        except OSError as error:
            log.error("the broker process cannot be started: %s", error)
            return
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:  # it has ended, and the master has reaped it
            return
        self._pid_descriptor = descriptor
        if self._stopping.is_set():  # stop() came before there was anything to signal
            self._signal(signal.SIGTERM)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        finally:
            self._pid_descriptor = None
            os.close(descriptor)

    def _signal(self, signal_number: signal.Signals) -> None:
        descriptor = self._pid_descriptor
        if descriptor is not None:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(descriptor, signal_number)


broker_child = BrokerChild()
"""The one of this process: gunicorn reads its configuration again at every reload, and the child has to outlive that."""


def _spawn() -> int:
    """Starts the broker in a session of its own: a terminal's Ctrl-C is for the master, which ends the broker last."""
    environment = dict(os.environ)
    environment["XIAOZHI_PARENT_PID"] = str(os.getpid())
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(TOP), environment.get("PYTHONPATH"))))
    listening = [descriptor for descriptor in map(int, os.listdir("/proc/self/fd")) if descriptor > 2 and _inherits(descriptor)]
    return os.posix_spawn(
        sys.executable,
        COMMAND,
        environment,
        file_actions=[(os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in listening],
        setsid=True,
    )


def _inherits(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:
        return False
