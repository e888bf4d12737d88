"""The front: the port devices connect to. It lets in whom it knows, and hands each connection to what serves it.

A client with the operator's credentials is passed through to the broker; a device gets a DeviceLink. At most
``mqtt_server.max_connections`` devices are connected at a time. Connections that have not said yet who they are come on top: a
quarter of that number, for ``mqtt_server.connect_seconds`` each, so that a full house still lets the operator in and tells
the others that it is full.
"""

from __future__ import annotations

import logging
import socket
import ssl
from typing import Any

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer

from app.broker.admission import Newcomer, Refusal, is_operator, judge_device, read_connect, unsupported_answer
from app.broker.announcer import Announcer
from app.broker.counters import Counters
from app.broker.device_rules import Reason
from app.broker.limits import PatientLog
from app.broker.link import DeviceLink, Surroundings
from app.broker.outlet import keep_awake, say_goodbye
from app.broker.passthrough import pass_through
from app.broker.presence import Presence
from app.broker.upstream import Upstream
from app.logs import about
from app.protocol.malformed import Malformed
from app.protocol.mqtt import UnsupportedProtocol
from app.protocol.topics import ClientId, device_named_in
from app.secrets import Secrets
from app.sections import MqttServer

log = logging.getLogger(__name__)
patient_log = PatientLog(log)

STOP_SECONDS = 1.5


class Front:
    """Serves listening sockets given to ``serve``, until ``stop``."""

    def __init__(
        self, settings: MqttServer, secrets: Secrets, upstream: Upstream, announcer: Announcer, counters: Counters
    ) -> None:
        self._settings = settings
        self._secrets = secrets
        self._counters = counters
        self._presence: Presence[DeviceLink] = Presence(announcer)
        self._surroundings = Surroundings(upstream, counters, self._presence, settings.max_packet_bytes)
        self._unknown = 0
        self._most_unknown = max(1, settings.max_connections // 4)
        self._operators = 0
        self._servers: list[StreamServer] = []
        self._connections = Pool()

    @property
    def connections(self) -> int:
        """Devices and operators that are connected."""
        return len(self._presence) + self._operators

    def serve(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Accepts connections from now on, and returns."""

        def handle(sock: socket.socket, peer: tuple[Any, ...]) -> None:
            self._serve_connection(sock, _without_mapping(peer[0]), tls)

        server = StreamServer(listener, handle, spawn=self._connections)
        server.start()
        self._servers.append(server)

    def stop(self) -> None:
        """Closes the listeners, then every connection: version 5 devices are told that we go. Twice is fine."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        links = list(self._presence)
        for link in links:
            link.end(Reason.SHUTTING_DOWN, "the broker stops")
        with gevent.Timeout(STOP_SECONDS, False):
            for link in links:
                link.join(STOP_SECONDS)
        # Operators and those who have not said who they are have nothing to be told.
        self._connections.kill(timeout=STOP_SECONDS / 3)

    def _serve_connection(self, sock: socket.socket, address: str, tls: ssl.SSLContext | None) -> None:
        if self._unknown >= self._most_unknown:
            self._counters.connects.refused_full += 1
            sock.close()
            return
        self._unknown += 1
        try:
            keep_awake(sock)
            admitted = self._admit(sock, address, tls)
        except OSError:
            sock.close()
            return
        finally:
            self._unknown -= 1
        if admitted is None:
            return
        sock, newcomer, client = admitted
        if client is None:
            self._serve_operator(sock, newcomer, address)
        else:
            server_host = _without_mapping(sock.getsockname()[0])
            DeviceLink(
                sock, newcomer.splitter, newcomer.connect, client, self._surroundings, server_host=server_host, address=address
            ).run()

    def _admit(
        self, sock: socket.socket, address: str, tls: ssl.SSLContext | None
    ) -> tuple[socket.socket, Newcomer, ClientId | None] | None:
        """The connection (TLS already spoken) and who it is, None for the operator; None when it was not let in."""
        connects = self._counters.connects
        deadline = gevent.Timeout(self._settings.connect_seconds)
        try:
            with deadline:
                if tls is not None:
                    # In two steps: until the handshake is over there is a socket in hand that can be closed.
                    sock = tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                    sock.do_handshake()
                newcomer = read_connect(sock)
        except gevent.Timeout as expired:
            if expired is not deadline:
                raise
            connects.timeout += 1
            patient_log.warning("%s sent no CONNECT in %.0f s", address, self._settings.connect_seconds)
            sock.close()
            return None
        except UnsupportedProtocol as error:
            connects.refused_protocol += 1
            patient_log.warning("%s is refused: %s", address, error)
            say_goodbye(sock, unsupported_answer(error), linger=True)
            return None
        except Malformed as error:
            connects.malformed += 1
            patient_log.warning("%s is refused, it sent %s", address, error)
            say_goodbye(sock, b"", linger=True)
            return None
        except ssl.SSLError as error:
            connects.malformed += 1
            patient_log.warning("%s is refused, its TLS handshake failed: %s", address, error.reason or error)
            sock.close()
            return None
        if newcomer is None:
            sock.close()
            return None
        if is_operator(newcomer.connect, self._secrets):
            return sock, newcomer, None
        verdict = self._judge(newcomer)
        if isinstance(verdict, Refusal):
            self._refuse(sock, newcomer, verdict, address)
            return None
        return sock, newcomer, verdict

    def _judge(self, newcomer: Newcomer) -> ClientId | Refusal:
        verdict = judge_device(newcomer.connect, self._secrets)
        full = len(self._presence) >= self._settings.max_connections
        if full and isinstance(verdict, ClientId) and newcomer.connect.client_id not in self._presence:
            return Refusal.FULL
        return verdict

    def _refuse(self, sock: socket.socket, newcomer: Newcomer, refusal: Refusal, address: str) -> None:
        connects = self._counters.connects
        if refusal is Refusal.CLIENT_ID:
            connects.refused_client_id += 1
        elif refusal is Refusal.FULL:
            connects.refused_full += 1
        else:
            connects.refused_credentials += 1
        connect = newcomer.connect
        patient_log.warning(
            "client id %.120r at %s is refused: %s",
            connect.client_id,
            address,
            EXPLANATIONS[refusal],
            extra=about(device_named_in(connect.client_id)),
        )
        say_goodbye(sock, refusal.connack(connect.version), linger=True)

    def _serve_operator(self, sock: socket.socket, newcomer: Newcomer, address: str) -> None:
        self._counters.connects.operator += 1
        self._operators += 1
        log.info("operator %.120r connected from %s", newcomer.connect.client_id, address)
        try:
            pass_through(sock, newcomer.received, self._surroundings.upstream)
        except OSError as error:
            patient_log.warning("operator %.120r at %s: no broker behind: %s", newcomer.connect.client_id, address, error)
        finally:
            self._operators -= 1
            sock.close()
            log.info("operator %.120r from %s is disconnected", newcomer.connect.client_id, address)


EXPLANATIONS = {
    Refusal.CLIENT_ID: "it has not the form <group>@@@<mac>@@@<uuid> of a device's",
    Refusal.FULL: "mqtt_server.max_connections devices are connected",
    Refusal.NO_USERNAME: "it brought no username or no password",
    Refusal.CREDENTIALS: "its password is not signed with this server's key (ota.signature_key); the device gets it from our OTA",
    Refusal.AUTHENTICATION_METHOD: "it asks for MQTT 5 enhanced authentication, which is not offered",
}


def _without_mapping(address: str) -> str:
    """An IPv4 address that came in on an IPv6 socket, as IPv4."""
    return address.removeprefix("::ffff:") if "." in address else address
