"""Work for the hub's thread pool: what holds no hub, and prints no traceback of what its caller expects."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gevent

P = ParamSpec("P")
R = TypeVar("R")


def in_pool(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What ``work`` returns, or raises: gevent's pool would write every exception to stderr besides.

    When the greenlet is killed meanwhile, the work goes on to its end and nobody gets its result.
    """

    def run() -> R | _Raised:
        try:
            return work(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            return _Raised(error)

    done: R | _Raised = gevent.get_hub().threadpool.apply(run)
    if isinstance(done, _Raised):
        raise done.error
    return done


class _Raised:
    def __init__(self, error: Exception) -> None:
        self.error = error
