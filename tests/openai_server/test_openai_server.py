"""The stand-in for OpenAI, asked by OpenAI's own client."""

from __future__ import annotations

import io
import socket
import time
import wave
from collections.abc import Iterator

import openai
import pytest

from app.opus.codec import Decoder
from tests.openai_server import ogg
from tests.openai_server.behaviour import ROUTES, STATUSES
from tests.openai_server.chat import Rule
from tests.openai_server.process import OpenAiServer
from tests.shared import packets_of
from tests.waiting import eventually

LAMP = packets_of("lamp.opusp")
TOOL = {"type": "function", "function": {"name": "self_set_volume", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def client(stand_in: OpenAiServer) -> Iterator[openai.OpenAI]:
    with client_of(stand_in.base_url) as made:
        yield made


def client_of(base_url: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="sk-test", base_url=base_url, max_retries=0, timeout=20)


def transcribe(client: openai.OpenAI, data: bytes, name: str = "speech.ogg") -> str:
    return client.audio.transcriptions.create(model="whisper-1", file=(name, data)).text


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def speech(client: openai.OpenAI, text: str, kind: str = "opus") -> bytes:
    with client.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=text, response_format=kind
    ) as answer:  # type: ignore[arg-type]
        return b"".join(answer.iter_bytes())


def test_a_recording_is_known_by_its_packets_even_if_some_are_missing(client: openai.OpenAI, stand_in: OpenAiServer) -> None:
    some = [packet for index, packet in enumerate(LAMP[10:40]) if index % 7]
    assert transcribe(client, b"".join(ogg.write(some))) == "please turn on the light"
    facts = stand_in.records("transcriptions")[0].facts
    assert (facts["recording"], facts["in_order"], facts["packets"]) == ("lamp.opusp", True, len(some))
    assert transcribe(client, b"".join(ogg.write(LAMP[::-1]))) == "please turn on the light"
    assert stand_in.records("transcriptions")[1].facts["in_order"] is False


def test_speech_that_is_no_known_recording_is_what_the_test_says(client: openai.OpenAI, stand_in: OpenAiServer) -> None:
    stand_in.script(heard="something else")
    assert transcribe(client, b"".join(ogg.write([b"\x58\xe0" + bytes(60)] * 9))) == "something else"
    stand_in.know("mine", "my own words", [b"\x58\xe0" + bytes(60)])
    assert transcribe(client, b"".join(ogg.write([b"\x58\xe0" + bytes(60)] * 9))) == "my own words"


def test_a_wav_file_is_taken_and_measured(client: openai.OpenAI, stand_in: OpenAiServer) -> None:
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(32_000))
    assert transcribe(client, data.getvalue(), "speech.wav") == "hello there"
    facts = stand_in.records()[0].facts
    assert (facts["format"], facts["rate"], facts["milliseconds"]) == ("wav", 16_000, 1000)


@pytest.mark.parametrize("damage", ["checksum", "cut", "no end", "no head", "page missing"])
def test_an_ogg_that_is_not_well_formed_is_refused(client: openai.OpenAI, damage: str) -> None:
    pages = ogg.write(LAMP)
    broken = {
        "checksum": [*pages[:3], bytes([*pages[3][:-1], pages[3][-1] ^ 1]), *pages[4:]],
        "cut": [*pages[:-1], pages[-1][:-1]],
        "no end": pages[:-1],
        "no head": pages[1:],
        "page missing": [*pages[:3], *pages[4:]],
    }[damage]
    with pytest.raises(openai.BadRequestError, match="Invalid file format"):
        transcribe(client, b"".join(broken))


def test_a_text_is_answered_by_rule_and_streamed_word_by_word(client: openai.OpenAI, stand_in: OpenAiServer) -> None:
    stand_in.script(rules=[Rule("bird", "A bird {text} {turn}")])
    chunks = list(client.chat.completions.create(model="m", messages=[user("hi"), user("a bird?")], stream=True))  # type: ignore[list-item]
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices[0].delta.content]
    assert words == ["A", " bird", " a", " bird?", " 2"]
    whole = client.chat.completions.create(model="m", messages=[user("a bird?")])  # type: ignore[list-item]
    assert whole.choices[0].message.content == "A bird a bird? 1"


def test_a_tool_is_called_and_its_answer_goes_into_the_text(client: openai.OpenAI) -> None:
    messages: list[object] = [user("set the volume to fifty")]
    asked = client.chat.completions.create(model="m", messages=messages, tools=[TOOL]).choices[0].message  # type: ignore[arg-type, list-item]
    assert asked.tool_calls is not None
    assert asked.tool_calls[0].function.arguments == '{"volume": 50}'  # type: ignore[union-attr]
    messages += [asked, {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "true"}]
    told = client.chat.completions.create(model="m", messages=messages, tools=[TOOL]).choices[0].message  # type: ignore[arg-type, list-item]
    assert told.content == "😊 The volume is fifty now: true."


def test_a_picture_is_seen(client: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "what is it"}, {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}}]
    answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": parts}])  # type: ignore[list-item, misc]
    assert str(answer.choices[0].message.content).startswith("I see a picture of 27 bytes.")


CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "a", "arguments": ""}}],
}


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "robot", "content": "x"}],
        [user("a"), {"role": "tool", "tool_call_id": "c1", "content": "x"}],
        [user("a"), CALL],
        [user("a"), CALL, user("b")],
        [user("a"), {"role": "assistant"}],
    ],
)
def test_a_conversation_that_openai_would_refuse_is_refused(client: openai.OpenAI, messages: list[object]) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="m", messages=messages)  # type: ignore[arg-type]


def test_speech_comes_as_ogg_opus_pcm_and_wav_of_the_same_length(client: openai.OpenAI) -> None:
    stream = ogg.read(speech(client, "x" * 40))
    decoder = Decoder(24_000)
    pcm = b"".join(decoder.decode(packet) for packet in stream.packets)
    assert len(pcm) == len(speech(client, "x" * 40, "pcm")) == 1200 * 48
    assert max(memoryview(pcm).cast("h")) > 3000
    assert speech(client, "x" * 40, "wav")[:4] == b"RIFF"


def test_delays_are_kept_and_seen_in_the_records(client: openai.OpenAI, stand_in: OpenAiServer) -> None:
    stand_in.behave("speech", before_head=0.1, before_body=0.15, between_chunks=0.05)
    speech(client, "x" * 40)
    (record,) = stand_in.records("speech")
    assert record.first_byte_at <= record.last_byte_at
    assert record.head_at is not None
    assert record.body_at is not None
    assert record.finished_at is not None
    assert record.head_at - record.last_byte_at >= 0.1
    assert record.body_at - record.head_at >= 0.15
    assert record.finished_at - record.body_at >= 0.05 * 5
    assert record.last_byte_at < time.monotonic() < record.last_byte_at + 60


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_can_be_asked_for_and_stops_after_so_many_times(
    client: openai.OpenAI, stand_in: OpenAiServer, status: str
) -> None:
    stand_in.behave("models", status, times=1)
    with pytest.raises(openai.APIStatusError) as refused:
        client.models.list()
    assert refused.value.status_code == int(status)
    assert client.models.list().data


@pytest.mark.parametrize("fault", ["drop", "cut"])
def test_a_connection_that_breaks_is_an_error_of_the_connection(
    client: openai.OpenAI, stand_in: OpenAiServer, fault: str
) -> None:
    for route in ("transcriptions", "chat", "speech"):
        stand_in.behave(route, fault)
    ask = [
        lambda: transcribe(client, b"".join(ogg.write(LAMP))),
        lambda: list(client.chat.completions.create(model="m", messages=[user("hi")], stream=True)),  # type: ignore[list-item]
        lambda: speech(client, "hello"),
    ]
    for one in ask:
        with pytest.raises(Exception, match=r"(?i)connection|peer closed|incomplete"):
            one()
    assert [record.gone_at for record in stand_in.records()] == [None] * 3


@pytest.mark.parametrize("fault", ["garbage", "empty"])
def test_nonsense_is_sent_with_200(client: openai.OpenAI, stand_in: OpenAiServer, fault: str) -> None:
    stand_in.behave("speech", fault)
    with pytest.raises(ogg.BadOgg):
        ogg.read(speech(client, "hello"))
    assert stand_in.records("speech")[0].status == 200


def test_a_blank_answer_is_well_formed(client: openai.OpenAI, stand_in: OpenAiServer) -> None:
    for route in ("transcriptions", "chat", "speech"):
        stand_in.behave(route, "blank")
    assert transcribe(client, b"".join(ogg.write(LAMP))) == ""
    assert client.chat.completions.create(model="m", messages=[user("hi")]).choices[0].message.content == ""  # type: ignore[list-item]
    assert not speech(client, "hello", "pcm")


def test_a_refused_route_has_a_closed_port_and_gets_it_back(stand_in: OpenAiServer) -> None:
    base_url = stand_in.base_url_of("chat")
    with client_of(base_url) as client:
        client.models.list()
        stand_in.behave("chat", "refuse")
        with pytest.raises(openai.APIConnectionError):
            client.models.list()
        stand_in.behave("chat")
        client.models.list()
    with client_of(stand_in.base_url) as client:
        client.models.list()


@pytest.mark.parametrize("fault", ["hang", "hang in body"])
def test_a_client_that_gives_up_is_seen(stand_in: OpenAiServer, fault: str) -> None:
    stand_in.behave("speech", fault)
    host, port = stand_in.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    body = b'{"model":"m","voice":"v","input":"hello","response_format":"pcm"}'
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        eventually(lambda: stand_in.records("speech"))
        (record,) = stand_in.records("speech")
        assert record.is_open
    left = time.monotonic()
    eventually(lambda: stand_in.records("speech")[0].gone_at)
    gone_at = stand_in.records("speech")[0].gone_at
    assert gone_at is not None
    assert left - 1 < gone_at < left + 5


def test_the_records_tell_connections_apart(client: openai.OpenAI, stand_in: OpenAiServer) -> None:
    client.models.list()
    client.models.list()
    with client_of(stand_in.base_url) as other:
        other.models.list()
    first, second, third = (record.connection for record in stand_in.records("models"))
    assert first == second != third


def test_an_order_that_makes_no_sense_is_refused(stand_in: OpenAiServer) -> None:
    with pytest.raises(ValueError, match="sideways"):
        stand_in.behave(ROUTES[0], "sideways")
    with pytest.raises(ValueError, match="pianos"):
        stand_in.behave("pianos")


def test_trouble_can_be_had_by_one_alone(client: openai.OpenAI, stand_in: OpenAiServer) -> None:
    stand_in.behave("chat", "500", when="second")
    for text in ("first", "second", "third"):
        try:
            client.chat.completions.create(model="m", messages=[user(text)])  # type: ignore[list-item]
        except openai.InternalServerError:
            continue
    assert [(record.subject, record.status) for record in stand_in.records("chat")] == [
        ("first", 200),
        ("second", 500),
        ("third", 200),
    ]
