"""The log: one line an event, on standard error, the same for every process of the server.

As text for people, or as JSON for machines (``log.format``): one object a line with ``time`` (RFC 3339, UTC), ``level``,
``logger``, ``message``, ``device`` and ``session`` where the line is about one, and ``exception`` where there is a traceback.
What a line is about is given by who writes it: ``log.info("%s: a word", device_id, extra=about(device_id, session_id))``.

Lines are written by greenlets and by the threads of gevent's pools (database, files). The locks that gevent puts into `logging`
can leave one of the two waiting for ever when they meet, and with it whoever logs next. So the log has locks of the system: they
are held for the microseconds of one write, in which no greenlet is switched. And it does not ask for the thread's name, which
takes such a lock too.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import MemoryHandler
from types import TracebackType
from typing import Any

from gevent import monkey
from gevent.hub import Hub

from app.sections import Log

FORMAT = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
LONGEST_MESSAGE, LONGEST_TRACEBACK, LONGEST_ID = 8_000, 32_000, 120
"""Characters of one JSON field. Of a message the beginning is kept, of a traceback the end: it says what happened."""
MOST_WAITING = 200
"""Lines that `hold` keeps; then they are written as text."""

_CONTROLS = {number: f"\\x{number:02x}" for number in (*range(32), *range(127, 160))}
_CONTROLS |= {10: "\\n", 13: "\\r"} | {number: f"\\u{number:04x}" for number in range(0x2028, 0x202F)}
_system_lock: Any = monkey.get_original("_thread", "RLock")


def about(device_id: str, session_id: str = "") -> Mapping[str, object]:
    """Whom a line is about, as ``extra`` of the log call: two fields of its JSON, and nothing of its text."""
    return {"device": device_id, "session": session_id}


class TextFormatter(logging.Formatter):
    """A line for people. Nothing that a device says ends it, or steers a terminal; only a traceback has lines of its own."""

    def __init__(self) -> None:
        super().__init__(FORMAT, TIME_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """The line, without a traceback."""
        line = super().formatMessage(record)
        return line if line.isprintable() else line.translate(_CONTROLS)


class JsonFormatter(logging.Formatter):
    """A line for machines, in ASCII: no character of any value can end it."""

    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:LONGEST_MESSAGE],
        }
        for name in ("device", "session"):
            identity = record.__dict__.get(name)
            if identity:
                line[name] = str(identity)[:LONGEST_ID]
        trace = self.formatException(record.exc_info) if record.exc_info else record.exc_text
        if trace:
            line["exception"] = trace[-LONGEST_TRACEBACK:]
        return json.dumps(line)


class _Handler(logging.StreamHandler[Any]):
    def createLock(self) -> None:  # noqa: N802 - the name is logging's
        self.lock = _system_lock()


class _Waiting(MemoryHandler):
    createLock = _Handler.createLock  # noqa: N815 - the name is logging's


def hold() -> None:
    """Keeps the warnings that reading the settings gives until `set_up` knows the format; without it they come as text."""
    text = _Handler(sys.stderr)
    text.setFormatter(TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[_Waiting(MOST_WAITING, logging.CRITICAL, text)], force=True)


def set_up(settings: Log) -> None:
    """Sends the log of this process to standard error; twice is fine."""
    logging._lock = _system_lock()  # type: ignore[attr-defined]  # gevent has put its own there
    logging.logThreads = False
    handler = _Handler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    for waiting in logging.root.handlers:
        if isinstance(waiting, _Waiting):
            waiting.setTarget(handler)
    logging.basicConfig(level=settings.level, handlers=[handler], force=True)
    if settings.format == "json":
        _log_what_nobody_caught()


def _log_what_nobody_caught() -> None:
    """Python and gevent write such a traceback to standard error as it is: forty lines that are no JSON."""
    log = logging.getLogger("uncaught")

    def in_main(kind: type[BaseException], fault: BaseException, trace: TracebackType | None) -> None:
        log.critical("the process ends: %s", kind.__name__, exc_info=(kind, fault, trace))

    def in_thread(seen: threading.ExceptHookArgs) -> None:
        if seen.exc_value is not None:
            log.error("a thread ended: %s", seen.exc_type.__name__, exc_info=seen.exc_value)

    def in_greenlet(_hub: Hub, context: object, _kind: object, fault: BaseException | None, _trace: object) -> None:
        # Not the greenlet itself: what it was started with would be in the line.
        log.error("a %s failed: %s", type(context).__name__, type(fault).__name__, exc_info=fault)

    sys.excepthook = in_main
    threading.excepthook = in_thread
    Hub.print_exception = in_greenlet  # type: ignore[method-assign]
    logging.captureWarnings(True)
