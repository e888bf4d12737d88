"""The log under greenlets and threads at once."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from gevent import monkey
monkey.patch_all()
import gevent, logging
from gevent.threadpool import ThreadPool
from app import logs
from app.sections import Log
logs.set_up(Log())
log = logging.getLogger("both")
def write(who):
    for number in range(3000):
        log.info("%s %d", who, number)
def take_turns(who):
    for number in range(3000):
        log.info("%s %d", who, number)
        gevent.sleep(0)
pool = ThreadPool(2)
work = [pool.spawn(write, "thread"), pool.spawn(write, "other thread")]
greenlets = [gevent.spawn(take_turns, f"greenlet {n}") for n in range(3)]
gevent.joinall(greenlets)
for one in work:
    one.get()
print("done")
"""


def test_greenlets_and_threads_log_at_once_and_none_is_left_waiting() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "done\n"
    assert len(done.stderr.splitlines()) == 15_000
