"""A long piece of work lets the others of its hub have their turn."""

from __future__ import annotations

import gevent

_LEAST_SECONDS = 1e-6


def give_way() -> None:
    """Everything that waits gets its turn, sockets and timers too. Takes 20 µs where nothing waits.

    ``gevent.sleep(0)`` does not do this: of greenlets that have only slept so, up to 50 turns are taken in a row
    (``_run_callbacks`` of gevent's loop) before it looks at sockets again. For real seconds it has to go once around.
    """
    gevent.sleep(_LEAST_SECONDS)
