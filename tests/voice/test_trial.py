"""Trying recognizer, mind and voice: what comes out, how long it took, and what is never touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

from app.sections import Voice
from app.voice import trial as trial_module
from app.voice.agents.assistant import Crew
from app.voice.crew import make_crew
from app.voice.figures import VoiceFigures
from app.voice.llm.mind import Prompt, ToolCall, UserSaid
from app.voice.provider import ProviderFault
from app.voice.trial import AT_ONCE, NothingToTry, NotNow, Trials
from app.voice.utterance import Utterance
from tests.voice.tts.sounds import heard

OFFLINE = {"asr": {"provider": "none"}, "llm": {"provider": "offline"}, "tts": {"provider": "espeak"}}


class Untouchable:
    """A memory that nobody may open."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the memory of devices is not to be touched ({name})")


class ScriptedMind:
    """Answers the same to everything. An event among the pieces is waited for."""

    def __init__(self, *pieces: str | ToolCall | Event | Exception) -> None:
        self._pieces = pieces
        self.prompts: list[Prompt] = []
        self.ended = 0

    def think(self, prompt: Prompt) -> Iterator[str | ToolCall]:
        self.prompts.append(prompt)
        try:
            for piece in self._pieces:
                if isinstance(piece, Exception):
                    raise piece
                if isinstance(piece, Event):
                    piece.wait()
                else:
                    yield piece
        finally:
            self.ended += 1

    def close(self) -> None:
        """There is nothing to give up."""


class ListeningRecognizer:
    """Tells how much it heard."""

    def transcribe(self, utterance: Utterance, language: str) -> str:
        return f"{language}: {utterance.duration_ms} ms of {utterance.frame_duration_ms} "

    def close(self) -> None:
        """There is nothing to give up."""


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Crew]:
    memory: Any = Untouchable()
    made = make_crew(Voice.model_validate(OFFLINE), tmp_path, memory, VoiceFigures())
    yield made
    made.close()


def thinking(crew: Crew, *pieces: str | ToolCall | Event | Exception) -> tuple[Trials, ScriptedMind]:
    mind = ScriptedMind(*pieces)
    return Trials(replace(crew, mind=mind)), mind  # type: ignore[arg-type]


def test_the_voice_speaks_and_its_sound_can_be_heard(crew: Crew) -> None:
    spoken = Trials(crew).speak("Dinner is ready.", "en")
    assert spoken.ogg.startswith(b"OggS")
    assert spoken.audio_ms > 500
    assert 0 <= spoken.first_ms <= spoken.whole_ms


def test_the_voice_speaks_anew_each_time_and_nothing_is_kept(crew: Crew, tmp_path: Path) -> None:
    trials = Trials(crew)
    for _ in range(3):
        assert trials.speak("Dinner is ready.", "en").whole_ms > 0
    assert not list((tmp_path / "speech").glob("*"))


def test_a_voice_that_is_not_there_is_a_fault_and_no_other_speaks_for_it(crew: Crew) -> None:
    with pytest.raises(ProviderFault, match="espeak-ng has no voice 'klingon'"):
        Trials(crew).speak("Dinner is ready.", "en", "klingon")


def test_the_recognizer_hears_what_the_voice_says(crew: Crew) -> None:
    result = Trials(replace(crew, recognizer=ListeningRecognizer())).hear_oneself("Dinner is ready.", "en")
    assert result.text == f"en: {result.audio_ms} ms of 60"
    assert result.audio_ms > 500


def test_the_recognizer_hears_a_recording(crew: Crew) -> None:
    spoken = list(crew.speaker.speak("Hello.", "en", 60, 16_000))
    utterance = Utterance(tuple(packet for packets in spoken for packet in packets), 60)
    assert Trials(replace(crew, recognizer=ListeningRecognizer())).recognize(utterance, "zh-CN").text.startswith("zh-CN: ")
    assert abs(heard(utterance.packets, 16_000)).max() > 0.05


def test_a_stage_that_cannot_do_it_says_so_itself(crew: Crew) -> None:
    with pytest.raises(ProviderFault, match="asr"):
        Trials(crew).hear_oneself("Hello.", "en")


def test_the_mind_answers_without_tools_and_without_a_past(crew: Crew) -> None:
    trials, mind = thinking(crew, "I am ", "fine.")
    assert trials.think("How are you?", "en").text == "I am fine."
    (prompt,) = mind.prompts
    assert (prompt.messages, prompt.tools) == ([UserSaid("How are you?")], ())
    assert "voice assistant" in prompt.system


def test_the_mind_that_works_offline_answers(crew: Crew) -> None:
    assert Trials(crew).think("What time is it?", "en").text


def test_a_mind_that_says_nothing_is_a_fault(crew: Crew) -> None:
    trials, _ = thinking(crew, "")
    with pytest.raises(ProviderFault, match="answered nothing"):
        trials.think("How are you?", "en")


def test_a_mind_that_never_ends_is_stopped(crew: Crew) -> None:
    trials, mind = thinking(crew, *["very " * 100] * 100)
    assert len(trials.think("How are you?", "en").text) <= trial_module.MOST_ANSWER
    assert mind.ended == 1


def test_first_words_and_last_are_timed_apart(crew: Crew) -> None:
    times = iter([0.0, 0.5, 2.0])
    trials, _ = thinking(crew, "I am ", "fine.")
    trials._clock = lambda: next(times)
    thought = trials.think("How are you?", "en")
    assert (thought.first_ms, thought.whole_ms) == (500, 2000)


def test_one_trial_of_a_stage_at_a_time_and_the_next_after_it(crew: Crew) -> None:
    go_on = Event()
    trials, mind = thinking(crew, go_on, "Done.")
    first = gevent.spawn(trials.think, "How are you?", "en")
    while not mind.prompts:
        gevent.sleep(0.001)
    with pytest.raises(NotNow, match="under way"):
        trials.think("How are you?", "en")
    assert trials.speak("Meanwhile another stage works.", "en").audio_ms > 0
    go_on.set()
    assert first.get(timeout=10).text == "Done."
    assert trials.think("How are you?", "en").text == "Done."


def test_too_many_in_a_minute_have_to_wait(crew: Crew) -> None:
    trials, _ = thinking(crew, "Done.")
    trials._throttle._clock = lambda: 0.0
    for _ in range(AT_ONCE):
        trials.think("How are you?", "en")
    with pytest.raises(NotNow, match="too many"):
        trials.think("How are you?", "en")


def test_one_that_takes_too_long_is_ended_and_the_next_may_begin(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_module, "LONGEST_SECONDS", 0.05)
    trials, mind = thinking(crew, Event(), "Done.")
    for _ in range(2):
        with pytest.raises(ProviderFault, match=r"voice\.llm: it was not done within"):
            trials.think("How are you?", "en")
    assert mind.ended == 2


def test_a_fault_is_the_providers_own_sentence(crew: Crew) -> None:
    trials, _ = thinking(crew, ProviderFault("voice.llm.openai: it refuses the key."))
    with pytest.raises(ProviderFault, match="refuses the key"):
        trials.think("How are you?", "en")


def test_it_tells_who_works(crew: Crew) -> None:
    assert Trials(crew).providers() == {"asr": "none", "llm": "offline", "tts": "espeak"}


def test_with_the_echo_there_is_nothing_to_try() -> None:
    trials = Trials(None)
    assert (trials.providers(), trials.refused_voices()) == ({}, [])
    for attempt in (lambda: trials.speak("Hello.", "en"), lambda: trials.think("Hello?", "en"), trials.voices):
        with pytest.raises(NothingToTry, match=r"dialogue\.agent is echo"):
            attempt()
