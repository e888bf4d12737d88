"""A stand-in for a server of somebody else's, as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

TOP = Path(__file__).resolve().parents[1]


class StandIn:
    """``python -m module``, which says on its first line at which ports it can be had, and ends with its standard input."""

    def __init__(self, module: str) -> None:
        command = [sys.executable, "-m", module]
        self._process = subprocess.Popen(command, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin: IO[str] = self._process.stdin
        self._stdout: IO[str] = self._process.stdout
        try:
            self.ports: dict[str, int] = self.read()
        except RuntimeError:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def tell(self, order: object) -> Any:
        """Its answer."""
        self._stdin.write(json.dumps(order) + "\n")
        self._stdin.flush()
        return self.read()

    def read(self) -> Any:
        line = self._stdout.readline()
        if not line:
            raise RuntimeError("the stand-in has ended; what it said stands above")
        return json.loads(line)

    def stop(self) -> None:
        self._stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()
