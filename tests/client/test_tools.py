"""The tools of the software device, as an MCP client sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.client.camera import Camera
from app.client.identity import Identity
from app.client.tools import TOOLS, Fault, Tools


def ask(tools: Tools, method: str, **params: Any) -> Any:
    """The result, or the error's message."""
    response = tools.answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    assert response is not None
    return response.get("result") or response["error"]["message"]


def call(tools: Tools, name: str, **arguments: Any) -> Any:
    return ask(tools, "tools/call", name=name, arguments=arguments)


@pytest.mark.parametrize("with_user_tools", [False, True])
def test_its_pages_hold_every_tool_once_and_no_more_bytes_than_they_may(with_user_tools: bool) -> None:
    tools = Tools("b", "1", page_bytes=450)
    names: list[str] = []
    cursor, pages = "", 0
    while cursor or not pages:
        page = ask(tools, "tools/list", cursor=cursor, withUserTools=with_user_tools)
        assert sum(len(json.dumps(tool)) for tool in page["tools"]) <= 450
        names += [tool["name"] for tool in page["tools"]]
        cursor, pages = page.get("nextCursor", ""), pages + 1
    assert pages > 1
    assert names == [tool["name"] for tool in TOOLS if with_user_tools or tool["name"] != "self.reboot"]


def test_a_tool_that_fits_into_no_page_is_an_error() -> None:
    assert "payload size limit" in ask(Tools("b", "1", page_bytes=10), "tools/list", cursor="")


def test_what_was_called_is_recorded_and_done() -> None:
    tools = Tools("b", "1")
    call(tools, "self.light.turn_on")
    call(tools, "self.audio_speaker.set_volume", volume=20)
    assert [(one.name, dict(one.arguments)) for one in tools.calls] == [
        ("self.light.turn_on", {}),
        ("self.audio_speaker.set_volume", {"volume": 20}),
    ]
    status = json.loads(call(tools, "self.get_device_status")["content"][0]["text"])
    assert status == {"audio_speaker": {"volume": 20}, "light": {"power": True}}


def test_a_fault_changes_how_a_tool_or_a_method_answers() -> None:
    faults = {"self.light.turn_on": Fault(fails="no bulb"), "initialize": Fault(error="busy"), "self.reboot": Fault(2.0, times=2)}
    tools = Tools("b", "1", faults=faults)
    assert call(tools, "self.light.turn_on") == {"content": [{"type": "text", "text": "no bulb"}], "isError": True}
    assert not tools.light
    assert ask(tools, "initialize") == "busy"
    answers = tools.answers({"id": 1, "method": "tools/call", "params": {"name": "self.reboot"}})
    assert [seconds for seconds, _ in answers] == [2.0, 2.0]
    assert tools.answers({"method": "notifications/initialized"}) == []


def test_a_device_with_a_camera_learns_where_its_pictures_go() -> None:
    camera = Camera(Identity.fresh())
    tools = Tools("b", "1", camera=camera)
    assert ask(tools, "tools/list")["tools"][-1]["name"] == "self.camera.take_photo"
    assert call(tools, "self.camera.take_photo", question="what?") == "Image explain URL or token is not set"
    ask(tools, "initialize", capabilities={"vision": {"url": "http://127.0.0.1:1/xiaozhi/vision", "token": "t"}})
    assert (camera.url, camera.token) == ("http://127.0.0.1:1/xiaozhi/vision", "t")
    assert call(tools, "self.camera.take_photo", question="what?") == "Failed to connect to explain URL"
    assert "self.camera.take_photo" not in str(ask(Tools("b", "1"), "tools/list"))
