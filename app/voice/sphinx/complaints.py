"""What a recognizing process writes to its standard error, as lines of this server's log."""

from __future__ import annotations

import logging
from typing import Any

from app.turn import give_way

log = logging.getLogger(__name__)

LONGEST_LINE = 1_000
"""Bytes; a longer one is logged as several."""
MOST_LINES = 100
"""Of one process. What it writes beyond is read and forgotten, so that it never waits for us."""
_READ_BYTES = 65_536


def log_complaints(stream: Any) -> None:
    """Reads a gevent socket until its other end is closed, as it is when the process ends; then closes it."""
    with stream, stream.makefile("rb") as lines:
        for _ in range(MOST_LINES):
            line = lines.readline(LONGEST_LINE)
            if not line:
                return
            log.warning("%s", line.decode("utf-8", "replace").rstrip())
        log.warning("the recognizing process writes more than %d lines: no further one is logged", MOST_LINES)
        while stream.recv(_READ_BYTES):
            give_way()
