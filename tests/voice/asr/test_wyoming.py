"""The recognizer behind the Wyoming protocol, against a peer that reads and writes with the protocol's own package."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import gevent.socket
import pytest
from gevent.event import Event as Happened
from gevent.server import StreamServer
from pydantic import ValidationError
from wyoming.asr import Transcribe, Transcript, TranscriptChunk, TranscriptStart
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, read_event, write_event

from app.sections import OpenAi
from app.settings import TOP
from app.voice.asr.wyoming import WyomingOptions, WyomingRecognizer
from app.voice.pcm import decoded
from app.voice.provider import ProviderFault, Workshop
from app.voice.utterance import Utterance
from app.voice.wyoming_connection import WyomingConnection
from tests.shared import packets_of

LAMP = Utterance(tuple(packets_of("lamp.opusp")), 60)
Answer = Callable[[Any, "WyomingPeer"], None]


class WyomingPeer:
    """``answers``: what is done when an utterance is over, in order; the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.heard: list[list[Event]] = []
        self.is_hanging, self.was_left = Happened(), Happened()
        self._server = StreamServer(("127.0.0.1", 0), self._serve)
        self._server.start()
        self.port = self._server.server_port

    def stop(self) -> None:
        self._server.stop(timeout=0)

    def _serve(self, sock: Any, _address: object) -> None:
        events: list[Event] = []
        self.heard.append(events)
        with contextlib.closing(sock), contextlib.suppress(ConnectionError), sock.makefile("rb") as reader:
            while (event := read_event(reader)) is not None:
                events.append(event)
                if AudioStop.is_type(event.type):
                    (self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])(sock, self)
                    return


def says(*events: Any) -> Answer:
    def answer(sock: Any, _peer: WyomingPeer) -> None:
        with sock.makefile("wb") as writer:
            for event in events:
                write_event(event.event(), writer)

    return answer


def sends(data: bytes) -> Answer:
    return lambda sock, _peer: sock.sendall(data)


def hangs(sock: Any, peer: WyomingPeer) -> None:
    peer.is_hanging.set()
    if not sock.recv(1):
        peer.was_left.set()


def cuts(_sock: Any, _peer: WyomingPeer) -> None:
    """Ends the connection without an answer."""


def recognizer(port: int, seconds: float = 20.0, model: str = "") -> WyomingRecognizer:
    return WyomingRecognizer(
        WyomingOptions(host="127.0.0.1", port=port, model=model), Workshop(OpenAi(), Path("/nonexistent"), seconds)
    )


@contextlib.contextmanager
def asking(*answers: Answer, seconds: float = 20.0, model: str = "") -> Iterator[tuple[WyomingPeer, WyomingRecognizer]]:
    peer = WyomingPeer(*answers)
    try:
        yield peer, recognizer(peer.port, seconds, model)
    finally:
        peer.stop()


def test_the_utterance_goes_as_16_khz_pcm_between_start_and_stop() -> None:
    with asking(says(Transcript(" please turn on the light ")), model="base") as (peer, made):
        assert made.transcribe(LAMP, "en-GB") == "please turn on the light"
    (events,) = peer.heard
    request, start, *chunks, stop = events
    assert (Transcribe.from_event(request).name, Transcribe.from_event(request).language) == ("base", "en")
    assert AudioStart.from_event(start) == AudioStart(16000, 2, 1)
    assert AudioStop.is_type(stop.type)
    assert b"".join(AudioChunk.from_event(chunk).audio for chunk in chunks) == decoded(LAMP)


def test_a_lost_packet_is_concealed_and_time_stays_right() -> None:
    packets = packets_of("lamp.opusp")
    assert len(decoded(Utterance((*packets[:20], None, *packets[21:]), 60))) == len(packets) * 960 * 2


def test_the_first_utterance_of_a_patched_process_is_decoded() -> None:
    """There the search for libopus starts a program through gevent, which only the hub's own thread can do."""
    program = (
        "from gevent import monkey; monkey.patch_all()\n"
        "from app.voice.pcm import pcm_of\n"
        "from tests.voice.asr.test_wyoming import LAMP, recognizer\n"
        "recognizer(1)\n"
        "print(len(pcm_of(LAMP)))\n"
    )
    told = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, cwd=TOP, check=False)
    assert told.stdout.strip() == str(len(LAMP.frames) * 960 * 2), told.stderr


def test_what_is_no_opus_packet_is_concealed() -> None:
    packets = packets_of("lamp.opusp")
    broken = b"\x5b" + bytes(2)
    assert len(decoded(Utterance((*packets[:20], broken, *packets[21:]), 60))) == len(packets) * 960 * 2


def test_a_streamed_transcript_ends_with_the_whole_one() -> None:
    with asking(says(TranscriptStart(), TranscriptChunk("please"), Transcript("please turn on the light"))) as (_, made):
        assert made.transcribe(LAMP, "en") == "please turn on the light"


def test_a_connection_that_breaks_off_is_made_once_again() -> None:
    with asking(cuts, says(Transcript("yes"))) as (peer, made):
        assert made.transcribe(LAMP, "en") == "yes"
    assert len(peer.heard) == 2


def test_a_connection_that_breaks_off_twice_is_a_fault() -> None:
    with asking(cuts) as (peer, made), pytest.raises(ProviderFault, match=r"closed the connection.*voice\.asr\.wyoming\.host"):
        made.transcribe(LAMP, "en")
    assert len(peer.heard) == 2


def test_a_refused_connection_is_a_fault_that_names_the_settings() -> None:
    with gevent.socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with pytest.raises(
        ProviderFault, match=rf"127\.0\.0\.1:{port} cannot be reached \(Connection refused\).*voice\.asr\.wyoming\.port"
    ):
        recognizer(port).transcribe(LAMP, "en")


def test_a_server_that_is_silent_is_given_up() -> None:
    with asking(hangs, seconds=0.3) as (peer, made):
        with pytest.raises(ProviderFault, match=r"in time.*voice\.asr\.timeout_seconds"):
            made.transcribe(LAMP, "en")
        assert peer.was_left.wait(10)
    assert len(peer.heard) == 1


def test_a_killed_greenlet_closes_its_connection() -> None:
    with asking(hangs) as (peer, made):
        turn = gevent.spawn(made.transcribe, LAMP, "en")
        assert peer.is_hanging.wait(10)
        assert not peer.was_left.is_set()
        turn.kill()
        assert peer.was_left.wait(10)


@pytest.mark.parametrize(
    "answer",
    [
        sends(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        sends(b"[]\n"),
        sends(b'{"type": 3}\n'),
        sends(b'{"type": "transcript", "data": []}\n'.replace(b"[]", b"[1]")),
        sends(b'{"type": "transcript", "data_length": -1}\n'),
        sends(b'{"type": "transcript", "payload_length": 99999999999}\n'),
        sends(b'{"type": "transcript", "data_length": 3}\n{{{'),
        sends(b"x" * 70_000),
    ],
)
def test_what_is_no_wyoming_is_a_fault(answer: Answer) -> None:
    with asking(answer) as (_, made), pytest.raises(ProviderFault, match="does not speak Wyoming"):
        made.transcribe(LAMP, "en")


def test_an_error_of_the_server_is_a_fault_that_repeats_nothing_of_it() -> None:
    with asking(says(Error("open sesame"))) as (_, made), pytest.raises(ProviderFault, match="look into its log") as caught:
        made.transcribe(LAMP, "en")
    assert "sesame" not in str(caught.value)


def test_an_event_with_data_and_payload_is_read_whole() -> None:
    with (
        asking(says(AudioChunk(22050, 2, 1, b"\x01\x02" * 40_000))) as (peer, _),
        WyomingConnection("127.0.0.1", peer.port, 20, "x") as c,
    ):
        c.send(AudioStop())
        chunk = AudioChunk.from_event(c.receive())
    assert (chunk.rate, chunk.audio) == (22050, b"\x01\x02" * 40_000)


def test_a_host_has_to_be_named() -> None:
    with pytest.raises(ValidationError):
        WyomingOptions.model_validate({})
