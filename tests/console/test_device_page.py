"""The page of one device, in a browser: its way in, its conversation, its tools, what is said to it and decided about it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.console.browsing import PHONE, accessibility_faults, keep_picture, overflow_pixels
from tests.console.conftest import Open
from tests.console.led_device import LedDevice
from tests.console.test_devices_page import ask_ota
from tests.system.running_server import RunningServer

MAC, MUTE = "02:c1:00:00:00:01", "02:c1:00:00:00:02"
PATH = f"/devices/{MAC}"


@pytest.fixture(scope="module")
def device(console_server: RunningServer) -> Iterator[LedDevice]:
    """In a session, in which one question was asked and answered."""
    with LedDevice(console_server.ota_url, MAC) as led:
        led.do("connect", "hello", "say")
        yield led


def leg(page: Page, name: str) -> str | None:
    return page.locator(f'ol.way [data-leg="{name}"]').get_attribute("data-state")


def test_the_way_in_and_the_conversation_are_shown_as_they_happen(console_server: RunningServer, open_page: Open) -> None:
    mac = "02:c1:00:00:00:03"
    with LedDevice(console_server.ota_url, mac) as led:
        led.do("connect")
        page = open_page(f"/devices/{mac}")
        expect(page.locator('ol.way [data-leg="control"]')).to_have_attribute("data-state", "done")
        assert [leg(page, name) for name in ("ota", "hello", "audio_up", "audio_down")] == ["done", *["not_yet"] * 3]
        expect(page.locator("#talk")).to_contain_text("Nothing has been said")
        led.do("hello", "say")
        for name in ("hello", "audio_up", "audio_down"):
            expect(page.locator(f'ol.way [data-leg="{name}"]')).to_have_attribute("data-state", "done")
        expect(page.locator("#talk [data-kind=heard]")).to_contain_text("light")
        expect(page.locator("#talk [data-kind=said]").first).to_contain_text("light")
        expect(page.locator("#talk")).not_to_contain_text("Nothing has been said")
        expect(page.locator("#session [data-figure=packets]")).not_to_have_text("0")
        expect(page.locator("figure[data-measure=answer] b")).to_contain_text(" s")
        expect(page.get_by_role("img", name="Jitter")).to_be_visible()
        page.reload()
        expect(page.locator("#talk [data-kind=said]").first).to_contain_text("light")


def test_where_it_is_stuck_is_said_in_the_language_of_the_page(console_server: RunningServer, open_page: Open) -> None:
    with LedDevice(console_server.ota_url, MUTE, "21111111-2222-4333-8444-555555555555") as led:
        led.do("connect", "hello", "listen")  # and no audio comes
        page = open_page(f"/devices/{MUTE}")
        expect(page.locator('ol.way [data-leg="audio_up"]')).to_have_attribute("data-state", "stuck", timeout=20_000)
        sentence = page.locator('#stuck [data-leg="audio_up"]')
        expect(sentence).to_contain_text(f"UDP {console_server.udp_port}")
        expect(page.locator("#state")).to_have_text("stuck")
        expect(page.locator("#stuck-said")).to_contain_text("UDP")
        keep_picture(page, "device-stuck")
        page.get_by_role("link", name="中文").click()
        expect(page.locator('#stuck [data-leg="audio_up"]')).to_contain_text("上行音频")
        expect(page.locator("#state")).to_have_text("受阻")


def test_a_tool_is_called_from_its_form(device: LedDevice, open_page: Open) -> None:
    page = open_page(PATH)
    page.get_by_role("button", name="Ask for its tools").click()
    tool = page.locator("#tools details", has_text="self.audio_speaker.set_volume")
    tool.locator("summary").click()
    slider = tool.get_by_label("volume")
    assert [slider.get_attribute(name) for name in ("type", "min", "max")] == ["range", "0", "100"]
    slider.fill("30")
    tool.get_by_role("button", name="Call").click()
    expect(tool.locator("output.answer")).to_contain_text("true")
    assert device.do("tools")["volume"] == 30


def test_a_tool_for_people_is_marked_and_asks_first(device: LedDevice, open_page: Open) -> None:
    page = open_page(PATH)
    page.get_by_role("button", name="Ask for its tools").click()
    tool = page.locator("#tools details", has_text="self.reboot")
    expect(tool.locator("summary")).to_contain_text("for people only")
    tool.locator("summary").click()
    tool.get_by_role("button", name="Call").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert device.do("tools")["rebooted"] is False
    tool.get_by_role("button", name="Call").click()
    page.get_by_role("dialog").get_by_role("button", name="Call").click()
    expect(tool.locator("output.answer")).to_contain_text("true")
    assert device.do("tools")["rebooted"] is True


def test_a_device_that_has_just_come_is_said_to_have_and_is_completed_by_itself(
    console_server: RunningServer, open_page: Open
) -> None:
    page, mac = open_page("/settings", locale="zh-CN"), "02:c1:00:00:00:05"
    ask_ota(console_server, mac)
    page.route(f"**/api/v1/devices/{mac}", lambda route: route.fulfill(status=404, json={"error": "not yet"}))
    page.goto(f"/devices/{mac}")  # it is written down within two seconds: mostly this page is earlier
    if page.locator("#settings").count() == 0:
        expect(page.locator("#remembered .notice")).to_contain_text("设备刚刚接入")
    page.unroute(f"**/api/v1/devices/{mac}")
    page.get_by_label("名称").fill("厨房")
    page.get_by_role("button", name="保存").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("厨房")


@pytest.mark.usefixtures("device")
def test_a_schema_that_no_input_can_have_spoils_no_other_tool(open_page: Open) -> None:
    strange = {
        "empty": {"type": "string", "maxLength": -1, "minLength": 0.5},
        "crossed": {"type": "string", "minLength": 9, "maxLength": 1},
        "huge": {"type": "string", "maxLength": 1e300},
        "backwards": {"type": "integer", "minimum": 9, "maximum": 1},
        "nothing": {},
        "any": {"type": ["null", "integer"], "enum": [None, 1]},
    }
    parameters = {"type": "object", "properties": strange, "required": ["backwards"]}
    page = open_page(PATH)
    tools = [{"name": name, "description": "", "parameters": parameters, "for_people": False} for name in ("self.a", "self.b")]
    page.route("**/tools", lambda route: route.fulfill(json={"tools": tools}))
    page.get_by_role("button", name="Ask for its tools").click()
    expect(page.locator("#tools details")).to_have_count(2)
    expect(page.locator("#tools details").first.locator("input, select, textarea")).to_have_count(6)


@pytest.mark.usefixtures("device")
def test_a_choice_that_may_be_left_open_is_left_open(open_page: Open) -> None:
    page, calls = open_page(PATH), []
    parameters = {"type": "object", "properties": {"loud": {"type": "boolean"}}}
    tool = {"name": "self.ring", "description": "", "parameters": parameters, "for_people": False}
    page.route("**/tools", lambda route: route.fulfill(json={"tools": [tool]}))

    def called(route: object) -> None:
        calls.append(route.request.post_data_json["arguments"])  # type: ignore[attr-defined]
        route.fulfill(json={"result": "answered", "message": "", "text": f"{len(calls)} rings"})  # type: ignore[attr-defined]

    page.route("**/tools/call", called)
    page.get_by_role("button", name="Ask for its tools").click()
    page.locator("#tools summary").click()
    page.get_by_role("button", name="Call").click()
    expect(page.locator("#tools output")).to_contain_text("1 rings")
    page.get_by_label("loud").select_option("no")
    page.get_by_role("button", name="Call").click()
    expect(page.locator("#tools output")).to_contain_text("2 rings")
    assert calls == [{}, {"loud": False}]


@pytest.mark.usefixtures("device")
def test_every_kind_of_argument_has_its_input(open_page: Open) -> None:
    schema = {
        "type": "object",
        "properties": {
            "on": {"type": "boolean", "default": True},
            "colour": {"type": "string", "enum": ["red", "green"]},
            "level": {"type": "integer", "minimum": 1, "maximum": 9},
            "share": {"type": "number"},
            "text": {"type": "string"},
            "list": {"type": "array"},
        },
        "required": ["on", "colour", "level", "list"],
    }
    page = open_page(PATH)
    calls: list[object] = []
    tools = {"tools": [{"name": "self.all", "description": "", "parameters": schema, "for_people": False}]}
    page.route("**/tools", lambda route: route.fulfill(json=tools))

    def called(route: object) -> None:
        calls.append(route.request.post_data_json["arguments"])  # type: ignore[attr-defined]
        route.fulfill(json={"result": "answered", "message": "", "text": "done"})  # type: ignore[attr-defined]

    page.route("**/tools/call", called)
    page.get_by_role("button", name="Ask for its tools").click()
    form = page.locator("#tools")
    form.locator("summary").click()
    form.get_by_label("colour").select_option("green")
    form.get_by_label("level").fill("3")
    form.get_by_label("list").fill("{}")
    page.get_by_role("button", name="Call").click()
    expect(page.locator("output.answer:visible")).to_contain_text("no JSON of the kind")
    form.get_by_label("list").fill('["a"]')
    page.get_by_role("button", name="Call").click()
    expect(page.locator("output.answer:visible")).to_contain_text("done")
    assert calls == [{"on": True, "colour": "green", "level": 3, "list": ["a"]}]  # what is optional and empty is left out


def test_it_is_spoken_to_shown_an_alert_and_restarted(device: LedDevice, open_page: Open) -> None:
    page = open_page(PATH)
    page.locator("#speak textarea").fill("Dinner is ready.")
    page.get_by_role("button", name="Speak").click()
    expect(page.locator("#speak output")).to_contain_text("The device speaks the text now.")
    expect(page.locator("#talk [data-kind=said]", has_text="Dinner is ready.")).to_be_visible()
    page.locator("#alert input[name=message]").fill("The <b>door</b> is open.")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#alert output")).to_contain_text("The alert is shown on the device.")
    expect(page.locator("#talk [data-kind=event]", has_text="alert: Message: The <b>door</b> is open.")).to_be_visible()
    page.get_by_role("button", name="Restart …").click()
    page.get_by_role("dialog").get_by_role("button", name="Restart").click()
    expect(page.locator("#rebooted")).to_contain_text("The device was told to restart.")
    keep_picture(page, "device-wide")
    assert accessibility_faults(page) == []


def test_its_settings_are_kept_and_its_history_is_forgotten(device: LedDevice, open_page: Open) -> None:
    page = open_page(PATH)
    page.get_by_label("Name").fill("kitchen")
    page.get_by_label("Who the assistant is here").fill("You are a pirate.")
    page.get_by_label("Voice").fill("en-gb")
    page.get_by_label("Transport that it is offered").select_option("udp")
    page.get_by_label("Activated").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("kitchen")
    page.reload()
    assert page.input_value("[name=prompt]") == "You are a pirate."
    assert page.input_value("[name=voice]") == "en-gb"
    assert page.input_value("[name=transport]") == "udp"
    assert page.is_checked("[name=active]")
    page.get_by_role("button", name="Forget the conversations").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    expect(page.get_by_text("Forgotten.")).to_be_visible()


def test_it_is_usable_on_a_phone_in_chinese_and_in_the_dark(device: LedDevice, open_page: Open) -> None:
    page = open_page(PATH, viewport=PHONE, locale="zh-CN", color_scheme="dark")
    expect(page.locator("#live")).to_have_text("实时")
    page.get_by_role("button", name="查询工具").click()
    expect(page.locator("#tools details").first).to_be_visible()
    assert overflow_pixels(page) == 0
    keep_picture(page, "device-phone-chinese-dark")
    assert accessibility_faults(page) == []


def test_what_is_not_possible_is_said_with_the_reason(console_server: RunningServer, open_page: Open) -> None:
    mac = "02:c1:00:00:00:04"
    with LedDevice(console_server.ota_url, mac) as led:
        led.do("connect")
    page = open_page(f"/devices/{mac}")
    page.locator("#speak textarea").fill("Hello?")
    page.get_by_role("button", name="Speak").click()
    expect(page.locator("#speak output")).to_contain_text("its MQTT connection has ended")
    page.get_by_role("button", name="Ask for its tools").click()
    expect(page.locator("#tools")).to_contain_text("its MQTT connection has ended")
    page.get_by_role("link", name="中文").click()
    page.locator("#alert input[name=message]").fill("你好")
    page.get_by_role("button", name="显示", exact=True).click()
    expect(page.locator("#alert output")).to_contain_text("联系不上设备")


@pytest.mark.parametrize("name", ["02:c1:00:00:00:99", "kitchen"])
def test_of_a_stranger_there_is_a_page_that_says_so(open_page: Open, name: str) -> None:
    page = open_page(f"/devices/{name}")
    expect(page.get_by_role("heading", name="No such device")).to_be_visible()
    assert accessibility_faults(page) == []
