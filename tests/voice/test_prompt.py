"""The system prompt."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.settings import SettingsError
from app.voice.prompt import ASSISTANT, MANNERS, system_prompt, zone_of

NOW = datetime(2026, 11, 21, 23, 5, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def prompt(identity: str = "", name: str = "", language: str = "", now: datetime = NOW) -> str:
    return system_prompt(identity, name=name, language=language, now=now, zone=BERLIN)


def test_it_says_who_it_is_how_to_talk_and_what_time_it_is() -> None:
    assert prompt().startswith(ASSISTANT)
    assert MANNERS in prompt()
    assert prompt().endswith("It is Sunday, 22 November 2026, 00:05 (Europe/Berlin, UTC+01:00).")


def test_an_own_prompt_says_who_it_is_and_the_manners_stay() -> None:
    assert prompt("You are a pirate.\n").startswith("You are a pirate.\n\n")
    assert ASSISTANT not in prompt("You are a pirate.")
    assert MANNERS in prompt("You are a pirate.")


def test_it_names_the_device_and_its_language() -> None:
    assert "The device is called kitchen. Its language is set to zh-CN." in prompt(name="kitchen", language="zh-CN")


def test_what_changes_stands_last() -> None:
    later = prompt("You are a pirate.", "kitchen", "en", NOW.replace(minute=6))
    now = prompt("You are a pirate.", "kitchen", "en")
    assert now.split("It is Sunday")[0] == later.split("It is Sunday")[0]
    assert len(now.split("It is Sunday")[1]) < 80


def test_west_of_greenwich_and_half_hours() -> None:
    for zone, offset in (("America/St_Johns", "UTC-03:30"), ("Asia/Kolkata", "UTC+05:30"), ("UTC", "UTC+00:00")):
        text = system_prompt("", name="", language="", now=NOW, zone=zone_of(zone))
        assert text.endswith(f"({zone}, {offset}).")


def test_without_a_zone_it_is_that_of_this_machine() -> None:
    assert zone_of("") is None
    here = NOW.astimezone()
    assert f"{here:%H:%M} (UTC" in system_prompt("", name="", language="", now=NOW, zone=None)


@pytest.mark.parametrize("name", ["Europe/Bonn", "Europe", "../etc/passwd", "/etc/localtime", "x\0y", "Berlin " * 20])
def test_a_zone_that_does_not_exist_stops_the_start(name: str) -> None:
    with pytest.raises(SettingsError, match=r"voice\.timezone: there is no time zone"):
        zone_of(name)
