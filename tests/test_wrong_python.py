"""``python -m app`` with a Python that has not what the server needs."""

from __future__ import annotations

import subprocess
import sys

from tests.system.running_server import TOP


def test_a_python_without_the_packages_is_told_which_one_to_type() -> None:
    command = [sys.executable, "-S", "-m", "app", "doctor"]  # -S: without any installed package
    ended = subprocess.run(command, cwd=TOP, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ".venv/bin/python -m app" in ended.stderr
    assert "Traceback" not in ended.stderr
