"""The pictures of the README: ``make pictures`` writes them into docs/pictures, every other run beside what it saw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.browsing import keep_view, new_context
from tests.console.conftest import log_in, set_password
from tests.console.led_device import LedDevice
from tests.system.running_server import RunningServer

VIEW = {"width": 1200, "height": 760}
HOUSE = (("02:c0:ff:ee:00:01", "Kitchen"), ("02:c0:ff:ee:00:02", "Workshop"), ("02:c0:ff:ee:00:03", "Bedroom"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, list[LedDevice]]]:
    """A server with three devices: one talks, one's audio does not come, one is idle."""
    server = RunningServer(tmp_path_factory.mktemp("house"), environment={"XIAOZHI_DIALOGUE__AGENT": "assistant"})
    set_password(server)
    with server, ExitStack() as devices:
        leds = [
            devices.enter_context(LedDevice(server.ota_url, mac, f"11111111-2222-4333-8444-55555555555{number}"))
            for number, (mac, _) in enumerate(HOUSE)
        ]
        for led in leds:
            led.do("connect")
        yield server, leds


@pytest.fixture
def page(browser: Browser, house: tuple[RunningServer, list[LedDevice]]) -> Iterator[Page]:
    context = new_context(browser, f"http://127.0.0.1:{house[0].http_port}", viewport=VIEW)
    log_in(context)
    yield context.new_page()
    context.close()


def test_a_device_in_conversation_and_a_house_of_devices(page: Page, house: tuple[RunningServer, list[LedDevice]]) -> None:
    kitchen, workshop, _ = house[1]
    for mac, name in HOUSE:
        page.goto(f"/devices/{mac}")
        page.locator("input[name=name]").fill(name)
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".toast")).to_be_visible()
    workshop.do("hello", "listen")
    kitchen.do("hello")
    page.goto(f"/devices/{HOUSE[0][0]}")
    for _ in range(2):
        kitchen.do("say")
    expect(page.locator("#talk [data-kind=said]")).to_have_count(2)
    expect(page.locator("figure[data-measure=answer] b")).to_contain_text(" s")
    pictures: list[Path] = [keep_view(page, "device")]
    page.goto("/")
    expect(page.get_by_text("stuck")).to_be_visible(timeout=20_000)
    pictures.append(keep_view(page, "devices"))
    assert all(picture.stat().st_size > 20_000 for picture in pictures)
