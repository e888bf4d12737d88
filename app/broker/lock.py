"""One broker process a state directory: the run directory, made and held for as long as the process lives."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import gevent

from app.broker.rundir import create_run_directory

log = logging.getLogger(__name__)

LOCK_NAME = "broker.lock"
POLL_SECONDS = 0.2


@contextlib.contextmanager
def held_run_directory(path: Path) -> Iterator[None]:
    """Makes ``path`` and locks it; waits for another broker process to end, for ever. Removes it in the end.

    Raises BrokerError when the directory cannot be used.
    """
    descriptor = _lock(path)
    try:
        yield
    finally:
        # Removed while we hold it: who waits for it sees that it is no longer there and begins again.
        with contextlib.suppress(OSError):
            (path / LOCK_NAME).unlink()
            path.rmdir()
        os.close(descriptor)


def _lock(path: Path) -> int:
    said = False
    while True:
        create_run_directory(path)
        try:
            descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except FileNotFoundError:  # the one before us has just removed the directory
            continue
        try:
            while not _take(descriptor):
                if not said:
                    said = True
                    log.warning("another broker process serves this state directory (%s); waiting for its end", path)
                gevent.sleep(POLL_SECONDS)
            if _is_still(descriptor, path / LOCK_NAME):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(descriptor: int, path: Path) -> bool:
    """Whether the file we hold is the one that others find."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
