"""The sockets devices connect to: opened as the settings say, and opened again and again while somebody else has the port."""

from __future__ import annotations

import logging
import socket
import ssl
from pathlib import Path

import gevent

from app.broker.rundir import BrokerError

log = logging.getLogger(__name__)

BACKLOG = 1024
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens; ``::`` serves IPv4 too. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def listen_patiently(host: str, port: int, setting: str) -> socket.socket:
    """Like ``listening_socket``, but tries for ever: the broker process before us may still be closing."""
    pause = FIRST_PAUSE
    said = ""
    while True:
        try:
            return listening_socket(host, port)
        except OSError as error:
            if str(error) != said:
                said = str(error)
                log.error(
                    "cannot listen on %s port %d (%s): %s; trying again; free it, or set another there",
                    host,
                    port,
                    setting,
                    error.strerror or error,
                )
        gevent.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def server_tls(pem: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 and above, without renegotiation. Raises BrokerError when the files are no certificate and key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        context.load_cert_chain(pem, key)
    except (OSError, ssl.SSLError) as error:
        raise BrokerError(
            f"mqtt_server.tls.pem {pem} and mqtt_server.tls.key {key} cannot be used: {error}: "
            "give a certificate chain and its private key in PEM form."
        ) from None
    return context
