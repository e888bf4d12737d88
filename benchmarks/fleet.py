"""Many devices on the control leg: raw MQTT 3.1.1 connections through the server's own codec, polled by one process."""

from __future__ import annotations

import itertools
import json
import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.protocol import credentials
from app.protocol.audio_packet import AUDIO, HEADER
from app.protocol.cipher import SessionCipher
from app.protocol.mqtt import Connack, Connect, Disconnect, Kind, Publish, Splitter, Version
from app.protocol.topics import PUBLISH_TOPIC, ClientId
from benchmarks.server import HOST, KEY, BenchServer, ServerError

GROUP = "GID_bench"
CONNECTING_AT_ONCE = 64
PATIENCE_SECONDS = 20.0
BARRIER = "barrier"
"""A session id that no session has: the server answers a message for it with goodbye, after whatever came before it."""


@dataclass(slots=True)
class Device:
    """One device. ``session_id``, ``ssrc`` and ``cipher`` are those of its last hello; ``sequence`` its last packet's."""

    mac: str
    sock: socket.socket
    splitter: Splitter = field(default_factory=lambda: Splitter(65_536))
    connected: bool = False
    session_id: str = ""
    ssrc: int = 0
    cipher: SessionCipher | None = None
    sequence: int = 0

    def take_hello(self, message: dict[str, Any]) -> None:
        udp = message["udp"]
        self.session_id = message["session_id"]
        self.ssrc = int.from_bytes(bytes.fromhex(udp["nonce"])[4:8], "big")
        self.cipher = SessionCipher(bytes.fromhex(udp["key"]))
        self.sequence = 0

    def datagram(self, packet: bytes) -> bytes:
        """The next datagram of this session, with the timestamp 0 of deployed firmware."""
        assert self.cipher is not None
        self.sequence += 1
        header = HEADER.pack(AUDIO, 0, len(packet), self.ssrc, 0, self.sequence)
        return header + self.cipher.apply(header, packet)


def hello(frame_duration_ms: int = 60) -> dict[str, Any]:
    return {
        "type": "hello",
        "version": 3,
        "transport": "udp",
        "features": {"mcp": True},
        "audio_params": {"format": "opus", "sample_rate": 16000, "channels": 1, "frame_duration": frame_duration_ms},
    }


class Fleet:
    """Devices of one server. Close it after use."""

    def __init__(self, server: BenchServer) -> None:
        self._server = server
        self._poll = select.epoll()
        self._by_descriptor: dict[int, Device] = {}
        self._numbers = itertools.count(1)
        self.devices: list[Device] = []

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        for device in self.devices:
            device.sock.close()
        self._poll.close()

    def connect(self, count: int) -> list[Device]:
        """Connects so many more devices; the first one of all fetches its credentials over OTA, and the others sign theirs."""
        new: list[Device] = []
        while len(new) < count:
            wave = [self._open() for _ in range(min(CONNECTING_AT_ONCE, count - len(new)))]
            self._await(lambda wave=wave: all(device.connected for device in wave), "CONNACK")
            new += wave
        return new

    def publish(self, device: Device, message: dict[str, Any]) -> None:
        payload = json.dumps(message, separators=(",", ":")).encode()
        device.sock.sendall(Publish(PUBLISH_TOPIC, payload).encode(Version.V311))

    def poll(self, seconds: float) -> list[tuple[Device, dict[str, Any], float]]:
        """What has arrived: device, message, and when (monotonic)."""
        arrived = []
        for descriptor, _ in self._poll.poll(seconds):
            now = time.monotonic()
            device = self._by_descriptor[descriptor]
            data = device.sock.recv(65_536)
            if not data:
                raise ServerError(f"the server closed a device's connection; its log ends with:\n{self._server.log_tail()}")
            device.splitter.feed(data)
            while (frame := device.splitter.next()) is not None:
                if frame.kind == Kind.PUBLISH:
                    arrived.append((device, json.loads(Publish.decode(frame, Version.V311).payload), now))
                elif frame.kind == Kind.CONNACK:
                    code = Connack.decode(frame, Version.V311).code
                    if code:
                        raise ServerError(f"a device's CONNECT was refused with code {code}")
                    device.connected = True
        return arrived

    def open_sessions(self, devices: Sequence[Device]) -> None:
        """A hello of each, all under way at once; fresh sessions when it returns."""
        waiting = {device.mac for device in devices}
        for device in devices:
            self.publish(device, hello())

        def answered(device: Device, message: dict[str, Any]) -> None:
            if message["type"] != "hello":
                raise ServerError(f"a hello was answered with {message}")
            device.take_hello(message)
            waiting.discard(device.mac)

        self._await(lambda: not waiting, "server hello", answered)

    def tell(self, devices: Iterable[Device], message: dict[str, Any]) -> None:
        """Publishes ``message`` for each device's session."""
        for device in devices:
            self.publish(device, {"session_id": device.session_id, **message})

    def settle(self, devices: Sequence[Device]) -> None:
        """Returns when the server has handled all that these devices have published."""
        waiting = {device.mac for device in devices}
        for device in devices:
            self.publish(device, {"type": "abort", "session_id": BARRIER})

        def answered(device: Device, message: dict[str, Any]) -> None:
            if message["type"] == "goodbye" and message["session_id"] == BARRIER:
                waiting.discard(device.mac)

        self._await(lambda: not waiting, "goodbye", answered)

    def disconnect(self, devices: Sequence[Device]) -> None:
        for device in devices:
            device.sock.sendall(Disconnect().encode(Version.V311))
            self._poll.unregister(device.sock)
            del self._by_descriptor[device.sock.fileno()]
            device.sock.close()
        gone = {device.mac for device in devices}
        self.devices = [device for device in self.devices if device.mac not in gone]

    def _open(self) -> Device:
        number = next(self._numbers)
        mac = "02:be:" + ":".join(f"{byte:02x}" for byte in number.to_bytes(4, "big"))
        client = f"00000000-0000-4000-8000-{number:012d}"
        issued = credentials.issue(KEY, str(ClientId(GROUP, mac, client)), HOST)
        if number == 1:
            issued = self._from_ota(mac, client)
        device = Device(mac, socket.create_connection((HOST, self._server.mqtt_port)))
        device.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connect = Connect(Version.V311, issued.client_id, issued.username, issued.password.encode(), keep_alive=600)
        device.sock.sendall(connect.encode())
        self._by_descriptor[device.sock.fileno()] = device
        self._poll.register(device.sock, select.EPOLLIN)
        self.devices.append(device)
        return device

    def _from_ota(self, mac: str, client: str) -> credentials.Credentials:
        told = self._server.ota(mac, client)
        if told["endpoint"] != f"{HOST}:{self._server.mqtt_port}":
            raise ServerError(f"OTA names the endpoint {told['endpoint']}")
        return credentials.Credentials(str(told["client_id"]), str(told["username"]), str(told["password"]))

    def _await(self, over: Callable[[], bool], what: str, handle: Callable[[Device, dict[str, Any]], None] | None = None) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not over():
            for device, message, _ in self.poll(0.1):
                if handle is not None:
                    handle(device, message)
            if time.monotonic() > deadline:
                raise ServerError(f"no {what} within {PATIENCE_SECONDS:.0f} s; the log ends with:\n{self._server.log_tail()}")
