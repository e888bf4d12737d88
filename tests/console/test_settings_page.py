"""The page of the settings, in a real browser, before the providers that work offline."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.console.browsing import PHONE, accessibility_faults, keep_picture, overflow_pixels
from tests.console.conftest import Open
from tests.system.running_server import RunningServer


def trial(page: Page, stage: str) -> str:
    """Presses a stage's button; what the page says of it in the end."""
    form = page.locator(f"form[data-stage={stage}]")
    form.locator("button").click()
    outcome = form.locator(".outcome")
    expect(outcome).to_have_attribute("data-state", re.compile("ok|bad"), timeout=60_000)
    return outcome.inner_text()


def test_each_test_says_how_long_it_took_and_what_came_out(open_page: Open) -> None:
    page = open_page("/settings")
    voice = trial(page, "tts")
    assert "It works." in voice
    assert re.search(r"\d (ms|s)\s+until the first sound", voice)
    assert "Please turn on the light." in voice
    page.wait_for_function("() => document.querySelector('form[data-stage=tts] audio').duration > 0.5")
    heard = trial(page, "asr")
    assert re.search(r"\d (ms|s)\s+until the words were there", heard)
    assert "please turn on the light" in heard
    page.fill("form[data-stage=llm] input[name=text]", "What is your name?")
    thought = trial(page, "llm")
    assert "What is your name?" in thought
    assert re.search(r"\d (ms|s)\s+until the first words", thought)
    keep_picture(page, "settings-tests")


def test_a_recording_can_be_recognized_and_what_is_none_is_refused(open_page: Open, console_server: RunningServer) -> None:
    page = open_page("/settings")
    page.set_input_files(
        "form[data-stage=asr] input[type=file]", {"name": "x.wav", "mimeType": "audio/wav", "buffer": b"RIFF no sound"}
    )
    page.click("form[data-stage=asr] button")
    expect(page.locator("#toasts")).to_contain_text("expected a WAV or an Ogg Opus file")


def test_a_voice_that_is_not_there_is_said_to_be_so(open_page: Open) -> None:
    page = open_page("/settings")
    page.fill("form[data-stage=tts] input[name=voice]", "klingon")
    assert "espeak-ng has no voice 'klingon'" in trial(page, "tts")


def test_what_went_wrong_is_said_in_the_language_of_the_page(open_page: Open) -> None:
    said = "voice.llm.openai: https://api.example.org does not accept the key (401): check OPENAI_API_KEY."
    page = open_page("/settings", locale="zh-CN")
    page.route(
        "**/tests/llm", lambda route: route.fulfill(json={"ok": False, "provider": "openai", "error": said, "code": "key"})
    )
    outcome = trial(page, "llm")
    assert "密钥不被接受" in outcome
    assert said in outcome


def test_voices_are_offered(open_page: Open) -> None:
    page = open_page("/settings")
    page.focus("form[data-stage=tts] input[name=voice]")
    expect(page.locator("#voices option[value='+f3']")).to_have_count(1)


def test_a_token_is_made_shown_once_and_removed(open_page: Open) -> None:
    page = open_page("/settings")
    page.fill("#token-name", "prometheus")
    page.click("#add-token button")
    text = page.locator("#token-text")
    expect(text).to_be_visible()
    assert len(text.inner_text()) > 30
    row = page.locator("#tokens tr", has_text="prometheus")
    expect(row).to_have_count(1)
    keep_picture(page, "settings-token")
    page.reload()
    expect(row).to_have_count(1)
    expect(text).to_be_hidden()
    row.locator("button").click()
    page.click("#sure-token button[value=yes]")
    expect(row).to_have_count(0)
    page.reload()
    expect(row).to_have_count(0)


def test_values_say_where_they_come_from_and_can_be_searched(open_page: Open, console_server: RunningServer) -> None:
    page = open_page("/settings")
    port = page.locator("tr[data-setting='udp.listen_port']")
    expect(port).to_contain_text(str(console_server.udp_port))
    expect(port).to_contain_text("XIAOZHI_UDP__LISTEN_PORT")
    page.click("summary:has-text('Audio over UDP')")
    expect(port).to_be_visible()
    page.fill("#search", "UDP.LISTEN_PORT port")
    expect(page.locator("tr[data-setting]:visible")).to_have_count(1)
    expect(page.locator("#count")).to_have_text("Settings shown: 1")
    page.fill("#search", "no such thing")
    expect(page.locator("#nothing")).to_be_visible()
    page.fill("#search", "")
    page.check("#changed-only")
    expect(page.locator("tr[data-setting='websocket.port']")).to_be_visible()
    expect(page.locator("tr[data-setting='sessions.max']")).to_be_hidden()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("wide", {}),
        ("phone", {"viewport": PHONE}),
        ("dark", {"color_scheme": "dark"}),
        ("chinese", {"locale": "zh-CN", "viewport": PHONE}),
    ],
)
def test_it_is_usable_for_everybody(open_page: Open, name: str, options: dict[str, object]) -> None:
    page = open_page("/settings", **options)
    expect(page.locator("h1")).to_have_text("设置" if name == "chinese" else "Settings")
    expect(page.locator("#filter")).to_be_visible()
    keep_picture(page, f"settings-{name}")
    page.evaluate("() => document.querySelectorAll('details').forEach((section) => { section.open = true; })")
    assert accessibility_faults(page) == []
    assert overflow_pixels(page) == 0
