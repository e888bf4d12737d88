"""``python -m tests.openai_server``: serves until its standard input ends; its ports are the one line that it writes."""

from __future__ import annotations

import argparse
import gc
import json
import sys

import gevent
import gevent.fileobject

from tests.openai_server.service import run


def _tell(ports: dict[str, int]) -> None:
    gc.freeze()
    print(json.dumps(ports), flush=True)


def _wait() -> None:
    gevent.fileobject.FileObject(sys.stdin.buffer, "rb").read()


argparse.ArgumentParser(prog="python -m tests.openai_server", description=__doc__).parse_args()
run(_tell, _wait)
