"""What is known of the platform that hosts the server, and what is said of it at start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.hosting import announce, routes_http_only, sentences
from app.settings import Settings, SettingsError, load
from app.web.caller import CallerReader

HEROKU = {"DYNO": "web.1", "PORT": "5000"}


def settings(tmp_path: Path, document: dict[str, Any], environment: dict[str, str]) -> Settings:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(document), "utf-8")
    return load(path, environment)


def test_a_dyno_is_reached_by_http_only(tmp_path: Path) -> None:
    assert settings(tmp_path, {}, HEROKU).http_only
    assert not settings(tmp_path, {}, HEROKU).runs_broker


def test_elsewhere_everything_is_served(tmp_path: Path) -> None:
    plain = settings(tmp_path, {}, {"PORT": "5000"})
    assert not plain.http_only
    assert plain.runs_broker
    assert plain.platform.routers == ()


def test_dokku_sets_a_dyno_too_and_can_publish_other_ports() -> None:
    assert not routes_http_only({"DYNO": "web.1", "DOKKU_APP_NAME": "voice"})


@pytest.mark.parametrize(("written", "expected"), [(True, True), (False, False), ("auto", True), ("", True), ("false", False)])
def test_what_is_written_wins_over_what_is_known(tmp_path: Path, written: object, expected: bool) -> None:
    assert settings(tmp_path, {"platform": {"http_only": written}}, HEROKU).http_only is expected


def test_anything_else_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"platform\.http_only: .*write true, false or auto"):
        settings(tmp_path, {"platform": {"http_only": "maybe"}}, {})


def test_without_a_broker_of_its_own_a_server_that_only_http_reaches_needs_no_other(tmp_path: Path) -> None:
    assert not settings(tmp_path, {"mqtt_server": {"enable": False}, "platform": {"http_only": True}}, {}).runs_broker


def test_only_the_known_platforms_router_is_believed_by_itself(tmp_path: Path) -> None:
    assert settings(tmp_path, {}, HEROKU).platform.routers
    assert settings(tmp_path, {"platform": {"http_only": True}}, {}).platform.routers == ()
    assert settings(tmp_path, {"platform": {"routers": []}}, HEROKU).platform.routers == ()


def test_what_works_and_what_is_lost_is_said(tmp_path: Path) -> None:
    first, second = sentences(settings(tmp_path, {}, HEROKU), HEROKU)
    assert "devices use WebSocket" in first
    assert "TCP port 2883 (MQTT) and UDP port 8990 (audio)" in first
    assert "DATABASE_URL" in second
    assert "XIAOZHI_OTA__SIGNATURE_KEY" in second


def test_what_is_kept_elsewhere_is_not_lost(tmp_path: Path) -> None:
    kept = {"ota": {"signature_key": "a-key"}, "database": {"url": "postgresql://u@h/n"}}
    _, lost = sentences(settings(tmp_path, kept, HEROKU), HEROKU)
    assert "DATABASE_URL" not in lost
    assert "SIGNATURE_KEY" not in lost
    assert "the console's password" in lost


def test_with_a_port_from_a_platform_the_other_ports_are_named(tmp_path: Path) -> None:
    environment = {"PORT": "5000"}
    [sentence] = sentences(settings(tmp_path, {"udp": {"external_port": 40000}}, environment), environment)
    assert "HTTP is served on port 5000" in sentence
    assert "TCP port 2883 (MQTT) and UDP port 40000 (audio)" in sentence


def test_without_one_or_where_no_mqtt_is_offered_there_is_nothing_to_say(tmp_path: Path) -> None:
    none = {"mqtt": {"enable": False}}
    assert sentences(settings(tmp_path, {}, {}), {}) == []
    assert sentences(settings(tmp_path, {"ota": {"test": none, "external": none}}, {"PORT": "1"}), {"PORT": "1"}) == []


def test_of_a_routers_hops_only_its_own_is_believed(tmp_path: Path) -> None:
    callers = CallerReader.of(settings(tmp_path, {}, HEROKU))
    request = {"REMOTE_ADDR": "10.1.2.3", "HTTP_HOST": "voice.example.org", "HTTP_X_FORWARDED_FOR": "192.0.2.66, 10.9.9.9"}
    assert str(callers.read(request).address) == "10.9.9.9"


def test_a_router_that_names_nobody_is_itself_the_caller(tmp_path: Path) -> None:
    callers = CallerReader.of(settings(tmp_path, {}, HEROKU))
    request = {"REMOTE_ADDR": "10.1.2.3", "HTTP_HOST": "voice.example.org", "HTTP_X_FORWARDED_FOR": "unknown"}
    assert str(callers.read(request).address) == "10.1.2.3"


def test_nobody_else_is_believed(tmp_path: Path) -> None:
    callers = CallerReader.of(settings(tmp_path, {}, HEROKU))
    request = {"REMOTE_ADDR": "203.0.113.9", "HTTP_HOST": "a.example", "HTTP_X_FORWARDED_FOR": "10.1.1.1"}
    caller = callers.read({**request, "HTTP_X_FORWARDED_PROTO": "https"})
    assert (str(caller.address), caller.secure) == ("203.0.113.9", False)


@pytest.mark.parametrize("host", ["公网IP", "<your-ip>", "203.0.113.9:8990"])
def test_a_place_holder_for_the_audio_address_is_said(tmp_path: Path, host: str, caplog: pytest.LogCaptureFixture) -> None:
    announce(settings(tmp_path, {"udp": {"external_host": host}}, {}), {})
    assert f"udp.external_host: '{host}' is no address" in caplog.text


@pytest.mark.parametrize("host", ["auto", "203.0.113.9", "fd00::1", "voice.example.org"])
def test_an_audio_address_is_taken_without_a_word(tmp_path: Path, host: str, caplog: pytest.LogCaptureFixture) -> None:
    announce(settings(tmp_path, {"udp": {"external_host": host}}, {}), {})
    assert not caplog.messages
