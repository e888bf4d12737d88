"""CONNECT, CONNACK and DISCONNECT: how a connection begins and ends (MQTT 5.0: 3.1, 3.2, 3.14)."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.protocol.malformed import Malformed
from app.protocol.mqtt.properties import Properties, encode_properties, read_properties
from app.protocol.mqtt.wire import Frame, Kind, Reader, Version, binary, simple, text

NAMES = {Version.V31: "MQIsdp", Version.V311: "MQTT", Version.V5: "MQTT"}

WILL_FLAG, WILL_RETAIN, PASSWORD_FLAG, USERNAME_FLAG = 0x04, 0x20, 0x40, 0x80


class UnsupportedProtocol(Malformed):
    """A CONNECT of a protocol level that does not exist here; ``level`` says which."""

    def __init__(self, level: int) -> None:
        super().__init__(f"the protocol level {level} is not supported")
        self.level = level


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker is to publish when the connection ends without a DISCONNECT (3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = ()


@dataclass(frozen=True, slots=True)
class Connect:
    """3.1. ``keep_alive`` in seconds, u16, 0 for none."""

    version: Version
    client_id: str
    username: str | None = None
    password: bytes | None = field(default=None, repr=False)
    keep_alive: int = 0
    clean_start: bool = True
    will: Will | None = None
    properties: Properties = ()

    @classmethod
    def decode(cls, frame: Frame) -> Connect:
        """Raises UnsupportedProtocol for a level that is none of the three, Malformed for what is no CONNECT."""
        if frame.first != Kind.CONNECT << 4:
            raise Malformed(f"a packet with the first byte 0x{frame.first:02x} instead of CONNECT")
        reader = Reader(frame.body)
        version = _read_version(reader)
        flags = reader.u8()
        if flags & 1 and version is not Version.V31:
            raise Malformed("a CONNECT whose reserved flag is set")
        keep_alive = reader.u16()
        properties = read_properties(reader) if version is Version.V5 else ()
        client_id = reader.text()
        will = _read_will(reader, flags, version)
        if flags & PASSWORD_FLAG and not flags & USERNAME_FLAG and version is not Version.V5:
            raise Malformed("a CONNECT with a password and no username")
        username = reader.text() if flags & USERNAME_FLAG else None
        password = reader.binary() if flags & PASSWORD_FLAG else None
        reader.end()
        return cls(version, client_id, username, password, keep_alive, bool(flags & 2), will, properties)

    def encode(self) -> bytes:
        flags = 2 if self.clean_start else 0
        payload = text(self.client_id)
        if self.will is not None:
            flags |= WILL_FLAG | self.will.qos << 3 | (WILL_RETAIN if self.will.retain else 0)
            if self.version is Version.V5:
                payload += encode_properties(self.will.properties)
            payload += text(self.will.topic) + binary(self.will.payload)
        if self.username is not None:
            flags |= USERNAME_FLAG
            payload += text(self.username)
        if self.password is not None:
            flags |= PASSWORD_FLAG
            payload += binary(self.password)
        head = text(NAMES[self.version]) + bytes((self.version, flags)) + self.keep_alive.to_bytes(2, "big")
        properties = encode_properties(self.properties) if self.version is Version.V5 else b""
        return simple(Kind.CONNECT, head + properties + payload)


def _read_version(reader: Reader) -> Version:
    name, level = reader.text(), reader.u8()
    if name not in NAMES.values():
        raise Malformed("a CONNECT whose protocol name is not MQTT")
    try:
        version = Version(level)
    except ValueError:
        raise UnsupportedProtocol(level) from None
    if NAMES[version] != name:
        raise UnsupportedProtocol(level)
    return version


def _read_will(reader: Reader, flags: int, version: Version) -> Will | None:
    qos = flags >> 3 & 3
    if qos == 3:
        raise Malformed("a will of QoS 3")
    if not flags & WILL_FLAG:
        if (qos or flags & WILL_RETAIN) and version is not Version.V31:
            raise Malformed("a CONNECT with will flags and no will")
        return None
    properties = read_properties(reader) if version is Version.V5 else ()
    return Will(reader.text(), reader.binary(), qos, bool(flags & WILL_RETAIN), properties)


@dataclass(frozen=True, slots=True)
class Connack:
    """3.2. ``code`` is a return code in version 3 (MQTT 3.1.1: 3.2.2.3) and a reason code in version 5."""

    code: int
    session_present: bool = False
    properties: Properties = ()

    @classmethod
    def decode(cls, frame: Frame, version: Version) -> Connack:
        if frame.first != Kind.CONNACK << 4:
            raise Malformed(f"a packet with the first byte 0x{frame.first:02x} instead of CONNACK")
        reader = Reader(frame.body)
        flags, code = reader.u8(), reader.u8()
        if flags > 1:
            raise Malformed("a CONNACK whose reserved flags are set")
        properties = read_properties(reader) if version is Version.V5 else ()
        reader.end()
        return cls(code, bool(flags), properties)

    def encode(self, version: Version) -> bytes:
        properties = encode_properties(self.properties) if version is Version.V5 else b""
        return simple(Kind.CONNACK, bytes((self.session_present, self.code)) + properties)


@dataclass(frozen=True, slots=True)
class Disconnect:
    """3.14. In version 3 it has no content and only a client sends it."""

    reason: int = 0
    properties: Properties = ()

    @classmethod
    def decode(cls, frame: Frame, version: Version) -> Disconnect:
        if frame.first != Kind.DISCONNECT << 4:
            raise Malformed(f"a packet with the first byte 0x{frame.first:02x} instead of DISCONNECT")
        reader = Reader(frame.body)
        reason, properties = 0, ()  # type: int, Properties
        if version is Version.V5 and reader.left:
            reason = reader.u8()
            properties = read_properties(reader) if reader.left else ()
        reader.end()
        return cls(reason, properties)

    def encode(self, version: Version) -> bytes:
        if version is not Version.V5 or not (self.reason or self.properties):
            return simple(Kind.DISCONNECT)
        return simple(Kind.DISCONNECT, bytes((self.reason,)) + encode_properties(self.properties))
