"""A Wyoming server as a process of its own: Home Assistant's protocol for recognizers and voices, with faults on demand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

TOP = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"


class WyomingServer:
    """A context manager: inside it the server runs, for both kinds of work on one port."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def __enter__(self) -> WyomingServer:
        arguments = [sys.executable, "-m", "tests.wyoming_server"]
        self._process = subprocess.Popen(arguments, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = self._read()["port"]
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def environment(self) -> dict[str, str]:
        """What a voice server has to be started with to hear and speak through this one."""
        settings = {}
        for stage in ("ASR", "TTS"):
            settings[f"XIAOZHI_VOICE__{stage}__PROVIDER"] = "wyoming"
            settings[f"XIAOZHI_VOICE__{stage}__WYOMING__HOST"] = HOST
            settings[f"XIAOZHI_VOICE__{stage}__WYOMING__PORT"] = str(self.port)
        return settings

    def behave(self, **wanted: Any) -> None:
        """``asr``, ``tts``: faults; ``text``: what is heard; ``delay``: seconds (see `Wanted`); what is not said is as usual."""
        self._order({"behaviour": wanted})

    def reset(self) -> None:
        self.behave()
        self._order({"order": "forget"})

    def records(self, kind: str = "") -> list[dict[str, Any]]:
        """What was asked of it: ``asr``, ``tts``, or all."""
        return [record for record in self._order({"order": "records"}) if kind in ("", record["kind"])]

    def _order(self, order: dict[str, Any]) -> Any:
        stdin, _ = self._pipes()
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        answer = self._read()
        if isinstance(answer, dict) and "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def _read(self) -> Any:
        _, stdout = self._pipes()
        line = stdout.readline()
        if not line:
            raise RuntimeError("the Wyoming server has ended; what it said stands above")
        return json.loads(line)

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        return process.stdin, process.stdout
