"""MQTT's primitive types and the splitting of a byte stream into control packets.

Section numbers are those of OASIS MQTT 5.0 (of MQTT 3.1.1 where it says so); the primitives are the same in all versions.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from app.protocol.malformed import Malformed

LARGEST_VARIABLE_INTEGER = 268_435_455  # 1.5.5: four bytes of seven bits


class Version(IntEnum):
    """The protocol level byte of CONNECT (3.1.2.2)."""

    V31 = 3
    V311 = 4
    V5 = 5


class Kind(IntEnum):
    """Control packet types (2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


FLAGS = {Kind.PUBREL: 2, Kind.SUBSCRIBE: 2, Kind.UNSUBSCRIBE: 2}
"""The fixed header's lower four bits, where they are not 0 (2.1.3); PUBLISH has its own."""


class TooLarge(Malformed):
    """A packet bigger than the receiver's limit; nothing of its body has been kept."""


class Frame(NamedTuple):
    """One control packet as it stood on the wire: its first byte, and everything after the remaining length."""

    first: int
    body: bytes

    @property
    def kind(self) -> int:
        """The control packet type; 0 is the reserved one."""
        return self.first >> 4

    def encode(self) -> bytes:
        return bytes((self.first,)) + variable_integer(len(self.body)) + self.body


class Splitter:
    """Bytes in as they arrive, whole packets out. Holds at most one packet of ``limit`` bytes and what was fed with it."""

    __slots__ = ("_buffer", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = b""

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the stream; ask ``next`` until it gives None before feeding more."""
        self._buffer = self._buffer + data if self._buffer else data

    def next(self) -> Frame | None:
        """The next whole packet, None when more bytes are needed.

        Raises TooLarge before the body of a packet above the limit is there, Malformed for a fixed header that is none.
        """
        buffer = self._buffer
        have = len(buffer)
        if have < 2:
            return None
        length = buffer[1]
        start = 2
        if length & 0x80:
            length &= 0x7F
            shift = 7
            while True:
                if start == 5:
                    raise Malformed("a remaining length of more than four bytes")
                if start == have:
                    return None
                byte = buffer[start]
                start += 1
                length |= (byte & 0x7F) << shift
                if not byte & 0x80:
                    break
                shift += 7
        end = start + length
        if end > self.limit:
            raise TooLarge(f"a packet of {end} bytes, the limit is {self.limit}")
        if have < end:
            return None
        self._buffer = buffer[end:]
        return Frame(buffer[0], buffer[start:end])


class Reader:
    """Reads primitives off a packet's body, in order. Raises Malformed for anything that is not there."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._end = len(data)

    @property
    def left(self) -> int:
        return self._end - self._at

    def take(self, count: int) -> bytes:
        at = self._at
        if count > self._end - at:
            raise Malformed(f"a packet that ends {count - (self._end - at)} bytes early")
        self._at = at + count
        return self._data[at : at + count]

    def rest(self) -> bytes:
        return self.take(self.left)

    def end(self) -> None:
        """Raises Malformed when something is left over."""
        if self.left:
            raise Malformed(f"{self.left} bytes after the end of a packet")

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def variable_integer(self) -> int:
        """1.5.5. An encoding longer than needed is refused (MQTT-1.5.5-1)."""
        value = 0
        for index in range(4):
            byte = self.u8()
            value |= (byte & 0x7F) << (7 * index)
            if not byte & 0x80:
                if index and not byte:
                    raise Malformed("a variable byte integer longer than needed")
                return value
        raise Malformed("a variable byte integer of more than four bytes")

    def binary(self) -> bytes:
        """1.5.6."""
        return self.take(self.u16())

    def text(self) -> str:
        """1.5.4: UTF-8 without surrogates and without U+0000."""
        try:
            value = self.binary().decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("a string that is no UTF-8") from None
        if "\0" in value:
            raise Malformed("a string that holds U+0000")
        return value

    def packet_id(self) -> int:
        """2.2.1: never 0."""
        value = self.u16()
        if not value:
            raise Malformed("the packet identifier 0")
        return value


def variable_integer(value: int) -> bytes:
    """1.5.5."""
    if value < 0x80:
        return bytes((value,))
    if value > LARGEST_VARIABLE_INTEGER:
        raise Malformed(f"{value} does not fit into a variable byte integer")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def binary(value: bytes) -> bytes:
    """1.5.6."""
    if len(value) > 0xFFFF:
        raise Malformed(f"{len(value)} bytes do not fit into a field of at most 65535")
    return len(value).to_bytes(2, "big") + value


def text(value: str) -> bytes:
    """1.5.4."""
    if "\0" in value:
        raise Malformed("a string that holds U+0000")
    try:
        return binary(value.encode("utf-8"))
    except UnicodeEncodeError:
        raise Malformed("a string that is no UTF-8") from None


def packet(first: int, body: bytes) -> bytes:
    """A whole control packet: first byte, remaining length, body (2.1)."""
    return bytes((first,)) + variable_integer(len(body)) + body


def simple(kind: Kind, body: bytes = b"") -> bytes:
    """A whole control packet of a kind whose fixed header has no flags of its own."""
    return packet(kind << 4 | FLAGS.get(kind, 0), body)
