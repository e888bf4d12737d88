"""A WebSocket client that sends what a test says, right or wrong: devices of the wild, and xiaozhi-mqtt-gateway."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any

from app.protocol.ws_frames import BINARY, CLOSE, PING, TEXT, FrameReader, encode_masked, read_close

MAC = "02:0a:0b:0c:0d:0e"
SECONDS = 8.0


class Refused(Exception):
    """The handshake got another answer than 101."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(f"{status} {sentence}")
        self.status = status
        self.sentence = sentence


class RawSocket:
    """``closed``: code and reason of the server's close; (0, "") while it is open, (1006, "") when it ended without one."""

    def __init__(self, port: int, path: str = "/xiaozhi/v1/", *, receive_buffer: int = 0, **headers: str | None) -> None:
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(SECONDS)
        self.sock.connect(("127.0.0.1", port))
        self.key = base64.b64encode(os.urandom(16)).decode()
        self._reader = FrameReader(masked=False)
        self._waiting: list[tuple[int, bytes]] = []
        self.closed = (0, "")
        self.head = ""
        self._shake_hands(path, headers)

    def __enter__(self) -> RawSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def _shake_hands(self, path: str, given: dict[str, str | None]) -> None:
        headers: dict[str, str | None] = {
            "host": "voice.example.org",
            "upgrade": "websocket",
            "connection": "keep-alive, Upgrade",
            "sec_websocket_version": "13",
            "sec_websocket_key": self.key,
            "device_id": MAC,
            **given,
        }
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items() if value is not None)
        self.sock.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        head, rest = received.split(b"\r\n\r\n", 1)
        self.head = head.decode()
        status = int(self.head.split(" ", 2)[1])
        if status != 101:
            size = int(self.head.lower().split("content-length: ")[1].split("\r\n")[0])
            while len(rest) < size:
                rest += self._receive()
            self.sock.close()
            raise Refused(status, json.loads(rest)["error"])
        self._waiting += self._reader.feed(rest)

    def _receive(self) -> bytes:
        data = self.sock.recv(65_536)
        if not data:
            raise ConnectionError("the server closed the connection")
        return data

    def send(self, opcode: int, payload: bytes) -> None:
        self.sock.sendall(encode_masked(opcode, payload, os.urandom(4)))

    def say(self, **message: Any) -> None:
        self.send(TEXT, json.dumps(message).encode())

    def next(self) -> tuple[int, bytes]:
        """The next frame that is no ping; after a close, or the connection's end, a CLOSE for ever."""
        while True:
            while not self._waiting and not self.closed[0]:
                try:
                    data = self.sock.recv(65_536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    self.closed = (1006, "")
                self._waiting += self._reader.feed(data)
                assert self._reader.violation is None, self._reader.violation
            if not self._waiting:
                return CLOSE, b""
            opcode, payload = self._waiting.pop(0)
            if opcode == CLOSE:
                said = read_close(payload)
                assert isinstance(said, tuple)
                self.closed = said
            if opcode != PING:
                return opcode, payload

    def next_json(self, **wanted: Any) -> dict[str, Any]:
        """The next control message with these fields."""

        def fits(opcode: int, payload: bytes) -> bool:
            return opcode == TEXT and wanted.items() <= json.loads(payload).items()

        return json.loads(self._next_that(fits, str(wanted)))  # type: ignore[no-any-return]

    def next_audio(self) -> bytes:
        return self._next_that(lambda opcode, _: opcode == BINARY, "audio")

    def _next_that(self, fits: Callable[[int, bytes], bool], what: str) -> bytes:
        while True:
            opcode, payload = self.next()
            if fits(opcode, payload):
                return payload
            assert opcode != CLOSE, f"closed with {self.closed} instead of {what}"

    def hello(self, version: int | None = 1, **more: Any) -> dict[str, Any]:
        """Says hello and returns the server's."""
        numbered = {} if version is None else {"version": version}
        self.say(**{"type": "hello", "transport": "websocket", "audio_params": {"frame_duration": 60}, **numbered, **more})
        return self.next_json(type="hello")

    def await_close(self) -> tuple[int, str]:
        """Reads on until the server closes."""
        while not self.closed[0]:
            self.next()
        return self.closed

    def gone(self) -> bool:
        """Whether the connection itself has ended, too."""
        with contextlib.suppress(ConnectionResetError):
            while self.sock.recv(65_536):
                continue
        return True
