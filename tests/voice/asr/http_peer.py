"""An HTTP server on gevent's sockets that answers as it is told, and notes what came and how connections ended."""

from __future__ import annotations

import contextlib
import email.parser
import email.policy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from gevent.event import Event
from gevent.server import StreamServer


@dataclass(frozen=True, slots=True)
class Request:
    """``connection``: the number of the connection that it came on, from 1."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    def parts(self) -> dict[str, tuple[str | None, bytes]]:
        """The parts of a multipart body: their file names and contents, by name."""
        head = f"Content-Type: {self.headers['content-type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + self.body)
        return {
            str(part.get_param("name", header="content-disposition")): (part.get_filename(), part.get_payload(decode=True))
            for part in message.iter_parts()
        }


Answer = Callable[[Any, "HttpPeer"], bool]
"""Gets the connection's socket and the peer; whether the connection stays."""


def says(document: object, status: str = "200 OK", content_type: str = "application/json") -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return sends(f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)


def sends(data: bytes, then_stays: bool = True) -> Answer:
    def answer(sock: Any, _peer: HttpPeer) -> bool:
        sock.sendall(data)
        return then_stays

    return answer


def hangs(sock: Any, peer: HttpPeer) -> bool:
    """No answer ever; sees the client go."""
    peer.is_hanging.set()
    if not sock.recv(1):
        peer.was_left.set()
    return False


def cuts(_sock: Any, _peer: HttpPeer) -> bool:
    """Ends the connection without an answer."""
    return False


class HttpPeer:
    """``answers``: what is answered, in order; the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []
        self.connections = 0
        self.is_hanging, self.was_left = Event(), Event()
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def stop(self) -> None:
        self._server.stop(timeout=0)

    def _serve(self, sock: Any, _address: object) -> None:
        self.connections += 1
        number = self.connections
        with contextlib.closing(sock), contextlib.suppress(ConnectionError):
            reader = sock.makefile("rb")
            while (request := _read(reader, number)) is not None:
                self.requests.append(request)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if not answer(sock, self):
                    return


def _read(reader: Any, number: int) -> Request | None:
    line = reader.readline()
    if not line:
        return None
    headers = {}
    while (header := reader.readline().strip()) != b"":
        name, _, value = header.decode().partition(":")
        headers[name.lower()] = value.strip()
    return Request(line.decode().split()[1], headers, reader.read(int(headers.get("content-length", 0))), number)


@contextlib.contextmanager
def http_peer(*answers: Answer) -> Iterator[HttpPeer]:
    peer = HttpPeer(*answers)
    try:
        yield peer
    finally:
        peer.stop()
