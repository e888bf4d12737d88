"""A broker that does for devices what EMQX does with the files in broker/emqx: it asks the server who may log in, subscribes
each device to its topic, republishes what it publishes under its name, and allows nothing else.

It is written on app/protocol/mqtt, for QoS 0, and is no EMQX: what EMQX makes of those files it cannot show.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable

import gevent
from gevent.server import StreamServer

from app.protocol.mqtt import PINGRESP, Connack, Connect, Frame, Kind, Publish, Splitter, Suback, Subscribe, Version
from app.protocol.topics import ClientId

SERVER_NAME = "xiaozhi_server"

SPELLINGS: dict[str, Callable[[ClientId], str]] = {
    "the client id": str,
    "the MAC with colons": lambda client: client.mac,
    "the MAC with underscores": lambda client: client.mac.replace(":", "_"),
}


class EmqxLike:
    """``spell``: how it writes a device in topics. ``ask``: host and port of the server's HTTP; ``token``: what it brings there.

    ``published``: every topic and payload that went out to a client.
    """

    def __init__(self, http_port: int, token: str, spell: Callable[[ClientId], str], *, rule: bool = True) -> None:
        self._http_port = http_port
        self.token = token
        self._spell = spell
        self._rule = rule
        self._subscribers: list[tuple[str, socket.socket]] = []
        self.refused: list[str] = []
        self.published: list[tuple[str, bytes]] = []
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port = int(self._server.server_port)

    def stop(self) -> None:
        self._server.stop()

    def _serve(self, sock: socket.socket, _peer: object) -> None:
        splitter = Splitter(1_000_000)
        connect = Connect.decode(self._receive(sock, splitter))
        if not self._may_log_in(connect):
            self.refused.append(connect.client_id)
            sock.sendall(Connack(5).encode(Version.V311))
            return
        sock.sendall(Connack(0).encode(Version.V311))
        device = None if connect.username == SERVER_NAME else ClientId.parse(connect.client_id)
        if device is not None:
            self._subscribers.append((f"/p2p/device_sub/{self._spell(device)}", sock))
        try:
            while True:
                self._handle(sock, self._receive(sock, splitter), device)
        except (EOFError, OSError):
            self._subscribers = [entry for entry in self._subscribers if entry[1] is not sock]

    def _receive(self, sock: socket.socket, splitter: Splitter) -> Frame:
        while (frame := splitter.next()) is None:
            data = sock.recv(65_536)
            if not data:
                raise EOFError
            splitter.feed(data)
        return frame

    def _may_log_in(self, connect: Connect) -> bool:
        question = {"clientid": connect.client_id, "username": connect.username, "password": (connect.password or b"").decode()}
        connection = http.client.HTTPConnection("127.0.0.1", self._http_port, timeout=20)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        connection.request("POST", "/xiaozhi/mqtt/auth", json.dumps(question), headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status == 200 and json.loads(body)["result"] == "allow"

    def _handle(self, sock: socket.socket, frame: Frame, device: ClientId | None) -> None:
        if frame.kind == Kind.PINGREQ:
            sock.sendall(PINGRESP)
        elif frame.kind == Kind.DISCONNECT:
            raise EOFError
        elif frame.kind == Kind.SUBSCRIBE:
            subscribe = Subscribe.decode(frame, Version.V311)
            allowed = [device is None and name in ("/p2p/device_public/#", "device-server") for name, _ in subscribe.filters]
            self._subscribers += [(name, sock) for (name, _), may in zip(subscribe.filters, allowed, strict=True) if may]
            sock.sendall(Suback(subscribe.packet_id, bytes(0 if may else 0x80 for may in allowed)).encode(Version.V311))
        elif frame.kind == Kind.PUBLISH:
            publish = Publish.decode(frame, Version.V311)
            if device is None and publish.topic.startswith("/p2p/device_sub/"):
                self._deliver(publish.topic, publish.payload)
            elif device is not None and publish.topic == "device-server":
                self._deliver(publish.topic, publish.payload)
                if self._rule:
                    self._deliver(f"/p2p/device_public/{self._spell(device)}", publish.payload)

    def _deliver(self, topic: str, payload: bytes) -> None:
        self.published.append((topic, payload))
        for wanted, sock in list(self._subscribers):
            if wanted == topic or (wanted.endswith("/#") and topic.startswith(wanted[:-1])):
                sock.sendall(Publish(topic, payload).encode(Version.V311))
        gevent.sleep(0)
