"""One node a state directory: the lock that says so, held for as long as the process lives."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from pathlib import Path

import gevent

log = logging.getLogger(__name__)

LOCK_NAME = "node.lock"
PATIENCE_SECONDS = 20.0
"""A worker that ends gracefully needs less."""


class NodeLockedError(Exception):
    """Another process keeps the lock; the text is a sentence a person can act on."""


class NodeLock:
    """During a reload the next worker waits here for the one before; the kernel frees the lock of a process that died."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / LOCK_NAME
        self._descriptor: int | None = None

    def acquire(self, patience: float = PATIENCE_SECONDS) -> None:
        """Waits its turn. Raises NodeLockedError when that does not come."""
        if self._descriptor is not None:
            return
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + patience
        said = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(descriptor)
                    raise NodeLockedError(
                        f"another server runs with the state directory {self._path.parent}: "
                        "stop it, or give this one a directory of its own in XIAOZHI_STATE_DIR"
                    ) from None
                if not said:
                    log.info("waiting for the worker before to end")
                    said = True
                gevent.sleep(0.05)
            else:
                self._descriptor = descriptor
                return

    def release(self) -> None:
        """Twice is fine."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def node_runs(state_dir: Path) -> bool:
    """Whether a node holds the lock of this state directory at this moment."""
    try:
        descriptor = os.open(state_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
