"""The page of all devices, in a browser: the first device, activation by code, who is here, and the list."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.browsing import PHONE, WIDE, Visit, accessibility_faults, keep_picture, new_context, overflow_pixels
from tests.console.conftest import Open, log_in, set_password
from tests.console.led_device import LedDevice
from tests.system.running_server import RunningServer
from tests.waiting import eventually

UUID = "7b94d69a-9808-4c59-9c9b-704333b38aff"
TALKING = "02:c0:00:00:00:01"


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that has never seen a device, and lets none talk that is not activated."""
    server = RunningServer(tmp_path_factory.mktemp("gate"), environment={"XIAOZHI_AUTH__ENABLE": "true"})
    set_password(server)
    with server:
        yield server


@pytest.fixture(scope="module")
def gate_visit(gate: RunningServer, browser: Browser) -> Iterator[Visit]:
    """The operator at the gate."""
    context = new_context(browser, f"http://127.0.0.1:{gate.http_port}")
    log_in(context)
    visit = Visit(context)
    yield visit
    context.close()
    assert visit.complaints == []


def ask_ota(server: RunningServer, mac: str, path: str = "", board: str = "bread-compact-wifi") -> tuple[int, Any]:
    """A device's request: status and answer."""
    document = {"version": 2, "application": {"version": "1.8.2"}, "board": {"type": board}, "chip_model_name": "esp32s3"}
    request = urllib.request.Request(
        server.ota_url + path,
        data=json.dumps(document).encode(),
        headers={"Device-Id": mac, "Client-Id": UUID, "Content-Type": "application/json", "Activation-Version": "1"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            body = answer.read()
            return answer.status, json.loads(body) if body else None
    except urllib.error.HTTPError as refusal:
        return refusal.code, None


def row(page: Page, device_id: str) -> Any:
    return page.locator(f'tr[data-device="{device_id}"]')


def test_the_first_device_gets_in_by_the_code_that_it_shows(gate: RunningServer, gate_visit: Visit) -> None:
    page, mac = gate_visit.page, "02:c0:00:00:00:77"
    page.goto("/")
    expect(page.get_by_role("heading", name="No device has asked here yet")).to_be_visible()
    assert page.input_value("#ota-url") == gate.ota_url
    assert page.get_by_role("link", name="Try it in this browser").get_attribute("href") == "/try"
    keep_picture(page, "devices-empty")

    _, answer = ask_ota(gate, mac)
    assert "mqtt" not in answer
    expect(row(page, mac).locator("[data-part=state]")).to_have_text("not activated")  # without a hand's turn

    page.get_by_label("Code of six digits").fill("12345")
    page.get_by_role("button", name="Activate").click()
    expect(page.locator("#activated")).to_contain_text("six digits")
    wrong = f"{(int(answer['activation']['code']) + 1) % 1_000_000:06d}"
    page.get_by_label("Code of six digits").fill(wrong)
    page.get_by_role("button", name="Activate").click()
    expect(page.locator("#activated")).to_contain_text("No device waits with this code")
    assert ask_ota(gate, mac, "activate")[0] == 202
    keep_picture(page, "devices-activation")

    code = str(answer["activation"]["code"])
    page.get_by_label("Code of six digits").fill(f"{code[:3]} {code[3:]}")
    page.get_by_role("button", name="Activate").click()
    expect(page.locator("#activated")).to_have_text(f"{mac} is activated.")
    assert ask_ota(gate, mac, "activate")[0] == 200
    expect(row(page, mac).locator("[data-part=state]")).not_to_have_text("not activated")
    assert accessibility_faults(page) == []


def test_a_long_list_has_pages_a_search_and_filters(gate: RunningServer, gate_visit: Visit) -> None:
    page = gate_visit.page
    for number in range(45):
        ask_ota(gate, f"02:c0:00:00:01:{number:02x}", board="xmini-c3" if number == 7 else "bread-compact-wifi")
    eventually(lambda: page.request.get("/api/v1/devices/02:c0:00:00:01:2c").ok, what="the last of them is remembered")
    page.goto("/?show=session")  # where no device that comes makes it load anew
    expect(page.locator("[data-figure=remembered]")).to_have_text(re.compile("4[56]"))
    page.goto("/")
    assert page.locator("tr[data-device]").count() == 40
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="Previous")).to_be_visible()
    assert page.locator("tr[data-device]").count() in (5, 6)

    page.get_by_label("Search").fill("XMINI")
    page.get_by_role("button", name="Search").click()
    expect(row(page, "02:c0:00:00:01:07")).to_be_visible()
    assert page.locator("tr[data-device]").count() == 1
    page.get_by_label("Search").fill("02-c0-00-00-01-08")
    page.get_by_role("button", name="Search").click()
    expect(row(page, "02:c0:00:00:01:08")).to_be_visible()
    page.get_by_label("Search").fill("<b>nobody</b>")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No device is like that")).to_be_visible()
    page.goto("/?show=inactive")
    expect(row(page, "02:c0:00:00:01:08")).to_be_visible()
    page.goto("/?show=session")
    expect(page.get_by_text("Nobody talks with a device right now.")).to_be_visible()


def test_a_page_behind_the_last_one_leads_to_the_last_one(gate_visit: Visit) -> None:
    page = gate_visit.page
    page.goto("/?page=999&show=inactive&lang=en")
    assert page.url.endswith("/?show=inactive&page=2")
    assert page.locator("tr[data-device]").count() > 0
    page.goto("/?page=7&q=nobody")
    assert page.url.endswith("/?q=nobody")


def test_a_code_that_is_being_typed_is_not_lost_to_a_new_device(gate: RunningServer, gate_visit: Visit) -> None:
    page = gate_visit.page
    page.goto("/")
    remembered = int(page.locator("[data-figure=remembered]").inner_text())
    page.get_by_label("Code of six digits").fill("123")
    ask_ota(gate, "02:c0:00:00:02:00")
    expect(page.get_by_text("There are new devices")).to_be_visible()
    expect(page.locator("[data-figure=remembered]")).to_have_text(str(remembered + 1))
    assert page.input_value("#code") == "123"


def test_any_name_fits_into_any_window(gate: RunningServer, gate_visit: Visit) -> None:
    page = gate_visit.page
    for number, name in enumerate(("W" * 64, "مطبخ الطابق الثاني 3", "👩‍👩‍👧‍👦 <b>客厅</b>")):
        page.goto(f"/devices/02:c0:00:00:01:0{number}")
        page.locator("input[name=name]").fill(name)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    for width in (320, 390, 720, 800, 980, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for path in ("/?q=02:c0:00:00:01:0", "/devices/02:c0:00:00:01:00"):
            page.goto(path)
            expect(page.get_by_text("W" * 64)).to_be_visible()
            assert overflow_pixels(page) == 0, (width, path)
    page.set_viewport_size(WIDE)


def test_what_is_not_ready_is_named_in_the_language_of_the_page(open_page: Open) -> None:
    page = open_page("/settings", locale="zh-CN")
    parts = [{"name": "broker", "ready": False, "reason": "Mosquitto is down"}, {"name": "udp", "ready": True, "reason": ""}]
    figures = {"in_session": 0, "connected": None, "remembered": 0, "waiting": 0, "parts": parts}
    stream = f"retry: 60000\n\nevent: figures\ndata: {json.dumps(figures)}\n\n"
    page.route("**/api/v1/events?*", lambda route: route.fulfill(content_type="text/event-stream", body=stream))
    page.goto("/")
    expect(page.locator("#parts")).to_contain_text("未就绪：内置 MQTT 服务器。 设备目前无法通过 MQTT 连接。")
    expect(page.locator("#parts small")).to_have_text("broker: Mosquitto is down")


def test_who_is_here_is_shown_as_it_changes_with_its_vitals(console_server: RunningServer, open_page: Open) -> None:
    with LedDevice(console_server.ota_url, TALKING) as device:
        device.do("connect")
        page = open_page("/")
        state = row(page, TALKING).locator("[data-part=state]").first
        expect(state).to_have_text("connected")
        expect(row(page, TALKING).locator("[data-part=transport]").first).to_have_text("MQTT")
        device.do("hello", "say")
        expect(state).to_have_text("in session")
        expect(row(page, TALKING).locator("[data-part=transport]").first).to_have_text("MQTT + UDP")
        expect(row(page, TALKING).locator("[data-part=address]").first).to_contain_text("127.0.0.1")
        expect(row(page, TALKING).locator("[data-measure=loss] b").first).to_have_text("0 %")
        expect(row(page, TALKING).locator("[data-measure=jitter] svg > *").first).to_be_attached()
        assert page.locator("#live").text_content() == "live"
        keep_picture(page, "devices-wide")
        assert accessibility_faults(page) == []

        page.goto("/?show=session")
        expect(row(page, TALKING)).to_be_visible()
        page.goto("/?show=connected")
        expect(row(page, TALKING)).to_be_visible()

        phone = open_page("/", viewport=PHONE)
        expect(phone.locator("#live")).to_have_text("live")
        expect(row(phone, TALKING).locator("[data-measure=loss] b").first).to_have_text("0 %")
        assert overflow_pixels(phone) == 0
        keep_picture(phone, "devices-phone")

        dark = open_page("/", locale="zh-CN", color_scheme="dark")
        expect(dark.get_by_role("heading", name="设备", exact=True)).to_be_visible()
        expect(row(dark, TALKING).locator("[data-measure=loss] b").first).to_have_text("0 %")
        expect(row(dark, TALKING).locator("[data-part=state]").first).to_have_text("会话中")
        keep_picture(dark, "devices-chinese-dark")
        assert accessibility_faults(dark) == []

        device.do("goodbye")
        expect(state).to_have_text("connected")
    page = open_page("/")
    expect(row(page, TALKING).locator("[data-part=state]").first).to_have_text("away")


def test_the_language_is_switched_and_remembered(open_page: Open) -> None:
    page = open_page("/")
    page.get_by_role("link", name="中文").click()
    expect(page.get_by_role("heading", name="设备", exact=True)).to_be_visible()
    assert "lang" not in page.url  # a link that is copied from here has nobody's language
    page.goto("/?show=connected")
    expect(page.get_by_role("heading", name="设备", exact=True)).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
