"""A chat server whose answers are written by the test, byte by byte: for what real servers do differently."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import gevent.socket
from gevent.event import Event
from gevent.server import StreamServer

from tests.openai_server.wire import ClientGone, Connection

DONE = b"data: [DONE]\n\n"


class Drop(Exception):
    """The connection is reset here."""


@dataclass
class Script:
    """``pieces``: of the body, each sent on its own; an Event is waited for, `Drop` breaks off.

    ``status`` 0: no answer at all; ``hold``: is waited for before the head.
    """

    pieces: Iterable[bytes | Event | type[Drop]] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    hold: Event | None = None


@dataclass
class ScriptedChat:
    """Answers one request after the other, each by the next script."""

    scripts: deque[Script]
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    connections: int = 0
    gone: int = 0
    """Clients that left in the midst of an answer."""

    def __post_init__(self) -> None:
        self._server = StreamServer(("127.0.0.1", 0), self._serve)

    def __enter__(self) -> ScriptedChat:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def _serve(self, sock: gevent.socket.socket, _: Any) -> None:
        self.connections += 1
        connection = Connection(sock)
        try:
            while (request := connection.read()) is not None:
                self.requests.append(json.loads(request.body))
                self.keys.append(request.headers.get("authorization", ""))
                self._answer(connection, self.scripts.popleft())
        except ClientGone:
            self.gone += 1
        except Drop:
            connection.close(abruptly=True)

    @staticmethod
    def _answer(connection: Connection, script: Script) -> None:
        if not script.status:
            raise Drop
        if script.hold is not None:
            _wait(script.hold, connection)
        head = f"HTTP/1.1 {script.status} X\r\nContent-Type: {script.content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.send(head.encode())
        for piece in script.pieces:
            if isinstance(piece, bytes):
                connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            elif isinstance(piece, Event):
                _wait(piece, connection)
            else:
                raise piece
        connection.send(b"0\r\n\r\n")


def _wait(sign: Event, connection: Connection) -> None:
    while not sign.wait(0):
        connection.pause(0.01)


def event(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> bytes:
    """One event with one choice."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice], **more}).encode() + b"\n\n"


def words(*texts: str) -> list[bytes]:
    """A whole answer."""
    return [*(event({"content": text}) for text in texts), event(finish="stop"), DONE]


def error(message: str, code: str | None = None) -> bytes:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": code}}).encode()
