"""docs/configuration.md is what the settings say."""

from __future__ import annotations

from pathlib import Path

from app.reference import FIRST, document
from app.settings import Settings

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"


def test_it_is_up_to_date() -> None:
    assert DOCUMENT.read_text("utf-8") == document(), "write it anew: make docs"


def test_the_sections_that_people_have_already_come_first_and_all_others_follow() -> None:
    sections = [line.strip("# `\n") for line in document().splitlines() if line.startswith("## ")]
    assert tuple(sections[: len(FIRST)]) == FIRST
    assert set(sections) == set(Settings.model_fields) - {"state_dir"}


def test_type_bounds_default_and_variables_stand_beside_a_key() -> None:
    lines = [line for line in document().splitlines() if line.startswith("| `websocket.port`")]
    assert lines == [
        "| `websocket.port`<br>`XIAOZHI_WEBSOCKET__PORT`, `PORT` | number from 1 to 65,535 | `8989` | The HTTP port. |"
    ]


def test_providers_keys_are_in_it() -> None:
    assert "| `voice.tts.espeak.pitch`<br>`XIAOZHI_VOICE__TTS__ESPEAK__PITCH` | number from 0 to 99 | `50` |" in document()
