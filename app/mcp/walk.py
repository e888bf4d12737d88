"""One walk through a device's list of tools, driven by its answers and by timers: it holds no greenlet."""

from __future__ import annotations

from collections.abc import Callable

from app.mcp.discovery import INITIALIZED, Discovery, Stage
from app.mcp.requests import Requests
from app.mcp.rpc import Failure, Result
from app.timers import Timer, Timers


class Walk:
    """Asks what ``discovery`` wants asked until that is over, then calls ``on_end`` once; it must not block.

    A step that is not answered in ``step_seconds`` is repeated once, and after as long again the device counts as silent.
    """

    def __init__(
        self,
        discovery: Discovery,
        requests: Requests,
        timers: Timers,
        step_seconds: float,
        on_end: Callable[[Discovery], None],
    ) -> None:
        self._discovery = discovery
        self._requests = requests
        self._timers = timers
        self._step_seconds = step_seconds
        self._on_end: Callable[[Discovery], None] | None = on_end
        self._id = 0
        self._timer: Timer | None = None

    def start(self) -> None:
        """Asks the first question."""
        self._ask()

    def stop(self) -> None:
        """Gives up without calling ``on_end``; twice is fine, and so is after the end."""
        self._on_end = None
        self._cancel()
        self._requests.give_up(self._id)

    def _ask(self) -> None:
        method, params = self._discovery.request()
        self._id = self._requests.ask(method, params, self._on_answer)
        self._timer = self._timers.after(self._step_seconds, self._repeat)

    def _on_answer(self, answer: Result | Failure | None) -> None:
        self._cancel()
        discovery, stage = self._discovery, self._discovery.stage
        if isinstance(answer, Result):
            discovery.answered(answer.value)
            if stage is Stage.INITIALIZE:
                self._requests.tell(INITIALIZED)
        elif answer is not None:
            discovery.refused()
        else:
            discovery.unanswered()
        if discovery.is_over:
            self._end()
        else:
            self._ask()

    def _repeat(self) -> None:
        self._timer = self._timers.after(self._step_seconds, self._silent)
        self._requests.repeat(self._id)

    def _silent(self) -> None:
        self._requests.give_up(self._id)
        self._discovery.unanswered()
        self._end()

    def _end(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(self._discovery)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
