"""PROTOCOL.md 4: control messages."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.malformed import Malformed
from app.protocol.messages import (
    MAX_BYTES,
    Abort,
    Alert,
    AudioParams,
    Custom,
    Features,
    Goodbye,
    Hello,
    Listen,
    Llm,
    MalformedMessage,
    Mcp,
    Message,
    ServerHello,
    Stt,
    System,
    Tts,
    UdpAddress,
    UnknownMessage,
    from_device,
    from_server,
)

text = st.text(max_size=40)
ids = st.text(max_size=40)
json_objects = st.dictionaries(text, st.one_of(st.booleans(), st.integers(-(2**31), 2**31), text), max_size=4)
audio = st.builds(
    AudioParams,
    sample_rate=st.sampled_from([8000, 16000, 24000, 48000]),
    channels=st.sampled_from([1, 2]),
    frame_duration=st.sampled_from([20, 40, 60]),
)
hexes = st.binary(min_size=16, max_size=16).map(bytes.hex)
device_messages = st.one_of(
    st.builds(Hello, session_id=ids, version=st.integers(1, 3), transport=text, features=st.builds(Features), audio_params=audio),
    st.builds(Listen, session_id=ids, state=st.sampled_from(["start", "stop", "detect"]), text=text),
    st.builds(Abort, session_id=ids, reason=text),
    st.builds(Mcp, session_id=ids, payload=json_objects),
    st.builds(Goodbye, session_id=ids),
)
server_messages = st.one_of(
    st.builds(
        ServerHello,
        session_id=ids,
        transport=st.sampled_from(["udp", "websocket"]),
        audio_params=audio,
        udp=st.none() | st.builds(UdpAddress, server=text, port=st.integers(1, 65535), key=hexes, nonce=hexes),
    ),
    st.builds(Stt, session_id=ids, text=text),
    st.builds(Llm, session_id=ids, emotion=text, text=text),
    st.builds(Tts, session_id=ids, state=st.sampled_from(["start", "sentence_start", "stop"]), text=st.none() | text),
    st.builds(System, session_id=ids, command=st.just("reboot")),
    st.builds(Alert, session_id=ids, status=text, message=text, emotion=text),
    st.builds(Custom, session_id=ids, payload=json_objects),
    st.builds(Goodbye, session_id=ids),
)


@given(device_messages)
def test_decoding_undoes_encoding_of_what_devices_send(message: Message) -> None:
    assert from_device(message.encode()) == message


@given(server_messages)
def test_decoding_undoes_encoding_of_what_the_server_sends(message: Message) -> None:
    assert from_server(message.encode()) == message


def documents() -> st.SearchStrategy[object]:
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), text)
    anything = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
    )
    fields = st.sampled_from(
        ["session_id", "state", "mode", "audio_params", "features", "payload", "version", "transport", "text"]
    )
    types = st.sampled_from(["hello", "listen", "abort", "mcp", "goodbye", "iot", "other", 5, None])
    return anything | st.builds(lambda kind, rest: {**rest, "type": kind}, types, st.dictionaries(fields, anything, max_size=4))


@given(documents())
def test_no_json_raises_anything_but_malformed(document: object) -> None:
    for read in (from_device, from_server):
        try:
            message = read(json.dumps(document))
        except Malformed as error:
            assert str(error)
        else:
            assert isinstance(message, Message)


@given(st.binary(max_size=100))
def test_no_bytes_raise_anything_but_malformed(payload: bytes) -> None:
    with pytest.raises(Malformed):
        from_device(b"\x00" + payload)


@pytest.mark.parametrize("payload", [b"[" * 60_000, b'{"a":' * 10_000, b'{"type":"mcp","payload":' + b'{"a":' * 9_000, "\ud800"])
def test_hostile_json_is_refused(payload: bytes | str) -> None:
    with pytest.raises(Malformed):
        from_device(payload)


def test_a_message_longer_than_any_is_refused_unread() -> None:
    with pytest.raises(Malformed, match="at most"):
        from_device(b'{"type":"abort","reason":"' + b"x" * MAX_BYTES + b'"}')


def test_a_hello_without_details_means_what_firmware_means() -> None:
    hello = from_device(b'{"type":"hello","features":null,"audio_params":{"frame_duration":"20"},"extra":1}')
    assert isinstance(hello, Hello)
    assert hello.audio_params == AudioParams(format="opus", sample_rate=16000, channels=1, frame_duration=20)
    assert not hello.features.mcp


@pytest.mark.parametrize("payload", [b'{"type":"abort"}\0', b'{"type":"abort"}\r\n\0\0', b'\xef\xbb\xbf{"type":"abort"}'])
def test_what_a_language_puts_around_a_text_is_no_part_of_the_message(payload: bytes) -> None:
    assert from_device(payload) == Abort()


@pytest.mark.parametrize("features", [[], "mcp", 7, {"mcp": {"version": 1}, "aec": "maybe"}])
def test_features_that_nobody_knows_are_none(features: object) -> None:
    hello = from_device(json.dumps({"type": "hello", "features": features}))
    assert isinstance(hello, Hello)
    assert hello.features == Features()


def test_an_odd_feature_leaves_the_others() -> None:
    hello = from_device(b'{"type":"hello","features":{"mcp":true,"aec":[]}}')
    assert isinstance(hello, Hello)
    assert hello.features.mcp


@pytest.mark.parametrize("version", ["1.0.0", -1, 10**40, 2.5, []])
def test_a_version_that_is_none_counts_as_absent(version: object) -> None:
    hello = from_device(json.dumps({"type": "hello", "version": version}))
    assert isinstance(hello, Hello)
    assert hello.version is None


def test_the_format_s_name_may_be_spelled_as_people_spell_it() -> None:
    hello = from_device(b'{"type":"hello","audio_params":{"format":"Opus"}}')
    assert isinstance(hello, Hello)
    assert hello.audio_params.format == "opus"


@pytest.mark.parametrize(
    ("payload", "is_hello"),
    [
        (b'{"type":"hello","audio_params":{"channels":5}}', True),
        (b'{"type":"hello","audio_params"', True),
        (b'[{"type":"hello"}]', True),
        (b'{"type":"listen","state":"detect","text":"hello","mode":"loud"}', False),
        (b'{"type":"listen"', False),
    ],
)
def test_of_a_malformed_message_it_is_known_whether_it_may_be_a_hello(payload: bytes, is_hello: bool) -> None:
    with pytest.raises(MalformedMessage) as fault:
        from_device(payload)
    assert fault.value.is_hello is is_hello


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        (b'{"type":"hello","audio_params":{"frame_duration":61}}', "frame_duration"),
        (b'{"type":"hello","audio_params":{"format":"pcm"}}', "format"),
        (b'{"type":"listen","state":"maybe"}', "state"),
        (b'{"type":"mcp"}', "payload"),
        (b'{"type":"mcp","payload":[]}', "payload"),
    ],
)
def test_the_sentence_names_the_field_that_is_wrong(payload: bytes, field: str) -> None:
    with pytest.raises(Malformed, match=field):
        from_device(payload)


def test_an_unknown_type_is_no_fault() -> None:
    assert from_device(b'{"type":"telemetry","session_id":"s","n":1}') == UnknownMessage(type="telemetry", session_id="s")


def test_the_key_of_a_session_is_not_part_of_a_repr() -> None:
    address = UdpAddress(server="h", port=1, key="ab" * 16, nonce="cd" * 16)
    assert "abab" not in repr(address)
