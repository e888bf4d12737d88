"""Every setting with its value, its default and where it comes from; and nothing secret among them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from app.effective import MASK, Effective, Setting, Source, effective, shown_url, shown_value
from app.settings import load


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("XIAOZHI_", "OPENAI_")) or name in ("PORT", "DATABASE_URL"):
            monkeypatch.delenv(name)


def found(folder: Path, document: Any) -> Effective:
    path = folder / "config.json"
    path.write_text(json.dumps(document), "utf-8")
    return effective(load(path))


def setting(of: Effective, name: str) -> Setting:
    (one,) = [setting for setting in of.settings if setting.name == name]
    return one


def test_what_nobody_sets_is_the_default(tmp_path: Path) -> None:
    port = setting(found(tmp_path, {}), "udp.listen_port")
    assert (port.value, port.default, port.source, port.set_by) == (8990, 8990, Source.DEFAULT, "")
    assert port.variable == "XIAOZHI_UDP__LISTEN_PORT"
    assert port.section == "udp"


def test_the_file_and_the_environment_over_it_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIAOZHI_UDP__LISTEN_PORT", "9000")
    of = found(tmp_path, {"udp": {"listen_port": 7000, "listen_host": "127.0.0.1"}, "mqtt_server": {"tls": {"port": 8884}}})
    port, host, tls = (setting(of, name) for name in ("udp.listen_port", "udp.listen_host", "mqtt_server.tls.port"))
    assert (port.value, port.source, port.set_by) == (9000, Source.ENVIRONMENT, "XIAOZHI_UDP__LISTEN_PORT")
    assert (host.value, host.source) == ("127.0.0.1", Source.FILE)
    assert (tls.value, tls.source) == (8884, Source.FILE)
    assert of.file == tmp_path / "config.json"


def test_what_platforms_set_is_named_as_they_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "5000")
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody:hush@db.example/devices")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hush")
    of = found(tmp_path, {})
    assert [setting(of, name).set_by for name in ("websocket.port", "database.url", "voice.openai.api_key")] == [
        "PORT",
        "DATABASE_URL",
        "OPENAI_API_KEY",
    ]
    assert setting(of, "database.url").value == f"postgresql://{MASK}@db.example/devices"


def test_our_own_variable_goes_over_the_platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "5000")
    monkeypatch.setenv("XIAOZHI_WEBSOCKET__PORT", "6000")
    port = setting(found(tmp_path, {}), "websocket.port")
    assert (port.value, port.set_by) == (6000, "XIAOZHI_WEBSOCKET__PORT")


def test_a_section_written_as_json_in_the_environment_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIAOZHI_UDP", '{"listen_port": 9000}')
    of = found(tmp_path, {})
    assert setting(of, "udp.listen_port").set_by == "XIAOZHI_UDP"
    assert setting(of, "udp.listen_host").source is Source.DEFAULT


def test_secrets_that_are_generated_are_said_to_be_so(tmp_path: Path) -> None:
    of = found(tmp_path, {"mqtt": {"password": "mine"}})
    generated, mine, none = (setting(of, name) for name in ("ota.signature_key", "mqtt.password", "websocket.gateway_token"))
    assert (generated.source, generated.is_set, generated.value) == (Source.GENERATED, True, "")
    assert (mine.source, mine.is_set, mine.value) == (Source.FILE, True, "")
    assert (none.source, none.is_set) == (Source.DEFAULT, False)


def test_the_provider_at_work_shows_all_its_keys_and_the_others_those_that_are_written(tmp_path: Path) -> None:
    of = found(tmp_path, {"voice": {"tts": {"provider": "wyoming", "wyoming": {"host": "h"}, "espeak": {"pitch": 30}}}})
    names = {setting.name: setting for setting in of.settings if setting.name.startswith("voice.tts.")}
    assert names["voice.tts.wyoming.host"].source is Source.FILE
    assert (names["voice.tts.wyoming.port"].value, names["voice.tts.wyoming.port"].source) == (10200, Source.DEFAULT)
    assert names["voice.tts.espeak.pitch"].value == 30
    assert "voice.tts.espeak.voice" not in names
    assert "voice.asr.pocketsphinx.processes" in {setting.name for setting in of.settings}


def test_what_is_no_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("XIAOZHI_UDP__LISTEN_PROT", "1")
    of = found(tmp_path, {"udp": {"colour": "red"}, "bonjour": {}, "voice": {"asr": {"wyoming": {"host": "h"}}}})
    assert of.unknown == ("udp.colour", "bonjour", "XIAOZHI_UDP__LISTEN_PROT: udp.listen_prot")
    assert "XIAOZHI_UDP__LISTEN_PROT in the environment: this server knows no setting udp.listen_prot" in caplog.text


def test_nothing_secret_is_in_it_wherever_it_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIAOZHI_VOICE__LLM__OPENAI__API_KEY", "HUSH-1")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:HUSH-2@h/d?password=HUSH-3")
    of = found(
        tmp_path,
        {
            "mqtt": {"password": "HUSH-4"},
            "ota": {"signature_key": "HUSH-5", "test": {"websocket": {"url": "wss://u:HUSH-6@h/x?token=HUSH-7"}}},
            "websocket": {"gateway_token": "HUSH-8"},
            "voice": {
                "openai": {"api_key": "HUSH-9", "base_url": "https://u:HUSH-10@h/v1"},
                "llm": {"openai": {"extra_body": {"vendor": [{"api_key": "HUSH-11"}], "secrets": {"a": "HUSH-12"}}}},
                "tts": {"provider": "command", "command": {"argv": ["cat", "--api-key", "HUSH-13", "--token=HUSH-14"]}},
                "vision": {"api_key": "HUSH-15"},
            },
        },
    )
    assert "HUSH" not in repr(of)
    assert setting(of, "voice.vision.api_key").is_set


def test_every_setting_has_a_sentence(tmp_path: Path) -> None:
    assert [setting.name for setting in found(tmp_path, {}).settings if not setting.help.endswith((".", ")."))] == []


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("postgresql+psycopg://u:p/a?s@s@h/d", f"postgresql+psycopg://{MASK}@h/d"),
        ("http://h/v1?key=1", f"http://h/v1?{MASK}"),
        ("ws://192.168.1.5:8989/xiaozhi/v1/", "ws://192.168.1.5:8989/xiaozhi/v1/"),
        ("sqlite:////var/lib/devices.db", "sqlite:////var/lib/devices.db"),
    ],
)
def test_an_address_loses_its_login_and_nothing_else(written: str, shown: str) -> None:
    assert shown_url(written) == shown


def test_texts_for_people_stay_as_they_are() -> None:
    assert shown_value(["mail me: a@b.example", "你好小智"]) == ["mail me: a@b.example", "你好小智"]
