"""What a software device reports of itself while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened. ``at``: monotonic seconds; ``data``: plain JSON values, never a key or a password."""

    name: str
    at: float
    data: Mapping[str, object] = field(default_factory=dict)


OnEvent = Callable[[Event], None]
"""Called in whichever greenlet the event happens; it must not block and must not raise."""
