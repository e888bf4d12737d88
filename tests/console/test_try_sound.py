"""What the page does to sound on its way: resampling, the encoder's choice, tools. Its modules are asked within a real page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

RESAMPLE = """async ([hertz, fromRate, toRate]) => {
    const { Resampler } = await import("/console/static/try_resampler.js");
    const resampler = new Resampler(fromRate, toRate);
    const output = [];
    for (let at = 0; at < fromRate; at += 480) {
        const length = Math.min(480, fromRate - at);
        const piece = Float32Array.from({length}, (_, index) => 0.5 * Math.sin((2 * Math.PI * hertz * (at + index)) / fromRate));
        output.push(...resampler.feed(piece));
    }
    const middle = output.slice(toRate / 4, (toRate * 3) / 4);
    const wanted = middle.map((_, index) => 0.5 * Math.sin((2 * Math.PI * hertz * (index + toRate / 4)) / toRate));
    return {
        samples: output.length,
        peak: Math.max(...middle.map(Math.abs)),
        error: Math.max(...middle.map((value, index) => Math.abs(value - wanted[index]))),
    };
}"""
ENCODE = """async () => {
    const { Encoder, chooseEncoding } = await import("/console/static/try_encoder.js");
    const choice = await chooseEncoding();
    const packets = [];
    const encoder = new Encoder(choice, (packet) => packets.push([...packet]));
    encoder.feed(Float32Array.from({length: 16000}, (_, index) => 0.4 * Math.sin(index / 10)));
    await encoder.flush();
    encoder.close();
    return {frameMs: choice.frameMs, packets};
}"""
ANSWER = """async (request) => {
    const { Tools } = await import("/console/static/try_tools.js");
    const device = {volume: 70, brightness: 90, lamp: {on: false, red: 1, green: 2, blue: 3}};
    device.set = (change) => Object.assign(device, change);
    return {response: new Tools(device).answer(request), lamp: device.lamp, volume: device.volume};
}"""


@pytest.mark.parametrize("rates", [(48000, 16000), (44100, 16000), (16000, 48000)])
def test_a_tone_is_the_same_at_another_rate(page: Page, rates: tuple[int, int]) -> None:
    measured = page.evaluate(RESAMPLE, [1000, *rates])
    assert measured["samples"] == pytest.approx(rates[1], abs=rates[1] * 0.01)
    assert measured["error"] < 0.01


def test_what_the_lower_rate_cannot_hold_is_not_folded_back(page: Page) -> None:
    assert page.evaluate(RESAMPLE, [11000, 48000, 16000])["peak"] < 0.005


def test_the_browser_encodes_as_a_device_does(page: Page) -> None:
    encoded = page.evaluate(ENCODE)
    assert encoded["frameMs"] == 60
    assert len(encoded["packets"]) >= 17  # a second is 16 and two thirds; the encoder's own delay may fill one more
    assert {packet[0] for packet in encoded["packets"]} == {0x58}


def answer(page: Page, method: str, **params: Any) -> dict[str, Any]:
    return dict(page.evaluate(ANSWER, {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}))


def test_tools_are_listed_without_those_for_people(page: Page) -> None:
    names = [tool["name"] for tool in answer(page, "tools/list", cursor="")["response"]["result"]["tools"]]
    assert "self.lamp.turn_on" in names
    assert "self.reboot" not in names
    all_names = [tool["name"] for tool in answer(page, "tools/list", withUserTools=True)["response"]["result"]["tools"]]
    assert "self.reboot" in all_names


def test_a_page_of_the_list_begins_at_its_cursor(page: Page) -> None:
    tools = answer(page, "tools/list", cursor="self.lamp.turn_off")["response"]["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["self.lamp.turn_off", "self.lamp.set_color"]


def test_a_tool_moves_the_device(page: Page) -> None:
    done = answer(page, "tools/call", name="self.lamp.set_color", arguments={"red": 10, "green": 20, "blue": 30})
    assert done["lamp"] == {"on": True, "red": 10, "green": 20, "blue": 30}
    assert done["response"]["result"] == {"content": [{"type": "text", "text": "true"}], "isError": False}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"name": "self.oven.turn_on"}, -32601),
        ({"name": "self.audio_speaker.set_volume"}, -32602),
        ({"name": "self.audio_speaker.set_volume", "arguments": {"volume": 101}}, -32602),
        ({"name": "self.audio_speaker.set_volume", "arguments": {"volume": "loud"}}, -32602),
    ],
)
def test_a_wrong_call_is_an_error_and_moves_nothing(page: Page, params: dict[str, Any], code: int) -> None:
    done = answer(page, "tools/call", **params)
    assert done["response"]["error"]["code"] == code
    assert done["volume"] == 70


def test_notifications_are_not_answered(page: Page) -> None:
    assert page.evaluate(ANSWER, {"jsonrpc": "2.0", "method": "notifications/initialized"})["response"] is None
