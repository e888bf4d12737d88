"""The page Try it in a real browser: its microphone is Chromium's fake one, everything else is real, the assistant included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from tests.console.browsing import PHONE, Visit, accessibility_faults, keep_picture, launch, new_context, overflow_pixels
from tests.console.conftest import Open
from tests.console.spoken import spoken

ANSWER_MS = 60_000
"""How long an answer may take on a busy machine."""
LOUD, QUIET_SECONDS = 30, 0.5
"""Of the page's level, 0 to 100; and so much silence behind the words."""


@pytest.fixture(scope="module")
def talking_browser(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Whoever opens its microphone hears, after a second, once: please turn on the light."""
    path = spoken(tmp_path_factory.mktemp("microphone") / "lamp.wav", "please turn on the light", before=1.0, behind=1.0)
    chromium = launch(
        playwright,
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={path}%noloop",
    )
    yield chromium
    chromium.close()


@pytest.fixture
def talking_page(talking_browser: Browser, base_url: str, logged_in: Any) -> Iterator[Page]:
    context = new_context(talking_browser, base_url, storage_state=logged_in)
    visit = Visit(context)
    yield opened(visit.page)
    context.close()
    assert visit.complaints == []


def opened(page: Page, path: str = "/try") -> Page:
    page.goto(path)
    expect(page.locator("#try")).to_have_attribute("data-ready", "true")
    return page


def until(page: Page, state: str) -> None:
    expect(page.locator("#try")).to_have_attribute("data-state", state, timeout=ANSWER_MS)


def heard_samples(page: Page) -> int:
    return int(page.get_attribute("#try", "data-heard-samples") or 0)


def is_lamp_on(page: Page) -> bool:
    return page.get_attribute("#try-lamp", "data-on") == "true"


def test_hands_free_what_is_said_into_the_microphone_lights_the_lamp(talking_page: Page) -> None:
    page = talking_page
    page.click("#try-talk")
    until(page, "speaking")
    expect(page.locator(".try-bubble[data-kind=heard]")).to_contain_text("turn on the light")
    expect(page.locator(".try-bubble[data-kind=said]")).to_contain_text("on")
    until(page, "listening")  # as a device does: the word goes back to the person
    assert is_lamp_on(page)
    assert heard_samples(page) > 1000, "the reply was not decoded, or is silence"
    parts = page.locator(".try-parts li").all_inner_texts()
    assert [part.rpartition(" ")[0].rpartition(" ")[0] for part in parts if "cut off" not in part] == [
        "speech",
        "silence and recognition",
        "first sentence",
        "first audio",
        "play-out",
    ]
    assert page.locator(".try-bar [data-part]").count() == 5
    page.click("#try-talk")
    until(page, "closed")


def test_hold_to_talk_ends_the_turn_with_the_button(talking_page: Page) -> None:
    page = talking_page
    page.locator("[name=mode][value=manual]").check(force=True)
    page.hover("#try-talk")
    page.mouse.down()
    until(page, "listening")
    assert "Let go" in page.inner_text("#try-talk")
    wait_until_it_was_said(page)
    page.mouse.up()
    until(page, "thinking")
    until(page, "speaking")
    until(page, "idle")  # it waits for its user: nobody listens
    assert page.inner_text(
        ".try-bubble[data-kind=heard] span:last-child"
    )  # what it was, with silence before it, is the recognizer's
    assert heard_samples(page) > 1000
    assert page.locator(".try-parts li").nth(1).inner_text().startswith("recognition")


def wait_until_it_was_said(page: Page) -> None:
    """The page itself looks: how often a busy machine lets a test look is not enough."""
    page.evaluate(
        """([loud, quiet]) => new Promise((done, fail) => {
            const level = document.getElementById('try-level'), until = performance.now() + 60_000;
            let loudAt = 0;
            const looking = setInterval(() => {
                const now = performance.now();
                if (level.value >= loud) loudAt = now;
                const isOver = loudAt && now - loudAt > quiet;
                if (!isOver && now < until) return;
                clearInterval(looking);
                if (isOver) done(); else fail(new Error('nothing was said into the microphone'));
            }, 20);
        })""",
        [LOUD, QUIET_SECONDS * 1000],
    )


def test_one_click_gives_a_conversation_without_a_microphone(open_page: Open) -> None:
    page = opened(open_page("/try"))
    page.get_by_role("button", name="What time is it?").click()
    until(page, "speaking")
    assert "what time is it" in page.inner_text(".try-bubble[data-kind=heard]")
    until(page, "idle")
    assert heard_samples(page) > 1000
    expect(page.locator("#try-trouble")).to_be_hidden()
    page.locator("summary").click()
    journal = page.inner_text("#try-journal")
    assert '"type":"hello"' in journal
    assert "Opus packets" in journal
    page.locator("summary").click()
    keep_picture(page, "try-wide")
    assert accessibility_faults(page) == []
    page.set_viewport_size(PHONE)
    keep_picture(page, "try-phone")
    assert overflow_pixels(page) <= 0
    page.emulate_media(color_scheme="dark")
    keep_picture(page, "try-dark")
    assert accessibility_faults(page) == []


def test_an_audio_file_is_said_and_answered(open_page: Open, tmp_path: Path) -> None:
    page = opened(open_page("/try"))
    page.locator("[name=mode][value=manual]").check(force=True)
    page.set_input_files("#try-file", spoken(tmp_path / "volume.wav", "set the volume to fifty", before=0.3, behind=0.2))
    until(page, "speaking")
    until(page, "idle")
    expect(page.locator("#try-volume")).to_have_text("50 %")


def test_a_file_without_sound_is_refused_with_a_sentence(open_page: Open, tmp_path: Path) -> None:
    page = opened(open_page("/try"))
    path = tmp_path / "notes.wav"
    path.write_text("no sound")
    page.set_input_files("#try-file", path)
    expect(page.locator("#try-trouble")).to_contain_text("no sound that your browser can read")


def test_typed_text_is_answered_in_the_language_of_the_page(open_page: Open) -> None:
    page = opened(open_page("/try?lang=zh"))
    page.fill("#try-words", "打开灯")
    page.keyboard.press("Enter")
    until(page, "speaking")
    until(page, "idle")
    assert page.inner_text(".try-bubble[data-kind=heard] span:last-child") == "打开灯"
    assert is_lamp_on(page)
    assert page.inner_text("#try-lamp-text") == "灯：开"
    keep_picture(page, "try-chinese")


def test_a_reply_is_interrupted_by_its_button(open_page: Open) -> None:
    page = opened(open_page("/try"))
    page.fill("#try-words", "what can you do")
    page.keyboard.press("Enter")
    until(page, "speaking")
    page.click("#try-interrupt")
    until(page, "idle")
    page.click("#try-hang-up")
    until(page, "closed")


def test_what_the_operator_has_the_device_say_is_heard_here(open_page: Open) -> None:
    page = opened(open_page("/try"))
    page.fill("#try-words", "turn on the light")
    page.keyboard.press("Enter")
    until(page, "speaking")
    until(page, "idle")
    device_id = page.inner_text("#try-device")
    page.evaluate(
        """async (path) => (await import("/console/static/console.js")).api("POST", path, {text: "Dinner is ready."})""",
        f"/api/v1/devices/{device_id}/speak",
    )
    expect(page.locator(".try-bubble[data-kind=said]").last).to_contain_text("Dinner is ready.", timeout=ANSWER_MS)
    remembered = page.evaluate("async (path) => (await fetch(path)).json()", f"/api/v1/devices/{device_id}")
    assert (remembered["board"], remembered["name"], remembered["language"]) == ("browser", "Browser", "en-US")
