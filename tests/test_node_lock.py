"""One server a state directory."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import gevent
import pytest

from app.node_lock import NodeLock, NodeLockedError
from tests.system.running_server import TOP


def test_a_second_server_is_refused_with_a_sentence(tmp_path: Path) -> None:
    first = NodeLock(tmp_path)
    first.acquire()
    with pytest.raises(NodeLockedError, match="give this one a directory of its own in XIAOZHI_STATE_DIR"):
        NodeLock(tmp_path).acquire(patience=0.1)
    first.release()


def test_the_next_server_waits_for_the_one_before(tmp_path: Path) -> None:
    first, second = NodeLock(tmp_path), NodeLock(tmp_path)
    first.acquire()
    first.acquire()
    waiting = gevent.spawn(second.acquire, 20)
    gevent.sleep(0.1)
    assert not waiting.ready()
    first.release()
    first.release()
    waiting.get(timeout=20)
    second.release()


def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from app.node_lock import NodeLock; NodeLock(Path(sys.argv[1])).acquire()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script + "; print('held', flush=True); time.sleep(60)", str(tmp_path)],
        cwd=TOP,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(NodeLockedError):
            NodeLock(tmp_path).acquire(patience=0)
        holder.send_signal(signal.SIGKILL)
    lock = NodeLock(tmp_path)
    lock.acquire(patience=20)
    lock.release()
