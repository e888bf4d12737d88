"""Recognizer and voice over Wyoming, as Home Assistant's whisper and piper speak it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.client.reply import Reply
from tests.shared import packets_of
from tests.system.devices import SHORT, together
from tests.system.running_server import RunningServer, wait_for
from tests.talk.conftest import QUICK, started
from tests.talk.talker import SPEECH, Talker, loudness, one_talker
from tests.wyoming_server.process import WyomingServer


@pytest.fixture(scope="module")
def wyoming() -> Iterator[WyomingServer]:
    with WyomingServer() as running:
        yield running


@pytest.fixture(scope="module")
def by_wyoming(wyoming: WyomingServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    stages = {f"XIAOZHI_VOICE__{stage}__TIMEOUT_SECONDS": "2" for stage in ("ASR", "TTS")}
    environment = {**QUICK, **stages, **wyoming.environment()}
    running = RunningServer(tmp_path_factory.mktemp("wyoming"), environment=environment)
    try:
        yield started(running)
    finally:
        running.clear()


def test_a_question_is_heard_and_answered_over_wyoming(wyoming: WyomingServer, by_wyoming: RunningServer) -> None:
    wyoming.reset()

    def round_of(websocket: bool) -> None:
        with one_talker(by_wyoming, websocket=websocket) as talker:
            reply = talker.ask(packets_of("weather.opusp"))
            assert talker.texts("stt") == ["what time is it"]
            assert loudness(reply) > SPEECH
            assert reply.texts[0] in [record["text"] for record in wyoming.records("tts")]

    together([lambda: round_of(False), lambda: round_of(True)])
    heard = wyoming.records("asr")[0]
    assert (heard["rate"], heard["width"], heard["channels"]) == (16_000, 2, 1)
    assert heard["milliseconds"] >= 2220
    assert heard["rms"] > SPEECH


FAULTS = [
    *(("asr", fault) for fault in ("drop", "hang", "cut", "error", "garbage")),
    *(("tts", fault) for fault in ("drop", "hang", "cut", "error")),
]


@pytest.mark.parametrize(("stage", "fault"), FAULTS)
def test_a_failure_is_shown_and_spoken_and_the_next_turn_works(
    wyoming: WyomingServer, by_wyoming: RunningServer, stage: str, fault: str
) -> None:
    wyoming.reset()
    wyoming.behave(**{stage: fault})
    with one_talker(by_wyoming) as talker:
        reply = talker.tell(SHORT)
        talker.wait_for_event("alert")
        wyoming.reset()
        heard_something(talker, reply)
        heard_something(talker, talker.tell(SHORT))
        assert len(talker.of("alert")) == 1
        assert len(talker.texts("stt")) == (1 if stage == "asr" else 2)


def heard_something(talker: Talker, reply: Reply) -> None:
    """Some words of it, which are enough."""
    wait_for(lambda: len(reply.heard) >= 10 or reply.complete, what="some sound")
    assert loudness(reply) > SPEECH
    talker.abort()
    wait_for(lambda: reply.complete, what="its end")


def test_an_abort_leaves_no_wyoming_request_behind(wyoming: WyomingServer, by_wyoming: RunningServer) -> None:
    wyoming.reset()
    wyoming.behave(asr="hang")
    with one_talker(by_wyoming) as talker:
        talker.tell(SHORT)
        wait_for(lambda: wyoming.records("asr"), what="the question")
        talker.abort()
        wait_for(lambda: wyoming.records("asr")[0]["gone_at"], what="the request is closed")
