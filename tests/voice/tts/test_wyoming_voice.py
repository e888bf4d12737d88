"""A voice over the Wyoming protocol, against a server of the wyoming package itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.server
import gevent.socket
import pytest
from wyoming.audio import AudioChunk, AudioStop
from wyoming.event import write_event

from app.voice.provider import ProviderFault
from app.voice.tts.synthesizer import Pcm
from app.voice.tts.wyoming import WyomingOptions, WyomingSynthesizer
from tests.voice.tts.sounds import floats, loudness, pcm, voice, workshop
from tests.waiting import eventually
from tests.wyoming_server.process import HOST, WyomingServer

TEXT = "The kettle has boiled."


@pytest.fixture(scope="module")
def running() -> Iterator[WyomingServer]:
    with WyomingServer() as server:
        yield server


@pytest.fixture
def server(running: WyomingServer) -> WyomingServer:
    running.reset()
    return running


def wyoming(port: int, seconds: float = 20.0, **options: Any) -> WyomingSynthesizer:
    return WyomingSynthesizer(WyomingOptions(host=HOST, port=port, **options), workshop(Path(), seconds))


def test_its_chunks_are_the_sound(server: WyomingServer) -> None:
    pieces = list(wyoming(server.port).synthesize(TEXT, "en-GB"))
    assert len(pieces) > 5
    assert {piece.rate for piece in pieces} == {22_050}
    assert -35 < loudness(floats(b"".join(piece.samples for piece in pieces))) < -10
    (record,) = server.records("tts")
    assert (record["text"], record["voice"]) == (TEXT, {"language": "en"})


def test_a_voice_is_asked_for_by_its_name(server: WyomingServer) -> None:
    one = wyoming(server.port, voice="en_US-lessac-medium")
    list(one.synthesize(TEXT, "de"))
    assert server.records("tts")[0]["voice"] == {"name": "en_US-lessac-medium"}
    assert one.identity("de") != wyoming(server.port).identity("de")


def test_killing_the_greenlet_closes_the_connection(server: WyomingServer) -> None:
    server.behave(tts="hang")
    listener = gevent.spawn(lambda: list(wyoming(server.port).synthesize(TEXT, "en")))
    eventually(lambda: server.records("tts"))
    listener.kill()
    eventually(lambda: server.records("tts")[0]["gone_at"])


@pytest.mark.parametrize(
    ("fault", "sentence", "requests"),
    [
        ("drop", "cannot be reached", 2),
        ("cut", "cannot be reached", 1),
        ("hang", "did not answer in time", 1),
        ("error", "could not do it", 1),
        ("garbage", "does not speak Wyoming", 1),
    ],
)
def test_every_fault_is_said_and_only_a_connection_without_sound_is_tried_again(
    server: WyomingServer, fault: str, sentence: str, requests: int
) -> None:
    server.behave(tts=fault)
    with pytest.raises(ProviderFault, match=sentence) as said:
        list(wyoming(server.port, 0.5 if fault == "hang" else 20.0).synthesize(TEXT, "en"))
    assert str(said.value).startswith("voice.tts.wyoming: ")
    assert "kettle" not in str(said.value)
    assert len(server.records("tts")) == requests


def test_nobody_there_is_said(server: WyomingServer) -> None:
    with gevent.socket.socket() as taken:
        taken.bind((HOST, 0))
        with pytest.raises(ProviderFault, match=r"check|does it run"):
            list(wyoming(taken.getsockname()[1]).synthesize(TEXT, "en"))


def test_an_answer_without_sound_yields_nothing(server: WyomingServer) -> None:
    server.behave(tts="blank")
    assert list(wyoming(server.port).synthesize(TEXT, "en")) == []


@pytest.fixture
def saying() -> Iterator[Callable[..., int]]:
    """A server that answers every connection with these events; its port."""
    servers: list[gevent.server.StreamServer] = []

    def start(*events: Any) -> int:
        def serve(sock: Any, _: object) -> None:
            with sock, sock.makefile("rwb") as file:
                file.readline()
                for event in events:
                    write_event(event.event(), file)

        servers.append(gevent.server.StreamServer((HOST, 0), serve))
        servers[-1].start()
        return int(servers[-1].server_port)

    yield start
    for server in servers:
        server.stop()


def test_stereo_of_8_bits_is_read_too(saying: Callable[..., int]) -> None:
    port = saying(AudioChunk(16_000, 1, 2, b"\xff\xff\x00\x00\x80\x80\x80"), AudioStop())
    assert list(wyoming(port).synthesize(TEXT, "en")) == [Pcm(16_000, b"\xff\x7e\x01\x80\x00\x00")]


@pytest.mark.parametrize("width", [0, 7])
def test_sound_of_a_kind_that_cannot_be_read_is_a_fault(saying: Callable[..., int], width: int) -> None:
    port = saying(AudioChunk(16_000, width, 1, pcm(voice(16_000, 0.1))), AudioStop())
    with pytest.raises(ProviderFault, match="let it send 16-bit mono"):
        list(wyoming(port).synthesize(TEXT, "en"))
