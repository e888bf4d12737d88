"""PUBLISH and its four acknowledgements (MQTT 5.0: 3.3 to 3.7)."""

from __future__ import annotations

from dataclasses import dataclass

from app.protocol.malformed import Malformed
from app.protocol.mqtt.properties import Name, Properties, encode_properties, number, read_properties
from app.protocol.mqtt.wire import FLAGS, Frame, Kind, Reader, Version, packet, text

ACKNOWLEDGEMENTS = frozenset({Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP})


@dataclass(frozen=True, slots=True)
class Publish:
    """3.3. ``packet_id`` is set exactly for QoS 1 and 2."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int | None = None
    properties: Properties = ()

    @property
    def topic_alias(self) -> int | None:
        """3.3.2.3.4; version 5 only."""
        return number(self.properties, Name.TOPIC_ALIAS) if self.properties else None

    @classmethod
    def decode(cls, frame: Frame, version: Version) -> Publish:
        first = frame.first
        if first >> 4 != Kind.PUBLISH:
            raise Malformed(f"a packet with the first byte 0x{first:02x} instead of PUBLISH")
        qos = first >> 1 & 3
        if qos == 3:
            raise Malformed("a PUBLISH of QoS 3")
        if first & 8 and not qos:
            raise Malformed("a PUBLISH of QoS 0 with the DUP flag")
        reader = Reader(frame.body)
        topic = reader.text()
        if "#" in topic or "+" in topic:
            raise Malformed("a PUBLISH whose topic holds a wildcard")
        packet_id = reader.packet_id() if qos else None
        properties = read_properties(reader) if version is Version.V5 else ()
        if not topic and number(properties, Name.TOPIC_ALIAS) is None:
            raise Malformed("a PUBLISH without a topic")
        return cls(topic, reader.rest(), qos, bool(first & 1), bool(first & 8), packet_id, properties)

    def encode(self, version: Version) -> bytes:
        first = Kind.PUBLISH << 4 | self.dup << 3 | self.qos << 1 | self.retain
        head = text(self.topic)
        if self.packet_id is not None:
            head += self.packet_id.to_bytes(2, "big")
        if version is Version.V5:
            head += encode_properties(self.properties)
        return packet(first, head + self.payload)


@dataclass(frozen=True, slots=True)
class Ack:
    """PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7); ``reason`` and ``properties`` exist in version 5 only."""

    kind: Kind
    packet_id: int
    reason: int = 0
    properties: Properties = ()

    @classmethod
    def decode(cls, frame: Frame, version: Version) -> Ack:
        kind = frame.kind
        if kind not in ACKNOWLEDGEMENTS or frame.first & 15 != FLAGS.get(Kind(kind), 0):
            raise Malformed(f"a packet with the first byte 0x{frame.first:02x} instead of an acknowledgement")
        reader = Reader(frame.body)
        packet_id = reader.packet_id()
        reason, properties = 0, ()  # type: int, Properties
        if version is Version.V5 and reader.left:
            reason = reader.u8()
            properties = read_properties(reader) if reader.left else ()
        reader.end()
        return cls(Kind(kind), packet_id, reason, properties)

    def encode(self, version: Version) -> bytes:
        body = self.packet_id.to_bytes(2, "big")
        if version is Version.V5 and (self.reason or self.properties):
            body += bytes((self.reason,)) + encode_properties(self.properties)
        return packet(self.kind << 4 | FLAGS.get(self.kind, 0), body)
