"""Somebody else's broker: a plain Mosquitto that knows no renaming."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from pathlib import Path

from tests.ports import free_port
from tests.system.running_server import wait_for


class PlainMosquitto:
    """``accounts``: name and password of those who may log in; without any it is anonymous."""

    def __init__(self, directory: Path, **accounts: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        lines = [f"listener {self.port} 127.0.0.1", "user root", "log_dest stderr"]
        if accounts:
            passwords = directory / "passwords"
            passwords.write_text("".join(f"{name}:{password}\n" for name, password in accounts.items()))
            subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
            lines += ["allow_anonymous false", f"password_file {passwords}"]
        else:
            lines.append("allow_anonymous true")
        self._config = directory / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(self._config)], stderr=subprocess.DEVNULL)
        wait_for(self._listens, what="the plain Mosquitto listens")

    def _listens(self) -> bool:
        with contextlib.closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
