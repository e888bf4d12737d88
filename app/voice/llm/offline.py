"""The mind that works offline: a small, honest set of rules in English and Chinese, and the device's own tools.

It understands what the table in `offline_rules.table` has, and says that it is offline when that is not enough.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from typing import ClassVar

from app.voice import provider
from app.voice.llm.mind import Prompt, ToolCall
from app.voice.llm.offline_rules.table import RULES
from app.voice.llm.offline_rules.turn import Request, turn_of
from app.voice.phrases import phrases_in
from app.voice.provider import Workshop


class OfflineMind:
    """A `Mind` without a model; it keeps nothing but the count of its calls. ``now`` gives an aware time."""

    Options: ClassVar = provider.Options
    """It has none."""

    def __init__(self, _options: provider.Options, workshop: Workshop, now: Callable[[], datetime] | None = None) -> None:
        self._zone = workshop.zone
        self._now = now or self._local_time
        self._calls = count(1)

    def think(self, prompt: Prompt) -> Iterator[str | ToolCall]:
        """One answer, or one call of a tool. It takes a few milliseconds, and fails at nothing."""
        turn = turn_of(prompt, self._now())
        if turn is None:
            yield phrases_in(prompt.language).greeting
            return
        answer = next(answer for rule in RULES if (answer := rule.answer(turn)) is not None)
        if isinstance(answer, Request):
            yield ToolCall(f"offline-{next(self._calls)}", answer.tool, json.dumps(answer.arguments, ensure_ascii=False))
        else:
            yield answer

    def close(self) -> None:
        """It has nothing to give up."""

    def _local_time(self) -> datetime:
        return datetime.now().astimezone(self._zone)
