"""What an operator says to a device: in its session, over MQTT, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.protocol.messages import Alert, Custom, Features, System
from app.session.reach import BrokerAway, Outcome, Result, Unreachable
from app.session.saying import Saying
from app.session.session import NotPossible
from app.session.state import Event
from tests.session.reachable_house import MAC, TOPIC, ReachableHouse, SilentTools

NOTICE = Alert(status="Notice", message="The washing machine is done.", emotion="happy")


@pytest.fixture
def house(tmp_path: Path) -> ReachableHouse:
    return ReachableHouse(tmp_path)


@pytest.fixture
def connected(house: ReachableHouse) -> ReachableHouse:
    house.status()
    house.lifecycle("online")
    return house


# In a session


def test_a_text_is_spoken_in_the_session(house: ReachableHouse) -> None:
    session = house.hello()
    session.receive_audio(1, b"\x58")
    assert house.reach.speak(MAC, "Dinner is ready.") == Outcome(Result.SPOKEN, "The device speaks the text now.", Saying.SPOKEN)
    assert house.conversations[0].spoken == ["Dinner is ready."]
    assert house.sent == []


def test_a_text_that_has_to_wait_for_its_turn_is_queued(house: ReachableHouse) -> None:
    house.hello()
    house.conversations[0].speaks = "queued"
    assert house.reach.speak(MAC, "Dinner").result is Result.QUEUED


def test_before_any_audio_has_come_it_is_said_that_the_text_may_not_be_heard(house: ReachableHouse) -> None:
    house.hello()
    outcome = house.reach.speak(MAC, "Dinner")
    assert "may not hear it" in outcome.message
    assert outcome.code is Saying.SPOKEN_UNHEARD


def test_a_conversation_that_cannot_says_why(house: ReachableHouse) -> None:
    house.hello()
    house.conversations[0].speaks = None
    with pytest.raises(NotPossible, match="wait already"):
        house.reach.speak(MAC, "Dinner")


def test_messages_go_by_the_session_and_name_it(house: ReachableHouse) -> None:
    session = house.hello()
    assert house.reach.alert(MAC, NOTICE).result is Result.SHOWN
    assert house.reach.reboot(MAC).result is Result.SENT
    assert house.reach.custom(MAC, {"door": "open"}).result is Result.SENT
    assert [message["type"] for message in house.sent] == ["alert", "system", "custom"]
    assert {message["session_id"] for message in house.sent} == {session.id}


def test_a_device_in_a_session_over_websocket_gets_everything_by_it(connected: ReachableHouse) -> None:
    channel = connected.websocket_session()
    connected.trouble = "the MQTT broker at unix cannot be reached"
    connected.reach.speak(MAC, "Dinner")
    connected.reach.alert(MAC, NOTICE)
    connected.reach.reboot(MAC)
    connected.reach.custom(MAC, {"door": "open"})
    assert [type(message) for message in channel.messages] == [Alert, System, Custom]
    assert connected.conversations[0].spoken == ["Dinner"]
    assert connected.sent == []


def test_a_session_that_ends_meanwhile_is_said(house: ReachableHouse) -> None:
    session = house.hello()
    session.end(Event.GOODBYE)
    with pytest.raises(NotPossible, match="just ended"):
        session.speak("Dinner")
    with pytest.raises(NotPossible, match="just ended"):
        session.tell(NOTICE)
    assert house.sent == []


# Only connected over MQTT


def test_without_a_session_a_text_is_shown_and_it_is_said_that_it_is_not_spoken(connected: ReachableHouse) -> None:
    outcome = connected.reach.speak(MAC, "Dinner is ready.")
    assert outcome.result is Result.SHOWN
    assert "not spoken" in outcome.message
    shown = {"type": "alert", "status": "Message", "message": "Dinner is ready.", "emotion": "neutral"}
    assert connected.mqtt.published == [(TOPIC, shown)]


def test_without_a_session_firmware_shows_alerts_reboots_and_takes_custom_messages(connected: ReachableHouse) -> None:
    assert connected.reach.alert(MAC, NOTICE).result is Result.SHOWN
    assert connected.reach.reboot(MAC).result is Result.SENT
    assert connected.reach.custom(MAC, {"door": "open"}).result is Result.SENT
    assert connected.sent == [
        {"type": "alert", "status": "Notice", "message": "The washing machine is done.", "emotion": "happy"},
        {"type": "system", "command": "reboot"},
        {"type": "custom", "payload": {"door": "open"}},
    ]


def test_where_nobody_tells_who_is_connected_it_is_said_that_the_arrival_is_not_known(house: ReachableHouse) -> None:
    house.publish({"type": "abort"})
    house.mqtt.published.clear()
    for outcome in (
        house.reach.speak(MAC, "Dinner"),
        house.reach.alert(MAC, NOTICE),
        house.reach.reboot(MAC),
        house.reach.custom(MAC, {}),
    ):
        assert outcome.result is Result.SENT
        assert "whether it arrived is not known" in outcome.message
    assert len(house.sent) == 4


# Not at all


def test_a_device_that_has_gone_is_not_reached_and_it_is_said_since_when(connected: ReachableHouse) -> None:
    connected.lifecycle("offline")
    with pytest.raises(Unreachable, match="since 2027-01-15 08:00:00 UTC") as refused:
        connected.reach.speak(MAC, "Dinner")
    assert refused.value.heard_of
    assert connected.sent == []


def test_of_a_device_that_was_never_heard_of_nothing_is_known(house: ReachableHouse) -> None:
    for ask in (
        lambda: house.reach.alert(MAC, NOTICE),
        lambda: house.reach.tools(MAC, 1),
        lambda: house.reach.call_tool(MAC, "self.x", {}, 1),
    ):
        with pytest.raises(Unreachable) as refused:
            ask()
        assert not refused.value.heard_of


def test_while_this_server_has_lost_the_broker_nothing_is_sent_and_it_is_said(connected: ReachableHouse) -> None:
    connected.trouble = "the connection to the MQTT broker at unix was lost"
    with pytest.raises(BrokerAway, match="was lost"):
        connected.reach.reboot(MAC)
    with pytest.raises(BrokerAway):
        connected.reach.call_tool(MAC, "self.x", {}, 1)
    assert connected.sent == []


# Tools


def test_in_a_session_its_own_tools_are_called(connected: ReachableHouse) -> None:
    connected.hello()
    tools = connected.conversations[0].tools = SilentTools()
    assert connected.reach.call_tool(MAC, "self.reboot", {"in": 1}, 3).text == "done"
    assert tools.called == [("self.reboot", {"in": 1}, 3)]
    assert connected.boxes == []


@pytest.mark.parametrize(("has_tools", "why"), [(False, "hello says"), (True, "uses none")])
def test_a_session_without_tools_is_said(house: ReachableHouse, has_tools: bool, why: str) -> None:
    house.websocket_session(Features(mcp=has_tools))
    with pytest.raises(NotPossible, match=why):
        house.reach.tools(MAC, 1)


def test_without_a_session_a_call_goes_over_mqtt_and_its_answer_is_no_reason_for_a_goodbye(connected: ReachableHouse) -> None:
    connected.reach.call_tool(MAC, "self.lamp.on", {}, 3)
    assert connected.mqtt.published[0][0] == TOPIC
    assert connected.sent[0]["payload"]["params"] == {"name": "self.lamp.on", "arguments": {}}
    answer = {"jsonrpc": "2.0", "id": 1, "result": {}}
    connected.publish({"type": "mcp", "session_id": "its last one", "payload": answer})
    assert connected.boxes[0].received == [answer]
    assert len(connected.sent) == 1


def test_a_device_that_nobody_asked_is_answered_goodbye(connected: ReachableHouse) -> None:
    connected.publish({"type": "mcp", "session_id": "gone", "payload": {"id": 1}})
    assert connected.sent == [{"type": "goodbye", "session_id": "gone"}]


def test_the_tools_of_one_device_do_not_hear_another(connected: ReachableHouse) -> None:
    connected.reach.call_tool(MAC, "self.lamp.on", {}, 3)
    connected.publish({"type": "mcp", "payload": {"jsonrpc": "2.0", "id": 1, "result": {}}}, "aa:bb:cc:dd:ee:00")
    assert connected.boxes[0].received == []


def test_a_hello_closes_the_tools_that_were_used_without_a_session(connected: ReachableHouse) -> None:
    connected.reach.call_tool(MAC, "self.lamp.on", {}, 3)
    connected.hello()
    assert connected.boxes[0].closed == 1
    assert len(connected.idle_tools) == 0
