"""What the doctor says of recognizer, mind and voice, before real servers that speak OpenAI's API and Wyoming."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.doctor import voice
from app.doctor.finding import Finding, State
from app.sections import Voice
from tests.openai_server.process import OpenAiServer
from tests.ports import free_port
from tests.wyoming_server.process import WyomingServer

KEY = "sk-hush-hush"


@pytest.fixture(scope="module")
def openai() -> Iterator[OpenAiServer]:
    with OpenAiServer() as server:
        yield server


@pytest.fixture(scope="module")
def wyoming() -> Iterator[WyomingServer]:
    with WyomingServer() as server:
        yield server


def findings(folder: Path, seconds: float = 5, **section: Any) -> dict[str, Finding]:
    """By check; a stage that a test does not name is one that needs nothing."""
    stages = {"asr": {"provider": "none"}, "llm": {"provider": "offline"}, "tts": {"provider": "chime"}}
    found = list(voice.findings(Voice(**{**stages, **section}), folder, seconds))
    assert KEY not in str(found)
    return {finding.check: finding for finding in found}


def mind_at(folder: Path, base_url: str, **options: Any) -> Finding:
    """What is said of a mind at this server."""
    llm = {"provider": "openai", "openai": {"base_url": base_url, "api_key": KEY, **options}}
    return findings(folder, llm=llm)["voice.llm"]


def test_a_fresh_configuration_works_offline(tmp_path: Path) -> None:
    found = findings(tmp_path, asr={}, llm={}, tts={})
    assert [finding.state for finding in found.values()] == [State.OK] * 3
    assert "by pocketsphinx" in found["voice.asr"].sentence
    assert "by espeak" in found["voice.tts"].sentence


def test_providers_that_only_stand_in_are_warned_of(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert found["voice.asr"].state is found["voice.tts"].state is State.WARNING
    assert "voice.asr.provider" in found["voice.asr"].sentence
    assert "espeak-ng" in found["voice.tts"].sentence


def test_a_program_that_is_missing_is_said_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    chosen = findings(tmp_path, tts={"provider": "espeak"})["voice.tts"]
    assert chosen.state is State.FAULT
    assert "apt-get install espeak-ng" in chosen.sentence
    by_default = list(voice.findings(Voice(asr={"provider": "none"}), tmp_path, 5))
    assert any("goes on with chime" in finding.sentence for finding in by_default)
    assert not [finding for finding in by_default if finding.state is State.FAULT]


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    assert "voice.llm.provider" in findings(tmp_path, llm={"provider": "oracle"})["voice.llm"].sentence
    assert (
        "voice.tts.espeak.pitch" in findings(tmp_path, tts={"provider": "espeak", "espeak": {"pitch": 999}})["voice.tts"].sentence
    )


def test_one_account_serves_all_three(tmp_path: Path, openai: OpenAiServer) -> None:
    openai.reset()
    account = {"api_key": KEY, "base_url": openai.base_url}
    found = findings(tmp_path, openai=account, asr={}, llm={}, tts={}, vision={"enable": True})
    assert list(found) == ["voice.asr", "voice.llm", "voice.tts", "voice.vision"]
    assert {finding.state for finding in found.values()} == {State.OK}
    assert "lists the model gpt-4o-mini-transcribe" in found["voice.asr"].sentence


@pytest.mark.parametrize(
    ("fault", "state", "words"),
    [
        ("401", State.FAULT, "does not accept the key"),
        ("404", State.WARNING, "no list of models"),
        ("429", State.WARNING, "status 429"),
        ("500", State.FAULT, "fails by itself"),
        ("garbage", State.WARNING, "no list of models"),
    ],
)
def test_what_a_server_answers_is_judged(tmp_path: Path, openai: OpenAiServer, fault: str, state: State, words: str) -> None:
    openai.reset()
    openai.behave("models", fault)
    finding = mind_at(tmp_path, openai.base_url)
    assert finding.state is state
    assert words in finding.sentence


def test_a_model_that_the_server_does_not_list_is_warned_of(tmp_path: Path, openai: OpenAiServer) -> None:
    openai.reset()
    finding = mind_at(tmp_path, openai.base_url, model="gpt-17")
    assert finding.state is State.WARNING
    assert "voice.llm.openai.model" in finding.sentence


def test_a_server_that_is_not_there_is_said_without_what_is_secret_in_its_address(tmp_path: Path) -> None:
    finding = mind_at(tmp_path, f"http://me:{KEY}@127.0.0.1:{free_port()}/v1")
    assert finding.state is State.FAULT
    assert "cannot be reached" in finding.sentence
    assert "voice.llm.openai.base_url" in finding.sentence


@pytest.mark.parametrize("stage", ["asr", "tts"])
def test_a_wyoming_server_is_asked_what_it_can_do(tmp_path: Path, wyoming: WyomingServer, stage: str) -> None:
    section = {"provider": "wyoming", "wyoming": {"host": "127.0.0.1", "port": wyoming.port}}
    finding = findings(tmp_path, **{stage: section})[f"voice.{stage}"]
    assert finding.state is State.OK, finding
    assert f"127.0.0.1:{wyoming.port}" in finding.sentence


def test_a_wyoming_server_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    section = {"provider": "wyoming", "wyoming": {"host": "127.0.0.1", "port": free_port()}}
    finding = findings(tmp_path, asr=section)["voice.asr"]
    assert finding.state is State.FAULT
    assert "voice.asr.wyoming" in finding.sentence


def test_what_is_no_wyoming_server_is_a_fault(tmp_path: Path, openai: OpenAiServer) -> None:
    port = int(openai.base_url.rpartition(":")[2].partition("/")[0])
    section = {"provider": "wyoming", "wyoming": {"host": "127.0.0.1", "port": port}}
    assert findings(tmp_path, 0.3, tts=section)["voice.tts"].state is State.FAULT
