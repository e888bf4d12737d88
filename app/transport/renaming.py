"""Whether a foreign broker renames what devices publish (PROTOCOL.md 3): without that, devices cannot be told apart.

EMQX hands on the message under its own topic too, beside the renamed one. So a message under the bare topic is a fault only
when the same one does not come renamed.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import gevent

from app.protocol.topics import PUBLISH_TOPIC

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
REMEMBERED = 256
"""Renamed messages kept for a bare one to be compared with."""


class RenamingWatch:
    """Says once in the log that the broker at ``where`` does not rename. ``later(seconds, call)`` calls after so many seconds."""

    def __init__(self, where: str, later: Callable[[float, Callable[[], None]], object] = gevent.spawn_later) -> None:
        self._where = where
        self._later = later
        self._renamed: deque[int] = deque(maxlen=REMEMBERED)
        self._bare: int | None = None
        self._has_said = False

    def renamed(self, payload: bytes) -> None:
        """A message came under a device's topic."""
        self._renamed.append(hash(payload))

    def bare(self, payload: bytes) -> None:
        """A message came under the topic that devices publish to."""
        if not self._has_said and self._bare is None:
            self._bare = hash(payload)
            self._later(PATIENCE_SECONDS, self._judge)

    def _judge(self) -> None:
        bare, self._bare = self._bare, None
        if bare in self._renamed or self._has_said:
            return
        self._has_said = True
        log.error(
            "a device published to %r, and the broker at %s does not rename that topic, so devices cannot be told apart: "
            "run `python -m app broker --upstream mqtt://%s` in front of it, or give it the rule (docs/external-broker.md)",
            PUBLISH_TOPIC,
            self._where,
            self._where,
        )
