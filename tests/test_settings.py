"""The settings: defaults, the file, the environment over it, and sentences for what is wrong."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from app.sections import AUTO
from app.settings import Settings, SettingsError, load


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("XIAOZHI_") or name == "PORT":
            monkeypatch.delenv(name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.json"


def loaded(path: Path, document: Any) -> Settings:
    """The settings of a file that holds ``document``."""
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return load(path)


def fault(path: Path, document: Any) -> str:
    """The sentence with which that file is refused."""
    with pytest.raises(SettingsError) as refusal:
        loaded(path, document)
    return str(refusal.value)


def test_an_empty_document_is_the_zero_configuration(path: Path) -> None:
    settings = loaded(path, {})
    assert settings.mqtt_server.enable
    assert (settings.mqtt_server.listen_port, settings.udp.listen_port, settings.websocket.port) == (2883, 8990, 8989)
    assert (settings.mqtt.broker, settings.udp.external_host, settings.ota.test.mqtt.endpoint) == (AUTO, AUTO, AUTO)
    assert settings.udp_external_port == 8990


def test_the_repositorys_own_file_loads_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    load(Path(__file__).resolve().parent.parent / "config" / "config.json")
    assert caplog.text == ""


OTA = {
    "test": {"websocket": {"url": "ws://192.168.1.100:8989/xiaozhi/v1/"}, "mqtt": {"enable": False, "endpoint": "192.168.1.100"}},
    "external": {"websocket": {"url": "wss://e.com/go_ws/xiaozhi/v1/"}, "mqtt": {"enable": False, "endpoint": "e.com"}},
}
CLIENT = {"type": "tcp", "client_id": "xiaozhi_server", "username": "admin", "password": "test!@#"}
UDP = {"external_host": "公网IP", "external_port": 8990, "listen_host": "0.0.0.0", "listen_port": 8990}


@pytest.mark.parametrize(
    ("mqtt", "server"),
    [
        ({"broker": "127.0.0.1", "port": 2883}, {"enable": True, "listen_host": "0.0.0.0", "listen_port": 2883}),
        ({"broker": "emqx.example.com", "port": 1883}, {"enable": False}),
    ],
)
def test_the_sample_sections_of_the_protocol_documents_load_unchanged(
    path: Path, mqtt: Any, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings = loaded(path, {"mqtt": CLIENT | mqtt, "mqtt_server": server, "udp": UDP, "ota": OTA})
    assert settings.mqtt.broker == mqtt["broker"]
    assert settings.ota.external.websocket.url == "wss://e.com/go_ws/xiaozhi/v1/"
    assert not settings.ota.test.mqtt.enable
    assert caplog.text == ""


def test_unknown_settings_are_warned_about_by_name(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        loaded(path, {"vision": {}, "udp": {"listen_prot": 1}, "ota": {"test": {"mqtt": {"x": 1}}}})
    for name in ("vision", "udp.listen_prot", "ota.test.mqtt.x"):
        assert f"no setting {name};" in caplog.text


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_host_is_auto(path: Path, empty: Any) -> None:
    settings = loaded(
        path, {"udp": {"external_host": empty}, "mqtt": {"broker": empty}, "ota": {"test": {"mqtt": {"endpoint": empty}}}}
    )
    assert (settings.udp.external_host, settings.mqtt.broker, settings.ota.test.mqtt.endpoint) == (AUTO, AUTO, AUTO)


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_optional_port_or_path_is_none(path: Path, empty: Any) -> None:
    settings = loaded(
        path, {"udp": {"external_port": empty}, "mqtt": {"ca_file": empty}, "mqtt_server": {"tls": {"pem": empty, "key": empty}}}
    )
    assert settings.udp_external_port == 8990
    assert settings.mqtt.ca_file is None
    assert (settings.mqtt_server.tls.pem, settings.mqtt_server.tls.key) == (None, None)


def test_the_environment_goes_over_the_file_and_leaves_the_rest_of_the_section(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XIAOZHI_UDP__LISTEN_PORT", "9000")
    monkeypatch.setenv("XIAOZHI_STATE_DIR", "/srv/state")
    settings = loaded(path, {"udp": {"listen_port": 1, "external_host": "voice.example.org"}})
    assert (settings.udp.listen_port, settings.udp.external_host) == (9000, "voice.example.org")
    assert settings.state_dir == Path("/srv/state")


def test_a_hosting_platforms_port_is_that_of_http(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "5000")
    assert loaded(path, {"websocket": {"host": "::", "port": 8989}}).websocket.port == 5000
    monkeypatch.setenv("XIAOZHI_WEBSOCKET__PORT", "6000")
    assert loaded(path, {}).websocket.port == 6000


@pytest.mark.parametrize("section", [None, [], "x"])
def test_a_section_of_a_wrong_type_is_a_sentence_with_a_platforms_port_too(
    path: Path, section: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "5000")
    assert "websocket" in fault(path, {"websocket": section})


def test_the_environment_names_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text('{"udp": {"listen_port": 7777}}')
    monkeypatch.setenv("XIAOZHI_CONFIG", str(path))
    assert load().udp.listen_port == 7777


def test_a_byte_order_mark_does_no_harm(path: Path) -> None:
    assert loaded(path, '\ufeff{"udp": {"listen_port": 7777}}').udp.listen_port == 7777


def test_a_missing_file_is_a_sentence_that_names_it(path: Path) -> None:
    with pytest.raises(SettingsError, match=r"config\.json does not exist: create it"):
        load(path)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "is no JSON: line 1"),
        ("[]", "has to be an object"),
        ({"udp": {"listen_port": 70000}}, "udp.listen_port"),
        ({"udp": {"external_host": "two words"}}, "holds no spaces"),
        ({"mqtt": {"type": "quic"}}, "mqtt.type"),
        ({"ota": {"group": "GID@@@x"}}, "ota.group"),
        ({"websocket": {"trusted_proxies": ["10.0.0.1/8"]}}, "websocket.trusted_proxies"),
        ({"mqtt_server": {"enable": False}}, "name your broker in mqtt.broker"),
        ({"mqtt_server": {"tls": {"enable": True}}}, "mqtt_server.tls.pem has to name a file"),
        ({"mqtt_server": {"tls": {"enable": True, "pem": "/nowhere/x.pem", "key": "k"}}}, "/nowhere/x.pem cannot be read"),
        ({"mqtt_server": {"tls": {"enable": True, "pem": "/tmp", "key": "k"}}}, "/tmp cannot be read"),
    ],
)
def test_what_is_wrong_is_said_by_name(path: Path, document: Any, words: str) -> None:
    assert words in fault(path, document)


def test_each_fault_gets_a_line(path: Path) -> None:
    assert len(fault(path, {"udp": {"listen_port": 0}, "mqtt": {"port": "x"}}).splitlines()) == 2


def test_a_section_in_the_environment_that_is_no_json_is_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XIAOZHI_UDP", "{")
    assert "environment" in fault(path, {})


def test_no_secret_is_in_a_repr_or_in_a_fault(path: Path) -> None:
    settings = loaded(path, {"mqtt": {"password": "hush-hush"}, "ota": {"signature_key": "top-secret"}})
    assert "hush-hush" not in repr(settings)
    assert "top-secret" not in repr(settings)
    assert "top-secret" not in fault(path, {"ota": {"signature_key": ["top-secret"]}})
