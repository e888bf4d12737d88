"""The log: one line an event, on standard error, the same for every process of the server.

Lines are written by greenlets and by the threads of gevent's pools (database, files). The locks that gevent puts into `logging`
can leave one of the two waiting for ever when they meet, and with it whoever logs next. So the log has locks of the system: they
are held for the microseconds of one write, in which no greenlet is switched. And it does not ask for the thread's name, which
takes such a lock too.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from gevent import monkey

from app.sections import Log

FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

_system_lock: Any = monkey.get_original("_thread", "RLock")


class _Handler(logging.StreamHandler[Any]):
    def createLock(self) -> None:  # noqa: N802 - the name is logging's
        self.lock = _system_lock()


def set_up(settings: Log) -> None:
    """Sends the log of this process to standard error; twice is fine."""
    logging._lock = _system_lock()  # type: ignore[attr-defined]  # gevent has put its own there
    logging.logThreads = False
    handler = _Handler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT, TIME_FORMAT))
    logging.basicConfig(level=settings.level, handlers=[handler], force=True)
