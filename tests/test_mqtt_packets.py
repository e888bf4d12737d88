"""The MQTT codec: what is encoded is decoded again, known bytes mean what the standard says, and garbage is Malformed."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.malformed import Malformed
from app.protocol.mqtt import (
    Ack,
    Connack,
    Connect,
    Disconnect,
    Frame,
    Kind,
    Name,
    Property,
    Publish,
    Splitter,
    Suback,
    Subscribe,
    TooLarge,
    Unsuback,
    Unsubscribe,
    UnsupportedProtocol,
    Version,
    Will,
)
from app.protocol.mqtt.properties import BINARY, BYTE, FOUR_BYTES, NOT_ZERO, REPEATABLE, TWO_BYTES, VARIABLE
from app.protocol.mqtt.wire import LARGEST_VARIABLE_INTEGER, Reader, variable_integer

versions = st.sampled_from(Version)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
topics = st.text(st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=40)
identifiers = st.integers(1, 0xFFFF)
payloads = st.binary(max_size=300)


def values(name: Name) -> st.SearchStrategy[Any]:
    least = 1 if name in NOT_ZERO else 0
    if name in BYTE:
        return st.integers(least, 1)
    if name in TWO_BYTES:
        return st.integers(least, 0xFFFF)
    if name in FOUR_BYTES:
        return st.integers(least, 0xFFFF_FFFF)
    if name in VARIABLE:
        return st.integers(least, LARGEST_VARIABLE_INTEGER)
    if name in BINARY:
        return st.binary(max_size=20)
    return st.tuples(texts, texts) if name is Name.USER_PROPERTY else texts


one_property = st.sampled_from(Name).flatmap(lambda name: values(name).map(lambda value: Property(name, value)))
properties = st.lists(one_property, max_size=6, unique_by=lambda item: (item.name, item.name in REPEATABLE and object())).map(
    tuple
)


def split(data: bytes) -> Frame:
    """The one packet that ``data`` is."""
    splitter = Splitter(1_000_000)
    splitter.feed(data)
    frame = splitter.next()
    assert frame is not None
    assert splitter.next() is None
    assert frame.encode() == data
    return frame


@st.composite
def connects(draw: st.DrawFn) -> Connect:
    version = draw(versions)
    five = version is Version.V5
    will = None
    if draw(st.booleans()):
        will_properties = draw(properties) if five else ()
        will = Will(draw(texts), draw(payloads), draw(st.integers(0, 2)), draw(st.booleans()), will_properties)
    username = draw(st.none() | texts)
    password = draw(st.none() | payloads) if five or username is not None else None
    return Connect(
        version,
        draw(texts),
        username,
        password,
        draw(st.integers(0, 0xFFFF)),
        draw(st.booleans()),
        will,
        draw(properties) if five else (),
    )


@given(connects())
def test_connect_survives_the_wire(connect: Connect) -> None:
    assert Connect.decode(split(connect.encode())) == connect


@given(st.data(), versions)
def test_every_other_packet_survives_the_wire(data: st.DataObject, version: Version) -> None:
    mine = properties if version is Version.V5 else st.just(())
    reasons = st.integers(0, 255) if version is Version.V5 else st.just(0)
    options = st.integers(0, 2)
    filters = st.lists(st.tuples(topics, options), min_size=1, max_size=5).map(tuple)
    codes = st.binary(max_size=5) if version is Version.V5 else st.just(b"")
    kinds = st.sampled_from([Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP])
    packet = data.draw(
        st.one_of(
            st.builds(Connack, st.integers(0, 255), st.booleans(), mine),
            st.builds(Publish, topics, payloads, st.just(0), st.booleans(), st.just(False), st.none(), mine),
            st.builds(Publish, topics, payloads, st.sampled_from([1, 2]), st.booleans(), st.booleans(), identifiers, mine),
            st.builds(Ack, kinds, identifiers, reasons, mine),
            st.builds(Subscribe, identifiers, filters, mine),
            st.builds(Suback, identifiers, payloads, mine),
            st.builds(Unsubscribe, identifiers, st.lists(topics, min_size=1, max_size=5).map(tuple), mine),
            st.builds(Unsuback, identifiers, codes, mine),
            st.builds(Disconnect, reasons, mine),
        )
    )
    assert type(packet).decode(split(packet.encode(version)), version) == packet


DECODERS = [Connack, Disconnect, Publish, Ack, Subscribe, Suback, Unsubscribe, Unsuback]


@given(st.integers(0, 255), st.binary(max_size=120), versions)
def test_no_body_raises_anything_but_malformed(first: int, body: bytes, version: Version) -> None:
    frame = Frame(first, body)
    with contextlib.suppress(Malformed):
        Connect.decode(frame)
    for kind in DECODERS:
        with contextlib.suppress(Malformed):
            kind.decode(frame, version)


@given(connects(), st.data())
def test_a_damaged_connect_raises_nothing_but_malformed(connect: Connect, data: st.DataObject) -> None:
    frame = split(connect.encode())
    at = data.draw(st.integers(0, len(frame.body) - 1))
    damaged = frame.body[:at] + bytes((data.draw(st.integers(0, 255)),)) + frame.body[at + 1 :]
    with contextlib.suppress(Malformed):
        Connect.decode(Frame(frame.first, damaged[: data.draw(st.integers(0, len(damaged)))]))


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=6), st.lists(st.integers(1, 50)))
def test_the_splitter_finds_the_packets_wherever_the_stream_is_cut(packets: list[tuple[int, bytes]], cuts: list[int]) -> None:
    frames = [Frame(first, body) for first, body in packets]
    stream = b"".join(frame.encode() for frame in frames)
    splitter = Splitter(1000)
    found = []
    while stream:
        size = cuts.pop() if cuts else len(stream)
        splitter.feed(stream[:size])
        stream = stream[size:]
        while (frame := splitter.next()) is not None:
            found.append(frame)
    assert found == frames


@given(st.binary(max_size=200))
def test_the_splitter_raises_nothing_but_malformed(data: bytes) -> None:
    splitter = Splitter(100)
    splitter.feed(data)
    with contextlib.suppress(Malformed):
        while splitter.next() is not None:
            pass


def test_the_splitter_refuses_a_large_packet_before_its_body_is_there() -> None:
    splitter = Splitter(100)
    splitter.feed(b"\x30\x80\x01")
    with pytest.raises(TooLarge, match="131 bytes, the limit is 100"):
        splitter.next()


def test_the_limit_counts_the_whole_packet() -> None:
    splitter = Splitter(100)
    splitter.feed(b"\x30\x62" + bytes(98))
    assert splitter.next() == Frame(0x30, bytes(98))
    splitter.feed(b"\x30\x63")
    with pytest.raises(TooLarge):
        splitter.next()


def test_a_remaining_length_of_five_bytes_is_malformed() -> None:
    splitter = Splitter(1000)
    splitter.feed(b"\x30\x80\x80\x80\x80")
    with pytest.raises(Malformed, match="more than four bytes"):
        splitter.next()


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (268_435_455, "ffffff7f")],
)
def test_variable_integers_are_those_of_the_standard(value: int, encoded: str) -> None:
    """MQTT 5.0, table 1-1."""
    assert variable_integer(value).hex() == encoded
    assert Reader(bytes.fromhex(encoded)).variable_integer() == value


@pytest.mark.parametrize("encoded", ["8000", "ff", "ffffffff01"])
def test_variable_integers_of_another_form_are_malformed(encoded: str) -> None:
    with pytest.raises(Malformed):
        Reader(bytes.fromhex(encoded)).variable_integer()


def test_the_connect_of_the_standard_is_understood() -> None:
    """MQTT 3.1.1, figure 3.6, with a client id, a will, a name and a password."""
    body = "00044d51545404ce000a 0003636964 000277740002776d 000475736572000470617373"
    connect = Connect.decode(Frame(0x10, bytes.fromhex(body)))
    assert connect == Connect(Version.V311, "cid", "user", b"pass", 10, True, Will("wt", b"wm", 1))


@pytest.mark.parametrize(
    ("name", "level", "unsupported"), [("MQTT", 3, True), ("MQIsdp", 4, True), ("MQTT", 6, True), ("HTTP", 4, False)]
)
def test_name_and_level_have_to_fit(name: str, level: int, unsupported: bool) -> None:
    head = len(name).to_bytes(2, "big") + name.encode() + bytes((level, 2, 0, 0, 0, 0))
    with pytest.raises(UnsupportedProtocol if unsupported else Malformed):
        Connect.decode(Frame(0x10, head))


@pytest.mark.parametrize(
    ("flags", "rest"),
    [(0x03, "0000"), (0x1A, "0000"), (0x0A, "0000"), (0x22, "0000"), (0x42, "00000000"), (0x82, "0000"), (0x02, "0000ff")],
)
def test_connect_flags_that_contradict_are_malformed(flags: int, rest: str) -> None:
    """MQTT 3.1.1: 3.1.2.3 to 3.1.2.9."""
    with pytest.raises(Malformed):
        Connect.decode(Frame(0x10, b"\0\4MQTT\4" + bytes((flags, 0, 0)) + bytes.fromhex(rest)))


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"a\0b", b"\xc0\x80"])
def test_strings_that_are_no_mqtt_strings_are_malformed(text: bytes) -> None:
    """MQTT 5.0: 1.5.4."""
    with pytest.raises(Malformed):
        Reader(len(text).to_bytes(2, "big") + text).text()


def test_a_password_is_in_no_repr() -> None:
    assert "geheim" not in repr(Connect(Version.V311, "c", "u", b"geheim"))


@pytest.mark.parametrize("body", ["0323000002", "0623000123000161", "02ff00", "03210000", "02017f"])
def test_properties_that_break_their_rules_are_malformed(body: str) -> None:
    """Value 0 of a topic alias, one doubled, an unknown one, a receive maximum of 0, a byte above 1."""
    with pytest.raises(Malformed):
        Publish.decode(Frame(0x30, b"\0\1a" + bytes.fromhex(body)), Version.V5)


def test_a_topic_may_be_left_out_only_with_an_alias() -> None:
    with pytest.raises(Malformed):
        Publish.decode(Frame(0x30, b"\0\0\0"), Version.V5)
    assert Publish.decode(Frame(0x30, b"\0\0\3\x23\0\5x"), Version.V5).topic_alias == 5


def test_short_acknowledgements_of_version_5_mean_success() -> None:
    """MQTT 5.0: 3.4.2.1."""
    assert Ack.decode(Frame(0x40, b"\0\7"), Version.V5) == Ack(Kind.PUBACK, 7)
    assert Ack.decode(Frame(0x40, b"\0\7\x10"), Version.V5) == Ack(Kind.PUBACK, 7, 0x10)
