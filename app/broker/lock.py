"""One broker process a state directory: the run directory, made and held for as long as the process lives."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent

from app.broker.rundir import create_run_directory

log = logging.getLogger(__name__)

LOCK_NAME = "broker.lock"
POLL_SECONDS = 0.2


@contextlib.contextmanager
def held_run_directory(path: Path, is_needed: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Makes ``path`` and locks it; waits for another broker process to end, for ever, and then until it ``is_needed`` in its
    place. Removes it in the end. Raises BrokerError when the directory cannot be used.
    """
    descriptor, waited = _lock(path)
    try:
        if waited:
            while not is_needed():
                gevent.sleep(POLL_SECONDS)
            log.info("the broker process before has ended; this one takes over")
        yield
    finally:
        # Removed while we hold it: who waits for it sees that it is no longer there and begins again.
        with contextlib.suppress(OSError):
            (path / LOCK_NAME).unlink()
            path.rmdir()
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a broker process uses the run directory ``path`` at this moment."""
    try:
        descriptor = os.open(path / LOCK_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _take(descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> tuple[int, bool]:
    """The locked file, and whether somebody else had it before."""
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
                    log.info("another broker process serves this state directory (%s); this one takes over when it ends", path)
                gevent.sleep(POLL_SECONDS)
            if _is_still(descriptor, path / LOCK_NAME):
                return descriptor, said
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
