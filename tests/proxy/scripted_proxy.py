"""A reverse proxy that does to requests what a test says: it adds headers, changes the Host, and may speak TLS outside."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import gevent
from gevent import socket
from gevent.server import StreamServer
from gevent.ssl import SSLContext

from tests.foreign.certificates import Certificate


class ScriptedProxy:
    """Before 127.0.0.1:``behind``. ``headers`` replace the client's of that name; ``{host}`` is the Host that the client sent and
    ``{chain}`` its X-Forwarded-For with its address added. One request a connection.
    """

    def __init__(self, behind: int, headers: Mapping[str, str], certificate: Certificate | None = None) -> None:
        self._behind = behind
        self._headers = dict(headers)
        tls = {}
        if certificate is not None:
            context = SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.pem, certificate.key)
            tls = {"ssl_context": context}
        self._server = StreamServer(("127.0.0.1", 0), self._serve, **tls)
        self._server.start()
        self.port = int(self._server.server_port)

    def stop(self) -> None:
        self._server.stop()

    def _serve(self, client: socket.socket, peer: tuple[str, int]) -> None:
        received = b""
        while b"\r\n\r\n" not in received:
            data = client.recv(65_536)
            if not data:
                return
            received += data
        head, _, body = received.partition(b"\r\n\r\n")
        request, *lines = head.decode("latin-1").split("\r\n")
        sent = dict(line.split(": ", 1) for line in lines)
        lower = {name.lower(): value for name, value in sent.items()}
        chain = ", ".join(filter(None, (lower.get("x-forwarded-for", ""), peer[0])))
        values = {"host": lower.get("host", ""), "chain": chain}
        ours = {name: value.format(**values) for name, value in self._headers.items()}
        replaced = {name.lower() for name in ours} | {"connection"}
        kept = {name: value for name, value in sent.items() if name.lower() not in replaced}
        head = "\r\n".join([request, *(f"{name}: {value}" for name, value in (kept | ours | {"Connection": "close"}).items())])
        with socket.create_connection(("127.0.0.1", self._behind)) as server:
            server.sendall(head.encode("latin-1") + b"\r\n\r\n" + body)
            up = gevent.spawn(_copy, client, server)
            _copy(server, client)
            up.kill()


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65_536):
            target.sendall(data)
    except OSError:
        return


FORWARDED = {
    "Host": "127.0.0.1:1",
    "X-Forwarded-For": "{chain}",
    "X-Forwarded-Host": "{host}",
    "X-Forwarded-Proto": "https",
}
"""What a proxy that ends TLS is to send, whatever Host it speaks to us with."""
