"""A software device as a process of its own, led line by line: a browser's test and gevent do not live in one process.

``python -m tests.console.led_device OTA_URL MAC UUID`` reads one command a line and answers each with a line of JSON: ``{}``, or
``{"error": "…"}``. The commands: ``connect``, ``hello``, ``listen`` (and no audio follows), ``say`` (the question about the lamp,
and its answer), ``goodbye``, ``tools`` (what was done with its own).
"""

from __future__ import annotations

import json
import subprocess
import sys
from types import TracebackType
from typing import Any

from app.client.leg import LegFailed
from tests.system.running_server import TOP


class LedDevice:
    """The parent's side: a context manager, in which `do` leads the device."""

    def __init__(self, ota_url: str, mac: str, uuid: str = "11111111-2222-4333-8444-555555555555") -> None:
        self.mac = mac
        command = [sys.executable, "-m", "tests.console.led_device", ota_url, mac, uuid]
        self._process = subprocess.Popen(command, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> LedDevice:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._process.wait()

    def do(self, *commands: str) -> dict[str, Any]:
        """Each in turn; the last one's answer. Raises AssertionError when one fails."""
        answer: dict[str, Any] = {}
        for command in commands:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline() or '{"error": "the device has ended"}')
            assert "error" not in answer, f"{command}: {answer['error']}"
        return answer


def main() -> None:
    from gevent import get_hub

    from app.client.device import Device
    from app.client.identity import Identity
    from app.client.say import say
    from app.protocol.messages import Features
    from tests.system.devices import LAMP

    url, mac, uuid = sys.argv[1:4]
    device = Device(Identity(mac, uuid), ota_url=url, features=Features(mcp=True))

    def do(command: str) -> dict[str, Any]:
        match command:
            case "connect":
                device.connect(20, patient=True)
            case "hello":
                device.open_channel(20)
            case "listen":
                device.start_listening("auto")
            case "say":
                return say(device, LAMP, "manual", 30).summary()
            case "goodbye":
                device.close_channel()
            case "tools":
                return {"light": device.tools.light, "volume": device.tools.volume, "rebooted": device.tools.rebooted}
        return {}

    try:
        while line := get_hub().threadpool.apply(sys.stdin.readline):
            try:
                answer = do(line.strip())
            except LegFailed as failure:
                answer = {"error": str(failure)}
            print(json.dumps(answer, default=str), flush=True)
    finally:
        device.shutdown()


if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()
    main()
