"""The Wyoming stand-in, spoken to in the protocol's own words."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import IO

import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, Eventable, read_event, write_event
from wyoming.info import Describe, Info
from wyoming.tts import Synthesize

from tests.waiting import eventually
from tests.wyoming_server.process import HOST, WyomingServer

SOUND = {"rate": 16_000, "width": 2, "channels": 1}


@pytest.fixture(scope="module")
def running() -> Iterator[WyomingServer]:
    with WyomingServer() as server:
        yield server


@pytest.fixture
def wyoming(running: WyomingServer) -> WyomingServer:
    running.reset()
    return running


@pytest.fixture
def line(wyoming: WyomingServer) -> Iterator[IO[bytes]]:
    with socket.create_connection((HOST, wyoming.port), timeout=20) as raw, raw.makefile("rwb") as made:
        yield made  # type: ignore[misc]


def tell(line: IO[bytes], *events: Eventable) -> None:
    for one in events:
        write_event(one.event(), line)  # type: ignore[arg-type]
    line.flush()


def hear(line: IO[bytes]) -> Event | None:
    return read_event(line)  # type: ignore[arg-type]


def question() -> list[Eventable]:
    tone = b"\x00\x10\x00\xf0" * 4000
    return [Transcribe(language="en"), AudioStart(**SOUND), AudioChunk(audio=tone, **SOUND), AudioStop()]


def test_it_hears_what_it_was_told_and_measures_the_sound(wyoming: WyomingServer, line: IO[bytes]) -> None:
    wyoming.behave(text="turn it off")
    tell(line, *question())
    heard = hear(line)
    assert heard is not None
    assert Transcript.from_event(heard).text == "turn it off"
    (record,) = wyoming.records("asr")
    assert (record["milliseconds"], record["rms"], record["rate"], record["language"]) == (500, 4096, 16_000, "en")


def test_it_speaks(wyoming: WyomingServer, line: IO[bytes]) -> None:
    tell(line, Synthesize("good morning"))
    events = []
    while (event := hear(line)) is not None:
        events.append(event)
        if AudioStop.is_type(event.type):
            break
    chunks = [AudioChunk.from_event(event) for event in events[1:-1]]
    assert AudioStart.is_type(events[0].type)
    assert sum(chunk.milliseconds for chunk in chunks) > 400
    assert max(max(memoryview(chunk.audio).cast("h")) for chunk in chunks) > 3000
    assert wyoming.records("tts")[0]["text"] == "good morning"


def test_it_describes_itself(line: IO[bytes]) -> None:
    tell(line, Describe())
    told = hear(line)
    assert told is not None
    assert Info.from_event(told).asr[0].models[0].name == "stand-in"


@pytest.mark.parametrize("fault", ["drop", "cut"])
def test_a_connection_breaks_where_it_is_told_to(wyoming: WyomingServer, line: IO[bytes], fault: str) -> None:
    wyoming.behave(tts=fault)
    tell(line, Synthesize("good morning"))
    events = []
    while (event := hear(line)) is not None:
        events.append(event)
    assert bool(events) == (fault == "cut")
    assert not any(AudioStop.is_type(event.type) for event in events)


def test_a_client_that_leaves_a_hanging_answer_is_seen(wyoming: WyomingServer) -> None:
    wyoming.behave(asr="hang")
    with socket.create_connection((HOST, wyoming.port), timeout=20) as raw, raw.makefile("rwb") as line:
        tell(line, *question())  # type: ignore[arg-type]
        eventually(lambda: wyoming.records("asr"))
        assert wyoming.records("asr")[0]["gone_at"] is None
    eventually(lambda: wyoming.records("asr")[0]["gone_at"])


def test_a_fault_that_does_not_exist_is_refused(wyoming: WyomingServer) -> None:
    with pytest.raises(ValueError, match="garbage"):
        wyoming.behave(asr="sideways")
