"""How the client libraries' HTTP reaches the network: over gevent's own sockets, whether the process is patched or not.

It is a network backend of httpcore2, the connection pool under the `openai` library. The library's own one would do in a patched
process, but for three things: a kill during a TLS handshake has to close the socket at once; a time-out has to hold for all of a
connection's making, the look-up of its name included; and an idle connection is asked whether it still stands under the pool's
lock, in which no greenlet must be switched.
"""

from __future__ import annotations

import functools
import select
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.request import getproxies, proxy_bypass

import gevent
import gevent.socket
import gevent.ssl
import httpcore2
import httpx2
from gevent import monkey

MOST_CONNECTIONS = 256
"""At a time, for each client; a further request waits for one."""
MOST_IDLE_CONNECTIONS = 32
IDLE_SECONDS = 120.0
"""How long a connection is kept for the next turn; servers that close it earlier are noticed."""
GATHERED_BYTES = 65_536
"""Of a request; so many are sent without waiting for the rest."""
ADDRESSES_TRIED = 2
"""A host of several addresses, the first of which swallows what is sent to it, leaves time for so many."""

_poll: Any = monkey.get_original("select", "poll")


class GeventTransport(httpx2.HTTPTransport):
    """HTTP/1.1 to one origin, over its own connection pool, through the proxy that the environment names for it.

    ``base_url``: an absolute URL of that origin. Raises ValueError for a proxy of a kind that is not known.
    """

    def __init__(self, base_url: httpx2.URL) -> None:
        proxy = None if proxy_bypass(base_url.host) else getproxies().get(base_url.scheme)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=client_context(),
            proxy=_proxy(httpx2.URL(proxy)) if proxy else None,
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=GeventBackend(),
        )


@functools.cache
def client_context() -> ssl.SSLContext:
    """TLS as a client, with this machine's CA certificates, or those that SSL_CERT_FILE names; made once, since that costs."""
    context: ssl.SSLContext = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context


class GeventBackend(httpcore2.NetworkBackend):
    """Makes the connections."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        source = None if local_address is None else (local_address, 0)
        each = None if timeout is None else timeout / ADDRESSES_TRIED
        with (
            _mapped(httpcore2.ConnectTimeout, httpcore2.ConnectError),
            gevent.Timeout(timeout, TimeoutError("the connection was not made in time")),
        ):
            sock = gevent.socket.create_connection((host, port), each, source)
        for option in (*(socket_options or ()), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)):
            sock.setsockopt(*option)
        return GeventStream(sock)


class GeventStream(httpcore2.NetworkStream):
    """One connection of HTTP/1.1: a request is written, then its answer is read.

    A request comes in up to twenty small pieces, each of which would cost a call of the kernel, and over TLS a record. So they
    are gathered until the answer is asked for.
    """

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self._gathered = bytearray()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._gathered:
            # A server may answer and close before it has read all: then its answer counts, not that it takes no more.
            with suppress(httpcore2.WriteError):
                self._send(timeout)
        self._socket.settimeout(timeout)
        with _mapped(httpcore2.ReadTimeout, httpcore2.ReadError):
            data: bytes = self._socket.recv(max_bytes)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._gathered += buffer
        if len(self._gathered) >= GATHERED_BYTES:
            self._send(timeout)

    def close(self) -> None:
        self._socket.close()

    def _send(self, timeout: float | None) -> None:
        gathered, self._gathered = self._gathered, bytearray()
        self._socket.settimeout(timeout)
        with _mapped(httpcore2.WriteTimeout, httpcore2.WriteError):
            self._socket.sendall(gathered)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        sock: Any = self._socket
        try:
            with (
                _mapped(httpcore2.ConnectTimeout, httpcore2.ConnectError),
                gevent.Timeout(timeout, TimeoutError("TLS was not agreed upon in time")),
            ):
                sock = ssl_context.wrap_socket(sock, server_hostname=server_hostname, do_handshake_on_connect=False)
                sock.do_handshake()
        except BaseException:  # a kill, too
            sock.close()
            raise
        return GeventStream(sock)

    def get_extra_info(self, info: str) -> Any:
        """What the pool asks for; ``is_readable`` of an idle connection means that the server has closed it."""
        if info == "is_readable":
            return self._is_readable()
        if info == "ssl_object":
            return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        return {"socket": self._socket}.get(info)

    def _is_readable(self) -> bool:
        descriptor = self._socket.fileno()
        if descriptor < 0:
            return True
        poll = _poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))


def _proxy(url: httpx2.URL) -> httpcore2.Proxy:
    if url.scheme not in ("http", "https"):
        raise ValueError(f"a proxy of the kind {url.scheme}")
    auth = (url.username.encode(), url.password.encode()) if url.username else None
    return httpcore2.Proxy(str(url.copy_with(username=None, password=None)), auth=auth)


@contextmanager
def _mapped(on_timeout: type[Exception], on_error: type[Exception]) -> Iterator[None]:
    """The errors of sockets as those of httpcore2."""
    try:
        yield
    except TimeoutError as error:
        raise on_timeout(str(error)) from error
    except OSError as error:
        raise on_error(str(error)) from error
