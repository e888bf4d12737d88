"""How many files, connections among them, this process may have open."""

from __future__ import annotations

import resource

MOST = 1 << 20


def allow_many() -> None:
    """Raises the limit as far as the system lets us: a device takes one or two, and the usual limit of a shell is 1,024.

    Processes started from here on inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
