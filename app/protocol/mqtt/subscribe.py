"""SUBSCRIBE, UNSUBSCRIBE and their acknowledgements (MQTT 5.0: 3.8 to 3.11)."""

from __future__ import annotations

from dataclasses import dataclass

from app.protocol.malformed import Malformed
from app.protocol.mqtt.properties import Properties, encode_properties, read_properties
from app.protocol.mqtt.wire import FLAGS, Frame, Kind, Reader, Version, simple, text


def _reader(frame: Frame, kind: Kind) -> Reader:
    if frame.first != kind << 4 | FLAGS.get(kind, 0):
        raise Malformed(f"a packet with the first byte 0x{frame.first:02x} instead of {kind.name}")
    return Reader(frame.body)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """3.8. Each filter stands with its options byte: the QoS asked for, in version 5 with further bits (3.8.3.1)."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]
    properties: Properties = ()

    @classmethod
    def decode(cls, frame: Frame, version: Version) -> Subscribe:
        reader = _reader(frame, Kind.SUBSCRIBE)
        packet_id = reader.packet_id()
        properties = read_properties(reader) if version is Version.V5 else ()
        filters: list[tuple[str, int]] = []
        while reader.left or not filters:
            topic_filter, options = reader.text(), reader.u8()
            reserved = 0xC0 if version is Version.V5 else 0xFC
            if options & 3 == 3 or options & 0x30 == 0x30 or options & reserved:
                raise Malformed(f"a subscription with the options 0x{options:02x}")
            if not topic_filter:
                raise Malformed("a subscription to an empty topic filter")
            filters.append((topic_filter, options))
        return cls(packet_id, tuple(filters), properties)

    def encode(self, version: Version) -> bytes:
        body = self.packet_id.to_bytes(2, "big")
        if version is Version.V5:
            body += encode_properties(self.properties)
        return simple(Kind.SUBSCRIBE, body + b"".join(text(name) + bytes((options,)) for name, options in self.filters))


@dataclass(frozen=True, slots=True)
class Suback:
    """3.9. One code a filter: the QoS granted, or 0x80 and above for a refusal."""

    packet_id: int
    codes: bytes
    properties: Properties = ()

    @classmethod
    def decode(cls, frame: Frame, version: Version) -> Suback:
        reader = _reader(frame, Kind.SUBACK)
        packet_id = reader.packet_id()
        properties = read_properties(reader) if version is Version.V5 else ()
        return cls(packet_id, reader.rest(), properties)

    def encode(self, version: Version) -> bytes:
        properties = encode_properties(self.properties) if version is Version.V5 else b""
        return simple(Kind.SUBACK, self.packet_id.to_bytes(2, "big") + properties + self.codes)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """3.10."""

    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = ()

    @classmethod
    def decode(cls, frame: Frame, version: Version) -> Unsubscribe:
        reader = _reader(frame, Kind.UNSUBSCRIBE)
        packet_id = reader.packet_id()
        properties = read_properties(reader) if version is Version.V5 else ()
        filters: list[str] = []
        while reader.left or not filters:
            filters.append(reader.text())
        return cls(packet_id, tuple(filters), properties)

    def encode(self, version: Version) -> bytes:
        body = self.packet_id.to_bytes(2, "big")
        if version is Version.V5:
            body += encode_properties(self.properties)
        return simple(Kind.UNSUBSCRIBE, body + b"".join(map(text, self.filters)))


@dataclass(frozen=True, slots=True)
class Unsuback:
    """3.11. ``codes`` (one a filter) and ``properties`` exist in version 5 only."""

    packet_id: int
    codes: bytes = b""
    properties: Properties = ()

    @classmethod
    def decode(cls, frame: Frame, version: Version) -> Unsuback:
        reader = _reader(frame, Kind.UNSUBACK)
        packet_id = reader.packet_id()
        if version is not Version.V5:
            reader.end()
            return cls(packet_id)
        properties = read_properties(reader)
        return cls(packet_id, reader.rest(), properties)

    def encode(self, version: Version) -> bytes:
        body = self.packet_id.to_bytes(2, "big")
        if version is Version.V5:
            body += encode_properties(self.properties) + self.codes
        return simple(Kind.UNSUBACK, body)
