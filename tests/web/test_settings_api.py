"""The settings, the voices and the tests of recognizer, mind and voice over the API; and the page, for what it must not hold."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Response

from app.sections import Voice
from app.settings import Settings, load
from app.voice.crew import make_crew
from app.voice.figures import VoiceFigures
from app.voice.trial import AT_ONCE, Trials
from app.web import api_tests
from app.web.application import create_web
from tests.voice.tts.sounds import pcm, voice, wav
from tests.web.fake_node import FakeNode, make_node
from tests.web.openapi_document import check_answer, operation_of

TOKEN = {"Authorization": "Bearer the-token"}
TESTS = "/api/v1/tests"
OFFLINE = {"asr": {"provider": "none"}, "llm": {"provider": "offline"}, "tts": {"provider": "espeak"}}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("XIAOZHI_", "OPENAI_")) or name in ("PORT", "DATABASE_URL"):
            monkeypatch.delenv(name)


def settings_of(folder: Path, document: Any) -> Settings:
    path = folder / "config.json"
    path.write_text(json.dumps(document), "utf-8")
    return load(path)


def node_of(folder: Path, document: Any = None) -> FakeNode:
    """A node that was configured by a file."""
    node = make_node(folder)
    node.settings = settings_of(folder, document or {})
    node.secrets = replace(node.secrets, signature_key="HUSH-key", mqtt_password="HUSH-mqtt", api_token="the-token")
    return node


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    return node_of(tmp_path)


@pytest.fixture
def talking(node: FakeNode, tmp_path: Path) -> Iterator[FakeNode]:
    """One whose mind and voice work."""
    crew = make_crew(Voice.model_validate(OFFLINE), tmp_path, node.memory, VoiceFigures())
    node.trials = Trials(crew)
    yield node
    crew.close()


def ask(node: FakeNode, method: str, path: str, document: Any = None, **more: Any) -> Response:
    body = {"json": document} if document is not None else {}
    headers = {**TOKEN, **more.pop("headers", {})}
    response: Response = create_web(node).test_client().open(path, method=method, headers=headers, **body, **more)
    return response


# Settings


def test_settings_are_listed_with_what_follows_from_them(node: FakeNode) -> None:
    response = ask(node, "GET", "/api/v1/settings", headers={"Host": "192.168.1.5:8989"})
    check_answer(response, "GET", "/api/v1/settings")
    document = response.json
    assert document["file"].endswith("config.json")
    (port,) = [one for one in document["settings"] if one["name"] == "udp.listen_port"]
    assert (port["value"], port["source"]) == (8990, "default")
    assert document["addresses"] == {
        "ota": "http://192.168.1.5:8989/xiaozhi/ota/",
        "mqtt": "192.168.1.5:2883",
        "udp": "192.168.1.5:8990",
        "websocket": "ws://192.168.1.5:8989/xiaozhi/v1/",
    }
    assert document["versions"]["libopus"]


def test_written_addresses_are_told_and_where_mqtt_is_off_websocket_alone(tmp_path: Path) -> None:
    node = node_of(tmp_path, {"udp": {"external_host": "voice.example"}, "ota": {"test": {"mqtt": {"enable": False}}}})
    assert ask(node, "GET", "/api/v1/settings").json["addresses"]["mqtt"] == ""
    node = node_of(tmp_path, {"udp": {"external_host": "voice.example", "external_port": 7000}})
    assert ask(node, "GET", "/api/v1/settings").json["addresses"]["udp"] == "voice.example:7000"


@pytest.mark.parametrize("path", ["/api/v1/settings", "/settings", "/settings?lang=zh"])
def test_nothing_secret_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-HUSH-openai")
    monkeypatch.setenv("XIAOZHI_WEBSOCKET__GATEWAY_TOKEN", "HUSH-gateway")
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:HUSH-database@db.example/devices")
    document = {
        "mqtt": {"password": "HUSH-password"},
        "voice": {
            "llm": {"openai": {"api_key": "HUSH-llm", "extra_body": {"vendor_token": "HUSH-vendor"}}},
            "vision": {"base_url": "https://u:HUSH-vision@h/v1"},
        },
    }
    node = node_of(tmp_path, document)
    node.operators.add_token("prometheus")
    response = ask(node, "GET", path)
    assert response.status_code == 200
    assert "voice.openai.api_key" in response.text
    assert "db.example" in response.text
    assert "HUSH" not in response.text
    kept = node.operators.kept()
    assert kept.password not in response.text
    assert kept.tokens[0].sha256 not in response.text


def test_what_is_no_setting_is_shown_in_the_page(tmp_path: Path) -> None:
    page = ask(node_of(tmp_path, {"udp": {"colour": "<b>red</b>"}, "<i>": {}}), "GET", "/settings").text
    assert "udp.colour" in page
    assert "&lt;i&gt;" in page


# Voices


def test_voices_are_listed(talking: FakeNode) -> None:
    response = ask(talking, "GET", "/api/v1/voices")
    check_answer(response, "GET", "/api/v1/voices")
    assert (response.json["provider"], response.json["error"], response.json["refused"]) == ("espeak", "", [])
    assert {"name": "en-gb", "about": "English (Great Britain)"} in response.json["voices"]


def test_with_the_echo_there_are_no_voices_and_a_sentence_says_why(node: FakeNode) -> None:
    response = ask(node, "GET", "/api/v1/voices")
    check_answer(response, "GET", "/api/v1/voices")
    assert response.json["voices"] == []
    assert "dialogue.agent is echo" in response.json["error"]


# Tests


def test_the_voice_can_be_heard(talking: FakeNode) -> None:
    response = ask(talking, "POST", f"{TESTS}/tts", {"text": "Dinner is ready.", "voice": "+f3"})
    check_answer(response, "POST", f"{TESTS}/tts")
    assert (response.json["ok"], response.json["provider"], response.json["text"]) == (True, "espeak", "Dinner is ready.")
    assert base64.b64decode(response.json["audio"]).startswith(b"OggS")


def test_a_failure_is_an_answer_with_the_providers_sentence(talking: FakeNode) -> None:
    for stage, document, sentence in (("tts", {"voice": "klingon"}, "no voice 'klingon'"), ("asr", {}, "there is no recognizer")):
        response = ask(talking, "POST", f"{TESTS}/{stage}", document)
        check_answer(response, "POST", f"{TESTS}/{stage}")
        assert response.json["ok"] is False
        assert sentence in response.json["error"]


def test_the_mind_answers_in_the_language_of_the_test(talking: FakeNode) -> None:
    response = ask(talking, "POST", f"{TESTS}/llm", {"language": "zh-CN"})
    check_answer(response, "POST", f"{TESTS}/llm")
    assert response.json["said"] == api_tests.QUESTIONS["zh"]
    assert any("\u4e00" <= character <= "\u9fff" for character in response.json["text"])


def test_without_a_body_a_sentence_of_ours_is_said(talking: FakeNode) -> None:
    assert ask(talking, "POST", f"{TESTS}/tts").json["text"] == api_tests.SENTENCES["en"]


def test_a_recording_is_the_body_itself(talking: FakeNode) -> None:
    recording = wav(pcm(voice(16_000, 3.0)), 16_000)
    assert len(recording) > 64 * 1024
    path = f"{TESTS}/asr?language=en"
    response = ask(talking, "POST", path, data=recording, headers={"Content-Type": "audio/wav"})
    check_answer(response, "POST", f"{TESTS}/asr")
    assert "there is no recognizer" in response.json["error"]


@pytest.mark.parametrize(
    ("stage", "document"),
    [
        ("tts", {"text": ""}),
        ("tts", {"text": "!?"}),
        ("tts", {"text": "x" * (api_tests.MAX_TEXT + 1)}),
        ("tts", {"voice": "x" * 65}),
        ("tts", {"voice": 1}),
        ("llm", {"language": "--help"}),
        ("llm", {"question": "?"}),
        ("asr", {"text": "a\x00b"}),
    ],
)
def test_a_wrong_wish_is_refused(talking: FakeNode, stage: str, document: Any) -> None:
    response = ask(talking, "POST", f"{TESTS}/{stage}", document)
    assert response.status_code == 400
    check_answer(response, "POST", f"{TESTS}/{stage}")


@pytest.mark.parametrize("data", [b"", b"no sound at all", b"OggS"])
def test_what_is_no_recording_is_refused(talking: FakeNode, data: bytes) -> None:
    response = ask(talking, "POST", f"{TESTS}/asr", data=data, headers={"Content-Type": "audio/ogg"})
    assert response.status_code == 400


def test_a_recording_that_is_too_large_is_refused(talking: FakeNode) -> None:
    data = bytes(api_tests.MAX_RECORDING + 1)
    response = ask(talking, "POST", f"{TESTS}/asr", data=data, headers={"Content-Type": "audio/wav"})
    assert response.status_code == 413


def test_too_many_tests_have_to_wait(talking: FakeNode) -> None:
    talking.trials = Trials(talking.trials._crew, clock=lambda: 0.0)
    for _ in range(AT_ONCE):
        assert ask(talking, "POST", f"{TESTS}/llm", {}).status_code == 200
    response = ask(talking, "POST", f"{TESTS}/llm", {})
    check_answer(response, "POST", f"{TESTS}/llm")
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize("stage", ["asr", "llm", "tts"])
def test_with_the_echo_there_is_nothing_to_test(node: FakeNode, stage: str) -> None:
    response = ask(node, "POST", f"{TESTS}/{stage}", {})
    check_answer(response, "POST", f"{TESTS}/{stage}")
    assert response.status_code == 409
    assert "set dialogue.agent to assistant" in response.json["error"]


def test_the_limits_that_the_document_names_are_those_that_hold() -> None:
    for stage in ("asr", "llm", "tts"):
        body = operation_of("POST", f"{TESTS}/{stage}")["requestBody"]["content"]["application/json"]["schema"]["properties"]
        assert body["text"]["maxLength"] == api_tests.MAX_TEXT
        assert body.get("voice", {"maxLength": api_tests.MAX_VOICE})["maxLength"] == api_tests.MAX_VOICE


def test_the_page_says_so_too(node: FakeNode) -> None:
    assert "There is nothing to test" in ask(node, "GET", "/settings").text
