"""What is logged as a warning while something is tried, kept to become findings."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Keeper(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())


@contextmanager
def kept_warnings(name: str) -> Iterator[list[str]]:
    """The warnings of the logger ``name``, which are printed nowhere meanwhile."""
    keeper, logger = _Keeper(), logging.getLogger(name)
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(keeper)
    try:
        yield keeper.words
    finally:
        logger.removeHandler(keeper)
        logger.propagate = propagates
