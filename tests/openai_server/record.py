"""What the stand-in remembers of one request. Times: seconds of the monotonic clock, which all processes of a machine share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Record:
    """``first_byte_at``, ``last_byte_at``: of the request; ``head_at``: the answer's head was sent; ``body_at``: its first piece
    was (of speech: the first that holds sound); ``finished_at``: all of it was; ``gone_at``: the client closed before that.

    ``connection``: numbers the connections, so that one used again is seen; ``subject``: what was said, or is to be spoken;
    ``facts``: what the route found in the body.
    """

    route: str
    path: str
    connection: int
    first_byte_at: float
    last_byte_at: float
    bearer: str = ""
    status: int = 0
    fault: str = ""
    subject: str = ""
    head_at: float | None = None
    body_at: float | None = None
    finished_at: float | None = None
    gone_at: float | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it is still being answered."""
        return self.finished_at is None and self.gone_at is None
