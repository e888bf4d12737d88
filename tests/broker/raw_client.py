"""A device on a bare socket: sends whatever it is told to, and reads packet by packet."""

from __future__ import annotations

import itertools
import os
import socket
from types import TracebackType

from app.protocol.credentials import issue
from app.protocol.mqtt import Connack, Connect, Frame, Kind, Properties, Splitter, Version
from tests.broker.broker_process import KEY

_serial = itertools.count(1)


def new_mac() -> str:
    """A MAC that no other test of this run uses."""
    return f"02:{os.getpid() >> 8 & 255:02x}:{os.getpid() & 255:02x}:00:{next(_serial) >> 8:02x}:{next(_serial) & 255:02x}"


def client_id_for(mac: str, uuid: str = "7b94d69a-9808-4c59-9c9b-704333b38aff") -> str:
    return f"GID_default@@@{mac.replace(':', '_')}@@@{uuid}"


def device_connect(
    mac: str,
    version: Version = Version.V311,
    *,
    key: str = KEY,
    keep_alive: int = 0,
    properties: Properties = (),
    uuid: str = "7b94d69a-9808-4c59-9c9b-704333b38aff",
) -> Connect:
    credentials = issue(key, client_id_for(mac, uuid), "127.0.0.1")
    return Connect(
        version,
        credentials.client_id,
        credentials.username,
        credentials.password.encode(),
        keep_alive,
        properties=properties,
    )


class RawClient:
    """Connected at once; closes with its ``with`` block."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, port), timeout=10)
        self.splitter = Splitter(10_000_000)

    @classmethod
    def device(cls, port: int, connect: Connect) -> RawClient:
        """A device that has been let in."""
        client = cls(port)
        assert client.connect(connect).code == 0
        return client

    def connect(self, connect: Connect) -> Connack:
        self.send(connect.encode())
        return Connack.decode(self.receive(Kind.CONNACK), connect.version)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self, kind: Kind | None = None) -> Frame:
        """The next packet, which has to be of this kind. Raises EOFError at the end of the connection."""
        while (frame := self.splitter.next()) is None:
            data = self.socket.recv(65_536)
            if not data:
                raise EOFError
            self.splitter.feed(data)
        assert kind is None or frame.kind == kind, frame
        return frame

    def wait_for_end(self, seconds: float = 20.0) -> list[Frame]:
        """What is left to read until the server closes the connection; fails when it does not."""
        self.socket.settimeout(seconds)
        frames = []
        try:
            while True:
                frames.append(self.receive())
        except (EOFError, ConnectionResetError):
            return frames

    def ping(self) -> None:
        """Returns when the server has handled all that was sent before."""
        self.send(b"\xc0\0")
        self.receive(Kind.PINGRESP)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
