"""The server's own secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.secrets import OPERATOR, load_or_create
from app.settings import Settings, SettingsError

TOP = Path(__file__).resolve().parent.parent


def configured(state_dir: Path, **sections: Any) -> Settings:
    return Settings(state_dir=state_dir, **sections)


def test_what_nobody_set_is_generated_and_kept(tmp_path: Path) -> None:
    first = load_or_create(configured(tmp_path / "var"))
    assert first.mqtt_username == OPERATOR
    assert len(first.signature_key) >= 32
    assert len(first.mqtt_password) >= 32
    assert first.signature_key != first.mqtt_password
    assert load_or_create(configured(tmp_path / "var")) == first


def test_two_servers_have_different_secrets(tmp_path: Path) -> None:
    assert load_or_create(configured(tmp_path / "a")).signature_key != load_or_create(configured(tmp_path / "b")).signature_key


def test_what_is_configured_wins(tmp_path: Path) -> None:
    secrets = load_or_create(configured(tmp_path, ota={"signature_key": "k"}, mqtt={"username": "admin", "password": "p"}))
    assert (secrets.signature_key, secrets.mqtt_username, secrets.mqtt_password) == ("k", "admin", "p")


def test_for_an_outer_broker_no_credentials_are_made_up(tmp_path: Path) -> None:
    secrets = load_or_create(configured(tmp_path, mqtt_server={"enable": False}, mqtt={"broker": "emqx.example.com"}))
    assert (secrets.mqtt_username, secrets.mqtt_password) == ("", "")
    assert secrets.signature_key


def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    load_or_create(configured(tmp_path))
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_secret_that_a_newer_version_added_is_filled_in_and_the_others_stay(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text('{"signature_key": "kept", "other": "too"}')
    secrets = load_or_create(configured(tmp_path))
    assert secrets.signature_key == "kept"
    assert json.loads((tmp_path / "secrets.json").read_text()) == {
        "signature_key": "kept",
        "other": "too",
        "mqtt_password": secrets.mqtt_password,
        "mqtt_auth_token": secrets.mqtt_auth_token,
        "api_token": secrets.api_token,
    }


@pytest.mark.parametrize("content", ["{", "[]", "7", '"x"', '{"signature_key": 7}', '{"signature_key": ""}', "\x00"])
def test_a_damaged_file_is_a_sentence_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(SettingsError, match="is damaged: restore it, or delete it"):
        load_or_create(configured(tmp_path))
    assert (tmp_path / "secrets.json").read_text() == content


def test_a_state_directory_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="XIAOZHI_STATE_DIR"):
        load_or_create(configured(tmp_path / "file" / "var"))


def test_processes_that_start_at_the_same_moment_agree(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from app.secrets import load_or_create; from app.settings import Settings\n"
        "print(load_or_create(Settings(state_dir=Path(sys.argv[1]))).signature_key)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    started = [subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE) for _ in range(3)]
    assert len({process.communicate()[0] for process in started}) == 1


def test_a_repr_shows_none_of_them(tmp_path: Path) -> None:
    secrets = load_or_create(configured(tmp_path))
    assert secrets.signature_key not in repr(secrets)
    assert secrets.mqtt_password not in repr(secrets)
