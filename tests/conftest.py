from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# How fast an example runs is the machine's affair: by default one of 200 ms fails its test, as does slow making of examples.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")


def _catches(number: signal.Signals) -> bool:
    """Whether this process has a handler for the signal, be it one that Python does not know of: `proc(5)`, ``SigCgt``."""
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return bool(caught and int(caught[1], 16) >> (number - 1) & 1)


@pytest.fixture(autouse=True)
def _every_child_keeps_its_exit_status() -> Iterator[None]:
    """gevent's child watchers reap every child of the process from then on, and `subprocess` takes a lost status for 0."""
    before = _catches(signal.SIGCHLD)
    yield
    assert before or not _catches(signal.SIGCHLD), "start it with subprocess in a process or thread of its own, not with gevent's"
