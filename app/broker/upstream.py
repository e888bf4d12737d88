"""The broker behind the front: the built-in Mosquitto on its Unix socket, or a foreign broker that knows no rules."""

from __future__ import annotations

import contextlib
import errno
import random
import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import gevent

from app.broker.outlet import keep_awake
from app.broker.rundir import BrokerError
from app.protocol.malformed import Malformed
from app.protocol.mqtt import Connack, Connect, Disconnect, Frame, Kind, Splitter, Suback, Subscribe, Version
from app.sections import Mqtt
from app.tls import client_tls
from app.turn import give_way

LOGIN_SECONDS = 5.0
LARGEST_PACKET = 1024 * 1024 + 16
RECEIVE_BYTES = 16_384
PORTS = {"mqtt": 1883, "mqtts": 8883}


class UpstreamError(Exception):
    """The upstream broker cannot be reached, or does not let us in."""


@dataclass(slots=True)
class UpstreamConnection:
    """A connection that is logged in. ``early`` holds what the broker sent before it had confirmed the subscription."""

    socket: socket.socket
    splitter: Splitter
    early: list[Frame] = field(default_factory=list)

    def receive(self) -> Frame:
        """The next packet. Raises UpstreamError when the connection has ended or what comes is no MQTT."""
        if self.early:
            return self.early.pop(0)
        try:
            while (frame := self.splitter.next()) is None:
                self.socket.settimeout(None)
                data = self.socket.recv(RECEIVE_BYTES)
                if not data:
                    raise UpstreamError("the broker closed the connection")
                self.splitter.feed(data)
                if len(data) == RECEIVE_BYTES:
                    give_way()  # there is more, and recv would not let the others run before it has to wait
        except (OSError, Malformed) as error:
            raise UpstreamError(str(error)) from None
        return frame

    def finish(self) -> None:
        """Says DISCONNECT: the broker closes, and ``receive`` raises once all that it had sent is read."""
        with contextlib.suppress(OSError):
            self.socket.sendall(Disconnect().encode(Version.V311))

    def close(self) -> None:
        """A greenlet that waits for this socket gets an error. Twice is fine."""
        self.socket.close()


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the broker is and how we log in there. ``address`` is a socket's path, or host and port."""

    address: Path | tuple[str, int]
    tls: ssl.SSLContext | None = None
    username: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def from_url(cls, url: str, settings: Mqtt) -> Upstream:
        """From ``mqtt://host:1883`` or ``mqtts://host:8883``; who we are there, and whom we believe, is in ``settings``.

        Raises BrokerError, or SettingsError when certificates cannot be used.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
        except ValueError:
            host = port = None
        if not host or port is None or parts.scheme not in PORTS or parts.username or parts.path.strip("/"):
            raise BrokerError(
                "--upstream has to be mqtt://host:1883 or mqtts://host:8883; name and password belong into "
                "mqtt.username and mqtt.password of the configuration."
            )
        tls = client_tls(settings) if parts.scheme == "mqtts" else None
        return cls((host, port), tls, settings.username, settings.password)

    def dial(self) -> socket.socket:
        """A fresh connection. Raises OSError."""
        if isinstance(self.address, Path):
            return self._dial_unix(str(self.address))
        sock = socket.create_connection(self.address, timeout=LOGIN_SECONDS)
        keep_awake(sock)
        if self.tls is None:
            return sock
        wrapped = self.tls.wrap_socket(sock, server_hostname=self.address[0], do_handshake_on_connect=False)
        try:
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped

    def _dial_unix(self, path: str) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            while True:
                # A Unix socket whose backlog is full answers EAGAIN at once instead of letting us wait.
                result = sock.connect_ex(path)
                if result == 0:
                    return sock
                if result != errno.EAGAIN:
                    raise OSError(result, f"{errno.errorcode.get(result, result)} at {path}")
                gevent.sleep(random.uniform(0.005, 0.03))
        except BaseException:
            sock.close()
            raise

    def log_in(self, client_id: str, subscribe: str | None = None) -> UpstreamConnection:
        """Connects as this client, clean and without keep-alive, and subscribes to one topic with QoS 0.

        Raises UpstreamError; takes 5 s at most.
        """
        connection: UpstreamConnection | None = None
        try:
            with gevent.Timeout(LOGIN_SECONDS, UpstreamError("the broker does not answer")):
                connection = UpstreamConnection(self.dial(), Splitter(LARGEST_PACKET))
                self._greet(connection, client_id, subscribe)
                return connection
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                why = error.verify_message.rstrip(".")
                raise UpstreamError(
                    f"the broker's certificate is not trusted: {why}: name its CA in mqtt.ca_file, and in --upstream the host "
                    "it is made for"
                ) from None
            if isinstance(error, OSError | Malformed):
                raise UpstreamError(str(error)) from None
            raise

    def _greet(self, connection: UpstreamConnection, client_id: str, subscribe: str | None) -> None:
        connect = Connect(
            Version.V311,
            client_id,
            self.username or None,
            self.password.encode() if self.username and self.password else None,
        )
        connection.socket.sendall(connect.encode())
        connack = Connack.decode(connection.receive(), Version.V311)
        if connack.code:
            raise UpstreamError(f"the broker refuses us with code {connack.code}: see mqtt.username and mqtt.password")
        if subscribe is None:
            return
        connection.socket.sendall(Subscribe(1, ((subscribe, 0),)).encode(Version.V311))
        early: list[Frame] = []
        while (frame := connection.receive()).kind != Kind.SUBACK:
            early.append(frame)
            if len(early) > 100:
                raise UpstreamError("the broker does not confirm our subscription")
        connection.early = early
        if Suback.decode(frame, Version.V311).codes != b"\0":
            raise UpstreamError("the broker refuses our subscription to a device's topic")
