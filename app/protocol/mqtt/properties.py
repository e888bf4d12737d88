"""MQTT 5 properties (2.2.2): a list of typed values in front of a packet's payload."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from app.protocol.malformed import Malformed
from app.protocol.mqtt.wire import Reader, binary, text, variable_integer

PropertyValue = int | str | bytes | tuple[str, str]


class Name(IntEnum):
    """Property identifiers (2.2.2.2)."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARDS_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIERS_AVAILABLE = 0x29
    SHARED_SUBSCRIPTIONS_AVAILABLE = 0x2A


BYTE = frozenset(
    {
        Name.PAYLOAD_FORMAT,
        Name.REQUEST_PROBLEM_INFORMATION,
        Name.REQUEST_RESPONSE_INFORMATION,
        Name.MAXIMUM_QOS,
        Name.RETAIN_AVAILABLE,
        Name.WILDCARDS_AVAILABLE,
        Name.SUBSCRIPTION_IDENTIFIERS_AVAILABLE,
        Name.SHARED_SUBSCRIPTIONS_AVAILABLE,
    }
)
TWO_BYTES = frozenset({Name.SERVER_KEEP_ALIVE, Name.RECEIVE_MAXIMUM, Name.TOPIC_ALIAS_MAXIMUM, Name.TOPIC_ALIAS})
FOUR_BYTES = frozenset({Name.MESSAGE_EXPIRY, Name.SESSION_EXPIRY, Name.WILL_DELAY, Name.MAXIMUM_PACKET_SIZE})
VARIABLE = frozenset({Name.SUBSCRIPTION_IDENTIFIER})
BINARY = frozenset({Name.CORRELATION_DATA, Name.AUTHENTICATION_DATA})
REPEATABLE = frozenset({Name.USER_PROPERTY, Name.SUBSCRIPTION_IDENTIFIER})
NOT_ZERO = frozenset({Name.RECEIVE_MAXIMUM, Name.MAXIMUM_PACKET_SIZE, Name.TOPIC_ALIAS, Name.SUBSCRIPTION_IDENTIFIER})


@dataclass(frozen=True, slots=True)
class Property:
    """One property: an ``int``, a string, bytes, or for USER_PROPERTY a pair of strings."""

    name: Name
    value: PropertyValue


Properties = tuple[Property, ...]


def number(properties: Properties, name: Name) -> int | None:
    """The value of an integer property, None where the packet has none."""
    for item in properties:
        if item.name is name and isinstance(item.value, int):
            return item.value
    return None


def read_properties(reader: Reader) -> Properties:
    """Properties with their length in front. Raises Malformed for unknown ones, doubled ones and values out of range."""
    length = reader.variable_integer()
    if not length:
        return ()
    part = Reader(reader.take(length))
    properties: list[Property] = []
    seen: set[Name] = set()
    while part.left:
        identifier = part.variable_integer()
        try:
            name = Name(identifier)
        except ValueError:
            raise Malformed(f"the unknown property 0x{identifier:02x}") from None
        if name in seen and name not in REPEATABLE:
            raise Malformed(f"the property {name.name} twice")
        seen.add(name)
        value = _read_value(part, name)
        if value == 0 and name in NOT_ZERO:
            raise Malformed(f"the property {name.name} with the value 0")
        properties.append(Property(name, value))
    return tuple(properties)


def _read_value(reader: Reader, name: Name) -> PropertyValue:
    if name in BYTE:
        value = reader.u8()
        if value > 1:
            raise Malformed(f"the property {name.name} with the value {value}")
        return value
    if name in TWO_BYTES:
        return reader.u16()
    if name in FOUR_BYTES:
        return reader.u32()
    if name in VARIABLE:
        return reader.variable_integer()
    if name in BINARY:
        return reader.binary()
    if name is Name.USER_PROPERTY:
        return reader.text(), reader.text()
    return reader.text()


def encode_properties(properties: Properties) -> bytes:
    """Properties with their length in front."""
    if not properties:
        return b"\0"
    body = b"".join(variable_integer(item.name) + _value(item) for item in properties)
    return variable_integer(len(body)) + body


def _value(item: Property) -> bytes:
    value = item.value
    if isinstance(value, int):
        if item.name in VARIABLE:
            return variable_integer(value)
        width = 1 if item.name in BYTE else 2 if item.name in TWO_BYTES else 4
        return value.to_bytes(width, "big")
    if isinstance(value, bytes):
        return binary(value)
    if isinstance(value, tuple):
        return text(value[0]) + text(value[1])
    return text(value)
