"""The device's WebSocket: opened when somebody wants to talk, closed with the session (PROTOCOL.md 7)."""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent import socket as green_socket
from gevent.lock import BoundedSemaphore

from app.client.identity import Identity
from app.client.leg import Leg, LegFailed
from app.client.websocket_settings import Place, WebSocketSettings
from app.protocol.malformed import Malformed
from app.protocol.ws_frames import (
    BINARY,
    CLOSE,
    LOST,
    NORMAL,
    PING,
    PONG,
    TEXT,
    Frame,
    FrameReader,
    Violation,
    close_payload,
    encode_masked,
    read_close,
)
from app.trust import trusting

RECEIVE_BYTES = 16 * 1024
MAX_ANSWER_BYTES = 16 * 1024
STOP_SECONDS = 2.0

OnChange = Callable[[str, Mapping[str, object]], None]
"""``websocket_connected`` or ``websocket_closed``, with its data."""
OnBinary = Callable[[float, bytes], None]


class _Head(io.BytesIO):
    """The bytes of an answer, as http.client wants them."""

    def makefile(self, *_: object, **__: object) -> _Head:
        return self


class WebSocketLink:
    """One connection at a time, which does not come back by itself: `open` makes the next.

    ``connections`` counts those that the server accepted; ``close_code`` and ``close_reason`` tell how the last one ended.
    Raises LegFailed when the URL cannot be read.
    """

    def __init__(
        self,
        settings: WebSocketSettings,
        identity: Identity,
        on_message: Callable[[bytes], None],
        on_change: OnChange,
        *,
        cafile: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        try:
            self._place = Place.parse(settings.url)
        except Malformed as error:
            raise LegFailed(Leg.WEBSOCKET, f"{error}: check websocket.url in the OTA answer.") from None
        self.url = settings.url
        self._settings = settings
        self._identity = identity
        self._on_message = on_message
        self._on_change = on_change
        self._cafile = cafile
        self._clock = clock
        self.on_binary: OnBinary | None = None
        self._sock: Any = None
        self._writing = BoundedSemaphore(1)
        self._greenlet: gevent.Greenlet | None = None
        self.connected = False
        self.connections = 0
        self.close_code = 0
        self.close_reason = ""

    def open(self, seconds: float) -> None:
        """Connects and shakes hands, unless connected. Raises LegFailed."""
        if self.connected:
            return
        sock: Any = None
        try:
            with gevent.Timeout(seconds, TimeoutError):
                sock = self._connect()
                rest = self._shake_hands(sock)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if sock is not None:
                sock.close()
            raise LegFailed(Leg.WEBSOCKET, self._sentence(error, seconds)) from None
        except LegFailed:
            sock.close()
            raise
        self._sock = sock
        self.connected = True
        self.connections += 1
        self.close_code, self.close_reason = LOST, ""
        self._on_change("websocket_connected", {"url": self.url, "version": self._settings.version})
        self._greenlet = gevent.spawn(self._run, sock, rest)

    def publish(self, payload: bytes) -> bool:
        """Sends a control message. False: there is no connection, and it is lost."""
        return self._send(TEXT, payload)

    def send_binary(self, payload: bytes) -> bool:
        """Sends a binary frame; False as `publish`."""
        return self._send(BINARY, payload)

    def stop(self) -> None:
        """Closes the connection with the code 1000, and waits for the server's; may be called twice, and from everywhere."""
        greenlet, self._greenlet = self._greenlet, None
        if greenlet is None:
            return
        self._send(CLOSE, close_payload(NORMAL))
        self._gone(NORMAL, "")
        end = gevent.spawn(self._end, greenlet)
        if greenlet is not gevent.getcurrent():
            end.join()

    def drop(self) -> None:
        """Cuts the connection without a word, as a lost Wi-Fi does."""
        if self._sock is not None:
            self._sock.shutdown(socket.SHUT_RDWR)

    def _end(self, greenlet: gevent.Greenlet) -> None:
        greenlet.join(STOP_SECONDS)
        greenlet.kill()

    def _connect(self) -> Any:
        place = self._place
        sock = green_socket.create_connection((place.host, place.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not place.tls:
            return sock
        try:
            return trusting(self._cafile).wrap_socket(sock, server_hostname=place.host)
        except OSError:
            sock.close()
            raise

    def _shake_hands(self, sock: Any) -> bytes:
        """The client's half of RFC 6455, 4.1; returns what came behind the answer."""
        headers = {
            "Host": self._place.name,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Protocol-Version": str(self._settings.version),
            "Device-Id": self._identity.mac,
            "Client-Id": self._identity.uuid,
        }
        if self._settings.token:
            token = self._settings.token
            headers["Authorization"] = token if " " in token else f"Bearer {token}"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        sock.sendall(f"GET {self._place.path} HTTP/1.1\r\n{lines}\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            data = sock.recv(RECEIVE_BYTES)
            if not data or len(received) > MAX_ANSWER_BYTES:
                raise LegFailed(Leg.WEBSOCKET, f"{self.url} did not answer as HTTP does: is it the server's port?")
            received += data
        head, rest = received.split(b"\r\n\r\n", 1)
        answer = http.client.HTTPResponse(_Head(head + b"\r\n\r\n"), method="GET")  # type: ignore[arg-type]
        answer.begin()
        if answer.status != 101:
            said = _read_rest(sock, rest, int(answer.headers.get("Content-Length") or 0))
            raise LegFailed(Leg.WEBSOCKET, f"{self.url} answered {answer.status}, not 101: {said}")
        return rest

    def _send(self, opcode: int, payload: bytes) -> bool:
        sock = self._sock
        if not self.connected or sock is None:
            return False
        try:
            with self._writing:
                sock.sendall(encode_masked(opcode, payload, os.urandom(4)))
        except OSError:
            return False
        return True

    def _run(self, sock: Any, data: bytes) -> None:
        reader = FrameReader(masked=False)
        try:
            while True:
                now = self._clock()
                for frame in reader.feed(data):
                    if not self._take(now, frame):
                        return
                if reader.violation is not None:
                    self._refuse(reader.violation)
                    return
                data = sock.recv(RECEIVE_BYTES)
                if not data:
                    return
        except OSError:
            return
        finally:
            sock.close()
            if self._sock is sock:
                self._gone(self.close_code, self.close_reason)

    def _gone(self, code: int, reason: str) -> None:
        if self._sock is not None:
            self._sock, self.connected = None, False
            self.close_code, self.close_reason = code, reason
            self._on_change("websocket_closed", {"code": code, "reason": reason})

    def _take(self, now: float, frame: Frame) -> bool:
        """False: the server has closed the connection."""
        opcode, payload = frame
        if opcode == BINARY:
            if self.on_binary is not None:
                self.on_binary(now, payload)
        elif opcode == TEXT:
            self._on_message(payload)
        elif opcode == PING:
            self._send(PONG, payload)
        elif opcode == CLOSE:
            said = read_close(payload)
            if isinstance(said, Violation):
                self._refuse(said)
                return False
            self.close_code, self.close_reason = said
            self._send(CLOSE, payload[:2])
            return False
        return True

    def _refuse(self, fault: Violation) -> None:
        self.close_code, self.close_reason = fault.code, f"the server broke the WebSocket protocol: {fault.sentence}"
        self._send(CLOSE, close_payload(fault.code, fault.sentence))

    def _sentence(self, error: Exception, seconds: float) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the certificate of {self.url} is not trusted: {error.verify_message}: give its CA with --cafile."
        if isinstance(error, ConnectionRefusedError):
            return f"nothing listens at {self.url}: is the server running, and is websocket.url in the OTA answer right?"
        if isinstance(error, TimeoutError):
            return f"{self.url} did not answer within {seconds:g} s: check the address and the firewall."
        if isinstance(error, http.client.HTTPException):
            return f"{self.url} did not answer as HTTP does: is it the server's port?"
        return f"{self.url} cannot be reached: {error}: check websocket.url in the OTA answer."


def _read_rest(sock: Any, body: bytes, size: int) -> str:
    """The sentence in the body of a refusal."""
    while len(body) < min(size, MAX_ANSWER_BYTES):
        data = sock.recv(RECEIVE_BYTES)
        if not data:
            break
        body += data
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", "replace").strip() or "an empty body"
