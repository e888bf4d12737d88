"""A device's tools: found, offered, called."""

from __future__ import annotations

import logging
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.client.tools import Fault, Tools
from app.mcp import client
from app.mcp.answer import Answer
from app.mcp.client import SESSION_OVER, ToolBox, ToolsUnavailable
from app.mcp.discovery import Vision
from app.mcp.known import KnownTools
from tests.client.scripted_server import wait_for
from tests.mcp.device_at_hand import MAC, DeviceAtHand

OWN = ["self.get_device_status", "self.audio_speaker.set_volume", "self.light.turn_on", "self.light.turn_off"]
VOLUME, STATUS, LIGHT = "self_audio_speaker_set_volume", "self_get_device_status", "self_light_turn_on"
SECONDS = 10.0
"""For answers that come."""


def tools(**options: Any) -> Tools:
    return Tools("board", "1", **options)


# Finding them


def test_it_initializes_and_walks_through_every_page() -> None:
    device = DeviceAtHand(tools(page_bytes=300))
    device.begin()
    pages = [payload for payload in device.sent if payload["method"] == "tools/list"]
    assert device.methods == ["initialize", "notifications/initialized"] + ["tools/list"] * len(pages)
    assert [page["params"]["cursor"] for page in pages][:2] == ["", OWN[1]]
    assert device.sent[0]["params"]["protocolVersion"] == "2024-11-05"
    assert "vision" not in device.sent[0]["params"]["capabilities"]
    assert "id" not in device.sent[1]
    assert device.offered == OWN


def test_a_device_with_a_camera_is_told_where_its_pictures_go() -> None:
    device = DeviceAtHand(vision=Vision("http://h/xiaozhi/vision", "secret"))
    device.begin()
    assert device.tools.capabilities == {"vision": {"url": "http://h/xiaozhi/vision", "token": "secret"}}
    assert "secret" not in repr(Vision("u", "secret"))


def test_a_silent_device_is_asked_once_more_and_then_has_no_tools(caplog: pytest.LogCaptureFixture) -> None:
    device = DeviceAtHand(tools(faults={"initialize": Fault(times=0)}))
    device.box.begin()
    for _ in range(3):
        device.pass_time(client.STEP_SECONDS)
    assert device.methods == ["initialize", "initialize"]
    assert device.sent[0]["id"] == device.sent[1]["id"]
    assert device.offered == []
    assert device.box.call(LIGHT, {}, SECONDS).failed
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    again = DeviceAtHand(device.tools, device.known)
    again.box.begin()
    for _ in range(3):
        again.pass_time(client.STEP_SECONDS)
    assert len(caplog.records) == 1


def test_whichever_answer_to_a_repeated_question_comes_first_will_do() -> None:
    device = DeviceAtHand(tools(faults={"initialize": Fault(seconds=1)}))
    device.box.begin()
    device.pass_time(client.STEP_SECONDS)
    device.release()
    wait_for(lambda: device.offered)
    assert device.known.figures["double"] == 1


def test_a_device_that_refuses_to_be_initialized_is_asked_for_its_tools_all_the_same() -> None:
    device = DeviceAtHand(tools(faults={"initialize": Fault(error="Method not implemented")}))
    device.begin()
    assert device.methods == ["initialize", "tools/list"]
    assert device.offered == OWN


def test_a_page_that_the_device_refuses_ends_the_list_at_the_one_before() -> None:
    endless = {"name": "self.long", "description": "x" * 9000, "inputSchema": {"type": "object", "properties": {}}}
    device = DeviceAtHand(tools(more=(endless,)))
    device.begin()
    assert device.offered == OWN


def test_known_tools_are_offered_at_once_in_the_next_session_and_asked_for_anew() -> None:
    first = DeviceAtHand()
    first.begin()
    first.box.close()
    updated = tools(more=({"name": "self.new", "description": "", "inputSchema": {"type": "object", "properties": {}}},))
    second = DeviceAtHand(updated, first.known)
    assert second.offered == OWN
    second.box.begin()
    wait_for(lambda: second.offered == [*OWN, "self.new"])


@pytest.mark.parametrize("fault", [Fault(times=0), Fault(error="out of memory")])
def test_known_tools_stay_when_they_cannot_be_asked_for_anew(fault: Fault) -> None:
    first = DeviceAtHand()
    first.begin()
    second = DeviceAtHand(tools(faults={"tools/list": fault}), first.known)
    second.box.begin()
    wait_for(lambda: "tools/list" in second.methods)
    gevent.sleep(0)
    for _ in range(2):
        second.pass_time(client.STEP_SECONDS)
    assert second.offered == OWN
    assert DeviceAtHand(known=first.known).offered == OWN


def test_a_new_device_that_falls_silent_in_the_midst_of_its_list_has_what_it_listed() -> None:
    device = DeviceAtHand(tools(page_bytes=300, faults={"tools/list": Fault(seconds=1)}))
    device.box.begin()
    wait_for(lambda: device.held)
    device.tools.faults["tools/list"] = Fault(times=0)
    device.release()
    assert device.methods[-1] == "tools/list"
    for _ in range(2):
        device.pass_time(client.STEP_SECONDS)
    assert device.offered == OWN[:1]


# Calling them


@pytest.fixture
def device() -> DeviceAtHand:
    made = DeviceAtHand()
    made.begin()
    return made


def test_a_tool_is_called_by_its_safe_name_or_its_own(device: DeviceAtHand) -> None:
    assert device.box.call(VOLUME, {"volume": 30}, SECONDS) == Answer("true")
    assert device.tools.volume == 30
    assert device.box.call("self.audio_speaker.set_volume", {"volume": 40.0}, SECONDS) == Answer("true")
    assert device.tools.volume == 40


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"volume": 150}, "volume has to be an integer from 0 to 100; it is 150"),
        ({"volume": "loud"}, "volume has to be an integer from 0 to 100"),
        ({}, "missing: volume (an integer from 0 to 100)"),
        ("50", "the arguments have to be an object"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_they_are_sent(device: DeviceAtHand, arguments: Any, sentence: str) -> None:
    answer = device.box.call(VOLUME, arguments, SECONDS)
    assert answer.failed
    assert sentence in answer.text
    assert "tools/call" not in device.methods


def test_a_tool_that_does_not_exist_is_refused_with_those_that_do(device: DeviceAtHand) -> None:
    answer = device.box.call("self_fly", {}, SECONDS)
    assert answer.failed
    assert VOLUME in answer.text
    assert "self_reboot" not in answer.text


def test_an_error_and_a_failed_tool_are_failed_answers_in_the_devices_words(device: DeviceAtHand) -> None:
    device.tools.faults = {OWN[2]: Fault(error="Missing valid argument"), OWN[3]: Fault(fails="the bulb is broken")}
    assert device.box.call(OWN[2], {}, SECONDS) == Answer("The device refused: Missing valid argument", failed=True)
    assert device.box.call(OWN[3], {}, SECONDS) == Answer("The tool failed: the bulb is broken", failed=True)
    assert device.known.figures == {"calls": 2, "failed": 2}


def test_no_answer_in_time_is_a_failed_one_and_a_late_one_is_dropped(device: DeviceAtHand) -> None:
    device.tools.faults = {OWN[0]: Fault(seconds=1)}
    answer = device.box.call(STATUS, {}, 0.01)
    assert answer.failed
    assert "did not answer within 0.01 s" in answer.text
    device.release()
    assert (device.known.figures["unanswered"], device.known.figures["late"]) == (1, 1)


def test_the_second_of_two_answers_is_dropped(device: DeviceAtHand) -> None:
    device.tools.faults = {OWN[0]: Fault(times=2)}
    assert not device.box.call(STATUS, {}, SECONDS).failed
    wait_for(lambda: device.known.figures["double"] == 1)


def test_calls_at_the_same_time_get_each_their_own_answer(device: DeviceAtHand) -> None:
    device.tools.faults = {OWN[0]: Fault(seconds=1), OWN[2]: Fault(seconds=1)}
    status, light = (gevent.spawn(device.box.call, name, {}, SECONDS) for name in (STATUS, LIGHT))
    wait_for(lambda: len(device.held) == 2)
    device.held.reverse()
    device.release()
    assert "volume" in status.get(timeout=SECONDS).text
    assert light.get(timeout=SECONDS) == Answer("true")


def test_the_end_of_the_session_fails_whoever_waits(device: DeviceAtHand) -> None:
    device.tools.faults = {OWN[0]: Fault(times=0)}
    waiting = gevent.spawn(device.box.call, STATUS, {}, SECONDS)
    wait_for(lambda: "tools/call" in device.methods)
    device.box.close()
    device.box.close()
    assert waiting.get(timeout=SECONDS) == Answer(SESSION_OVER, failed=True)
    assert device.box.call(STATUS, {}, SECONDS).failed
    assert device.methods.count("tools/call") == 1


def test_a_killed_caller_leaves_nothing_behind(device: DeviceAtHand) -> None:
    device.tools.faults = {OWN[0]: Fault(seconds=1)}
    caller = gevent.spawn(device.box.call, STATUS, {}, SECONDS)
    wait_for(lambda: device.held)
    caller.kill()
    device.release()
    assert device.known.figures["late"] == 1


def test_a_device_gets_only_so_many_requests_at_a_time(device: DeviceAtHand) -> None:
    device.tools.faults = {OWN[0]: Fault(seconds=1)}
    waiting = [gevent.spawn(device.box.call, STATUS, {}, SECONDS) for _ in range(client.MAX_WAITING)]
    wait_for(lambda: len(device.held) == client.MAX_WAITING)
    refused = device.box.call(LIGHT, {}, SECONDS)
    assert refused.failed
    assert "try again" in refused.text
    device.release()
    assert not any(caller.get(timeout=SECONDS).failed for caller in waiting)


# What is for people


def test_tools_for_people_are_listed_for_them_alone(device: DeviceAtHand) -> None:
    assert [tool.name for tool in device.box.list_all(SECONDS)] == [*OWN, "self.reboot"]
    assert device.offered == OWN
    assert device.box.call("self.reboot", {}, SECONDS).failed
    assert not device.tools.rebooted
    assert device.box.call_any("self.reboot", {}, SECONDS) == Answer("true")
    assert device.tools.rebooted


def test_people_may_call_what_was_never_listed() -> None:
    device = DeviceAtHand()
    assert device.box.call_any("self.reboot", {}, SECONDS) == Answer("true")
    assert device.box.call_any("self.fly", {}, SECONDS) == Answer("The device refused: Unknown tool: self.fly", failed=True)
    assert device.box.call_any("", {}, SECONDS).failed


def test_a_list_that_does_not_come_is_said() -> None:
    device = DeviceAtHand(tools(faults={"tools/list": Fault(times=0)}))
    with pytest.raises(ToolsUnavailable, match="did not list"):
        device.box.list_all(0.01)
    waiting = gevent.spawn(device.box.list_all, SECONDS)
    wait_for(lambda: len(device.sent) == 2)
    device.box.close()
    with pytest.raises(ToolsUnavailable, match="session"):
        waiting.get(timeout=SECONDS)


# What devices send


def test_a_request_of_the_device_is_refused_and_a_notification_is_not_answered(device: DeviceAtHand) -> None:
    del device.sent[:]
    device.box.receive({"jsonrpc": "2.0", "method": "notifications/state_changed", "params": {}})
    device.box.receive({"jsonrpc": "2.0", "id": "a", "method": "sampling/createMessage"})
    assert device.sent == [
        {"jsonrpc": "2.0", "id": "a", "error": {"code": -32601, "message": "this server offers no methods"}},
    ]


def test_an_answer_to_a_session_before_fits_no_request_of_this_one() -> None:
    known = KnownTools()
    first = DeviceAtHand(tools(faults={OWN[0]: Fault(seconds=1)}), known)
    first.begin()
    first.box.call(STATUS, {}, 0)
    second = DeviceAtHand(known=known)
    second.begin()
    second.box.receive(first.held[0])
    assert known.figures["unknown"] == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "result", "error", "params"]), JSON))
def test_whatever_a_device_sends_is_taken_without_a_fault(payload: dict[str, Any]) -> None:
    device = DeviceAtHand(tools(faults={"initialize": Fault(times=0)}))
    device.box.begin()
    device.box.receive(payload)
    device.box.receive({"id": device.sent[0]["id"], "result": payload})
    device.box.receive({"id": device.sent[-1].get("id", 0), "result": payload | {"tools": [payload, {"name": "x"} | payload]}})
    assert device.known.get(MAC) == tuple(device.box._tools)


# Round trips


def timed(step_seconds: float = 5.0) -> tuple[DeviceAtHand, list[float]]:
    """A device that answers when a test brings it, and the round trips that were measured."""
    device, took = DeviceAtHand(), []
    device.box = ToolBox(
        MAC, device.sent.append, device.timers, device.known, step_seconds=step_seconds, on_round_trip=took.append
    )
    return device, took


def test_a_request_that_is_answered_at_once_measures_the_way() -> None:
    device, took = timed()
    device.box.begin()
    device.pass_time(0.2)
    device.box.receive({"jsonrpc": "2.0", "id": device.sent[0]["id"], "result": {}})
    assert took == [pytest.approx(0.2)]


def test_a_repeated_request_measures_nothing() -> None:
    device, took = timed(step_seconds=1.0)
    device.box.begin()
    device.pass_time(1.0)
    assert device.methods == ["initialize", "initialize"]
    device.pass_time(0.2)
    device.box.receive({"jsonrpc": "2.0", "id": device.sent[0]["id"], "result": {}})
    assert took == []


def test_a_tools_own_time_is_no_round_trip() -> None:
    device, took = timed()
    call = gevent.spawn(device.box.call_any, "self.camera.take_photo", {}, 10.0)
    wait_for(lambda: device.sent)
    device.pass_time(3.0)
    device.box.receive({"jsonrpc": "2.0", "id": device.sent[0]["id"], "result": {"content": []}})
    assert not call.get(timeout=20).failed
    assert took == []
