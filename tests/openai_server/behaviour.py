"""How a route of the stand-in behaves: how slow it is, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ROUTES = ("transcriptions", "chat", "speech", "models")
STATUSES = {
    "401": "Incorrect API key provided",
    "404": "The model does not exist",
    "429": "Rate limit reached",
    "500": "The server had an error",
    "503": "The engine is overloaded",
}
REFUSE = "refuse"
"""Nobody listens on the route's own port."""
FAULTS = (REFUSE, "drop", "hang", "hang in body", "cut", "garbage", "empty", "blank", *STATUSES)
"""What may go wrong.

``drop``: the connection is closed instead of an answer. ``hang``: nothing comes; ``hang in body``: half of the answer comes, and
no more; ``cut``: half of it, and the connection is closed. ``garbage``: 200, and no JSON, no events, no Ogg. ``empty``: 200
and no byte; ``blank``: a well-formed answer in which nothing is said.
"""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Delays in seconds: ``before_head`` of the answer, ``before_body``, ``between_chunks`` of a streamed one.

    ``times``: how many requests ``fault`` strikes, then all is well; 0: every one. ``when``: it is so only for requests in whose
    subject these words are: what was said, or is to be spoken; so one of many devices can have trouble.
    """

    before_head: float = 0.0
    before_body: float = 0.0
    between_chunks: float = 0.0
    fault: str = ""
    times: int = 0
    when: str = ""

    def __post_init__(self) -> None:
        if self.fault == REFUSE and self.when:
            raise ValueError("a port is closed for everybody")
        if self.fault and self.fault not in FAULTS:
            raise ValueError(f"{self.fault!r} is none of {', '.join(FAULTS)}")

    @classmethod
    def of(cls, document: dict[str, Any]) -> Behaviour:
        """Raises ValueError or TypeError for what it does not know."""
        return cls(**document)
