"""Who may come in: the first packet of a connection, read in time and judged."""

from __future__ import annotations

import hmac
import socket
from dataclasses import dataclass, field
from enum import Enum

from app.protocol.credentials import password_is_valid
from app.protocol.malformed import Malformed
from app.protocol.mqtt import Connack, Connect, Splitter, UnsupportedProtocol, Version
from app.protocol.topics import ClientId
from app.secrets import Secrets

RECEIVE_BYTES = 4096
LARGEST_CONNECT = 16_384
"""Less than other packets may have: nobody has said yet who he is, and the buffer is ours."""


class Refusal(Enum):
    """Why somebody is not let in, with CONNACK's code: in version 3 (MQTT 3.1.1: 3.2.2.3) and in 5 (MQTT 5.0: 3.2.2.2)."""

    PROTOCOL = (0x01, 0x84)
    CLIENT_ID = (0x02, 0x85)
    FULL = (0x03, 0x97)
    NO_USERNAME = (0x04, 0x86)
    CREDENTIALS = (0x05, 0x86)
    AUTHENTICATION_METHOD = (0x05, 0x8C)

    def connack(self, version: Version) -> bytes:
        """The packet that says so."""
        return Connack(self.value[version is Version.V5]).encode(version)


@dataclass(slots=True)
class Newcomer:
    """A connection's beginning: the CONNECT, all bytes received so far, and the splitter that holds those after the CONNECT."""

    connect: Connect
    received: bytes = field(repr=False)
    splitter: Splitter


def read_connect(sock: socket.socket) -> Newcomer | None:
    """Reads up to the end of the CONNECT; None when the peer closes before. The caller sets the deadline.

    Raises Malformed, UnsupportedProtocol among them, and OSError.
    """
    splitter = Splitter(LARGEST_CONNECT)
    received = bytearray()
    while True:
        data = sock.recv(RECEIVE_BYTES)
        if not data:
            return None
        received += data
        if received[0] != 0x10:
            raise Malformed(f"a first packet with the first byte 0x{received[0]:02x} instead of CONNECT")
        splitter.feed(data)
        frame = splitter.next()
        if frame is not None:
            return Newcomer(Connect.decode(frame), bytes(received), splitter)


def unsupported_answer(error: UnsupportedProtocol) -> bytes:
    """CONNACK for a protocol level that is not served: in the form of version 5 for levels above it."""
    return Refusal.PROTOCOL.connack(Version.V5 if error.level > Version.V5 else Version.V311)


def is_operator(connect: Connect, secrets: Secrets) -> bool:
    """Whether the operator's username and password were given; takes the same time whichever byte is wrong."""
    if not secrets.mqtt_username or not secrets.mqtt_password:
        return False
    username = hmac.compare_digest(secrets.mqtt_username.encode(), (connect.username or "").encode())
    password = hmac.compare_digest(secrets.mqtt_password.encode(), connect.password or b"")
    return username and password


def judge_device(connect: Connect, secrets: Secrets) -> ClientId | Refusal:
    """The device, or why it is not let in."""
    if any(item.name.name.startswith("AUTHENTICATION") for item in connect.properties):
        return Refusal.AUTHENTICATION_METHOD
    try:
        client = ClientId.parse(connect.client_id)
    except Malformed:
        return Refusal.CLIENT_ID
    if connect.username is None or connect.password is None:
        return Refusal.NO_USERNAME
    password = connect.password.decode("utf-8", "replace")
    if not password_is_valid(secrets.signature_key, connect.client_id, connect.username, password):
        return Refusal.CREDENTIALS
    return client
