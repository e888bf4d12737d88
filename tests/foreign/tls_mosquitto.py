"""Somebody else's Mosquitto: accounts, TLS, and MQTT over WebSocket, each on a port of its own."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from pathlib import Path

from tests.foreign.certificates import Authority, Certificate
from tests.ports import free_port
from tests.system.running_server import wait_for

SERVER, DEVICES = ("xiaozhi_server", "the server's password"), ("somebody", "another password")


class TlsMosquitto:
    """``port`` plain, ``tls_port``, ``client_port`` (TLS that asks for a certificate), ``ws_port``, ``wss_port``."""

    def __init__(self, directory: Path, authority: Authority, certificate: Certificate, *, anonymous: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        passwords = directory / "passwords"
        passwords.write_text("".join(f"{name}:{password}\n" for name, password in (SERVER, DEVICES)))
        subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True)
        self.port, self.tls_port, self.client_port, self.ws_port, self.wss_port = (free_port() for _ in range(5))
        tls = f"certfile {certificate.pem}\nkeyfile {certificate.key}\n"
        self.config = directory / "mosquitto.conf"
        self.config.write_text(
            f"user root\nlog_dest stderr\n{'allow_anonymous true' if anonymous else f'password_file {passwords}'}\n"
            f"listener {self.port} 127.0.0.1\n"
            f"listener {self.tls_port} 0.0.0.0\n{tls}"
            f"listener {self.client_port} 127.0.0.1\n{tls}cafile {authority.ca}\nrequire_certificate true\n"
            f"listener {self.ws_port} 127.0.0.1\nprotocol websockets\n"
            f"listener {self.wss_port} 127.0.0.1\nprotocol websockets\n{tls}"
        )
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(self.config)], stderr=subprocess.DEVNULL)
        wait_for(lambda: all(map(_listens, (self.port, self.tls_port, self.ws_port))), what="the foreign Mosquitto listens")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def _listens(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
