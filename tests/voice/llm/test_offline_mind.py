"""The offline mind: what it understands, which tools it calls, and what it says of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sections import OpenAi
from app.voice.llm.mind import AssistantSaid, Prompt, Said, Tool, ToolAnswered, ToolCall, UserSaid
from app.voice.llm.offline import OfflineMind
from app.voice.provider import Workshop

NOW = datetime(2026, 11, 21, 15, 5, tzinfo=UTC)
STATUS = {
    "audio_speaker": {"volume": 70},
    "screen": {"brightness": 75, "theme": "light"},
    "battery": {"level": 50, "charging": True},
    "network": {"type": "wifi", "ssid": "Home"},
}


def number(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def tool(name: str, description: str, **properties: dict[str, Any]) -> Tool:
    return Tool(name, description, {"type": "object", "properties": properties, "required": list(properties)})


STATUS_TOOL = tool(
    "self_get_device_status", "Provides the real-time information of the device, including the volume of the speaker."
)
VOLUME_TOOL = tool("self_audio_speaker_set_volume", "Set the volume of the audio speaker.", volume=number(0, 100))
TOOLS = (
    STATUS_TOOL,
    VOLUME_TOOL,
    tool("self_screen_set_brightness", "Set the brightness of the screen.", brightness=number(0, 100)),
    tool("self_screen_set_theme", "Set the theme of the screen. It can be `light` or `dark`.", theme={"type": "string"}),
    tool("self_camera_take_photo", "Take a photo and explain it.", question={"type": "string"}),
    tool("self_lamp_get_state", "Get the power state of the lamp"),
    tool("self_lamp_turn_on", "Turn on the lamp"),
    tool("self_lamp_turn_off", "Turn off the lamp"),
    tool("self_led_strip_get_brightness", "Get the brightness of the led strip (0-8)"),
    tool("self_led_strip_set_brightness", "Set the brightness of the led strip (0-8)", level=number(0, 8)),
    tool("self_led_strip_set_all_color", "Set all leds", red=number(0, 255), green=number(0, 255), blue=number(0, 255)),
    tool("self_fan_set_power", "Switch the fan", on={"type": "boolean"}),
    tool("self_dog_forward", "机器人向前移动"),
    tool("self_robot_dance", "Let the robot dance"),
    tool("self_chassis_turn_left", "Turn left"),
    tool("self_chassis_turn_right", "Turn right"),
    tool(
        "self_system_reconfigure_wifi",
        "Enter WiFi configuration mode.\n**CAUTION** You must ask the user to confirm this action.",
    ),
)
SCHEMA_KEYS = ("type", "minimum", "maximum", "enum", "description", "volume", "battery", "level", "result", "audio_speaker")
ANSWERS = {
    "self_get_device_status": json.dumps(STATUS),
    "self_lamp_get_state": '{"power": true}',
    "self_led_strip_get_brightness": "4",
}


@pytest.fixture
def mind(tmp_path: Path) -> OfflineMind:
    return OfflineMind(OfflineMind.Options(), Workshop(OpenAi(), tmp_path, 5.0), now=lambda: NOW)


class Talk:
    """One turn, its tools answered as a device does. ``calls``: name and arguments; ``text``: what was said in the end."""

    def __init__(
        self, mind: OfflineMind, text: str, tools: Sequence[Tool], before: Sequence[Said], answers: dict[str, str]
    ) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        messages: list[Said] = [*before, UserSaid(text)]
        for _ in range(5):
            [piece] = mind.think(Prompt("", messages, tools))
            if isinstance(piece, str):
                self.text = piece
                return
            self.calls.append((piece.name, json.loads(piece.arguments)))
            answer = answers.get(piece.name, "true")
            messages += [
                AssistantSaid("", (piece,)),
                ToolAnswered(piece.id, piece.name, answer, failed=answer.startswith("Error")),
            ]
        raise AssertionError("it calls tools for ever")


@pytest.fixture
def say(mind: OfflineMind) -> Callable[..., Talk]:
    def talk(text: str, tools: Sequence[Tool] = TOOLS, before: Sequence[Said] = (), **answers: str) -> Talk:
        return Talk(mind, text, tools, before, ANSWERS | answers)

    return talk


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what time is it", "It is 3:05 PM."),
        ("What's the time, please?", "It is 3:05 PM."),
        ("what time is that", "It is 3:05 PM."),
        ("what time is it oh", "It is 3:05 PM."),
        ("hello there what time is it now", "It is 3:05 PM."),
        ("could you tell me what time it is please", "It is 3:05 PM."),
        ("现在几点了？", "现在是下午3点5分。"),
        ("what is the date today", "Today is Saturday, November 21, 2026."),
        ("what day is tomorrow", "Tomorrow is Sunday, November 22, 2026."),
        ("今天几号", "今天是2026年11月21日，星期六。"),
        ("明天星期几", "明天是2026年11月22日，星期日。"),
    ],
)
def test_it_tells_the_time_and_the_date(say: Callable[..., Talk], text: str, answer: str) -> None:
    assert say(text).text == answer


@pytest.mark.parametrize("text", ["what time does the train leave", "what is the time difference", "the time machine is a film"])
def test_not_all_that_has_time_in_it_asks_for_the_time(say: Callable[..., Talk], text: str) -> None:
    assert "3:05" not in say(text).text


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        *(
            ("set the volume to fifty", 50),
            ("set the volume too fifty percent", 50),
            ("said the volume to fifty", 50),
            ("volume 30", 30),
        ),
        *(
            ("mute", 0),
            ("maximum volume", 100),
            ("turn off the sound", 0),
            ("turn the sound on", 50),
            ("volume to half", 50),
            ("Set volume to 100%.", 100),
        ),
        *(("音量调到五十", 50), ("把音量设置为百分之三十", 30), ("静音", 0), ("音量最大", 100)),
    ],
)
def test_it_sets_the_volume(say: Callable[..., Talk], text: str, volume: int) -> None:
    talk = say(text)
    assert talk.calls == [("self_audio_speaker_set_volume", {"volume": volume})]
    assert str(volume) in talk.text


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        *(("louder please", 80), ("turn the volume up", 80), ("turn it up", 80), ("too loud", 60), ("make it a bit quieter", 60)),
        *(
            ("increase the volume by twenty", 90),
            ("turn the volume down 20", 50),
            ("声音大一点", 80),
            ("小声一点", 60),
            ("太吵了", 60),
            ("音量调高二十", 90),
        ),
    ],
)
def test_it_asks_for_the_volume_before_it_changes_it(say: Callable[..., Talk], text: str, volume: int) -> None:
    assert say(text).calls == [("self_get_device_status", {}), ("self_audio_speaker_set_volume", {"volume": volume})]


@pytest.mark.parametrize("text", ["what is the volume", "how loud is it", "现在音量是多少"])
def test_it_tells_the_volume(say: Callable[..., Talk], text: str) -> None:
    talk = say(text)
    assert [name for name, _ in talk.calls] == ["self_get_device_status"]
    assert "70" in talk.text


def test_a_volume_out_of_range_is_refused_with_the_range(say: Callable[..., Talk]) -> None:
    talk = say("set the volume to two hundred")
    assert (talk.calls, talk.text) == ([], "I can set the volume from 0 to 100.")


@pytest.mark.parametrize(
    "text", ["the volume of a cylinder is base times height", "what is that sound about", "声音是怎么传播的"]
)
def test_not_all_that_has_volume_in_it_sets_it(say: Callable[..., Talk], text: str) -> None:
    assert not say(text).calls


def test_a_percentage_becomes_a_step_of_a_smaller_range(say: Callable[..., Talk]) -> None:
    small = tool("self_audio_speaker_set_volume", "Set the volume.", volume=number(0, 10))
    assert say("volume fifty percent", [small]).calls == [("self_audio_speaker_set_volume", {"volume": 5})]


def test_louder_without_a_known_volume_asks_for_a_number(say: Callable[..., Talk]) -> None:
    talk = say("louder", [VOLUME_TOOL])
    assert not talk.calls
    assert "number" in talk.text


def test_a_device_without_volume_says_so(say: Callable[..., Talk]) -> None:
    assert say("set the volume to fifty", []).text == "This device gives me no way to set its volume."


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("make the screen brighter", ("self_screen_set_brightness", {"brightness": 85})),
        ("屏幕亮度调到八十", ("self_screen_set_brightness", {"brightness": 80})),
        ("dim the light", ("self_led_strip_set_brightness", {"level": 3})),
        ("set the light brightness to 5", ("self_led_strip_set_brightness", {"level": 5})),
    ],
)
def test_it_sets_the_brightness_of_what_was_named(say: Callable[..., Talk], text: str, call: tuple[str, dict[str, Any]]) -> None:
    assert say(text).calls[-1] == call


@pytest.mark.parametrize(
    ("text", "name", "answer"),
    [
        ("please turn on the light", "self_lamp_turn_on", "🙂 The light is on."),
        ("please turn on the lights", "self_lamp_turn_on", "🙂 The lights are on."),
        ("please do it on the light", "self_lamp_turn_on", "🙂 The light is on."),
        ("turn on the like", "self_lamp_turn_on", "🙂 The light is on."),
        ("switch the lamp off", "self_lamp_turn_off", "🙂 The lamp is off."),
        ("请把灯打开", "self_lamp_turn_on", "🙂 灯已经打开了。"),
        ("关灯", "self_lamp_turn_off", "🙂 灯已经关闭了。"),
        ("is the lamp on", "self_lamp_get_state", "Power is on."),
        ("灯开着吗", "self_lamp_get_state", "电源：开。"),
    ],
)
def test_it_switches_the_light(say: Callable[..., Talk], text: str, name: str, answer: str) -> None:
    talk = say(text)
    assert (talk.calls, talk.text) == ([(name, {})], answer)


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("turn on the fan", "self_fan_set_power", {"on": True}),
        ("关闭风扇", "self_fan_set_power", {"on": False}),
        ("switch to the dark theme", "self_screen_set_theme", {"theme": "dark"}),
        ("切换到浅色主题", "self_screen_set_theme", {"theme": "light"}),
        ("turn the lights red", "self_led_strip_set_all_color", {"red": 255, "green": 0, "blue": 0}),
        ("把灯调成蓝色", "self_led_strip_set_all_color", {"red": 0, "green": 0, "blue": 255}),
        ("take a photo", "self_camera_take_photo", {"question": "take a photo"}),
        ("what do you see", "self_camera_take_photo", {"question": "what do you see"}),
        ("向前走", "self_dog_forward", {}),
        ("go forward", "self_dog_forward", {}),
        ("跳舞", "self_robot_dance", {}),
        ("turn right", "self_chassis_turn_right", {}),
    ],
)
def test_it_finds_a_tool_and_its_arguments(say: Callable[..., Talk], text: str, name: str, arguments: dict[str, Any]) -> None:
    assert say(text).calls == [(name, arguments)]


def test_a_lamp_of_colours_alone_is_switched_by_its_colour(say: Callable[..., Talk]) -> None:
    strip = [one for one in TOOLS if "led_strip" in one.name]
    assert say("turn on the light", strip).calls == [("self_led_strip_set_all_color", {"red": 255, "green": 255, "blue": 255})]
    assert say("关灯", strip).calls == [("self_led_strip_set_all_color", {"red": 0, "green": 0, "blue": 0})]


def test_an_enumerated_parameter_takes_the_value_that_was_named(say: Callable[..., Talk]) -> None:
    fan = tool("self_fan_set_speed", "Set the speed of the fan.", speed={"type": "string", "enum": ["low", "high"]})
    assert say("set the fan speed to high", [fan]).calls == [("self_fan_set_speed", {"speed": "high"})]
    assert not say("set the fan speed to medium", [fan]).calls


def test_a_missing_number_is_asked_for(say: Callable[..., Talk]) -> None:
    servo = tool("self_servo_set_angle", "Set the angle of the servo", angle=number(0, 90))
    assert "0 to 90" in say("set the servo angle", [servo]).text
    assert say("set the servo angle to forty five", [servo]).calls == [("self_servo_set_angle", {"angle": 45})]


def test_two_tools_that_fit_alike_are_a_question(say: Callable[..., Talk]) -> None:
    two = [tool("self_left_lamp_turn_on", "Turn on the left lamp"), tool("self_right_lamp_turn_on", "Turn on the right lamp")]
    talk = say("turn on the lamp", two)
    assert not talk.calls
    assert "left lamp" in talk.text
    assert "right lamp" in talk.text
    assert say("turn on the left lamp", two).calls == [("self_left_lamp_turn_on", {})]


def test_what_may_not_be_done_on_a_mishearing_is_not_done(say: Callable[..., Talk]) -> None:
    talk = say("reconfigure the wifi")
    assert not talk.calls
    assert "misheard" in talk.text


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "off",
        "turn it off",
        "turn it on",
        "mate",
        "do you like music",
        "does the light cost much",
        "the quick brown fox",
        "天空为什么是蓝色的",
    ],
)
def test_no_tool_is_called_on_a_doubt(say: Callable[..., Talk], text: str) -> None:
    assert not say(text).calls


def test_what_the_device_does_not_have_is_said(say: Callable[..., Talk]) -> None:
    assert say("turn on the heater").text == "This device gives me nothing to switch the heater with."
    assert say("打开空调").text == "这个设备没有给我开关空调的办法。"


def test_why_a_tool_failed_is_said(say: Callable[..., Talk]) -> None:
    assert say("turn on the light", self_lamp_turn_on="Error: no bulb").text == "😔 That did not work. Error: no bulb."


def test_a_refusal_of_the_device_is_not_taken_for_success(say: Callable[..., Talk]) -> None:
    assert say("turn on the light", self_lamp_turn_on="false").text == "😔 That did not work."
    assert say("volume 30", self_audio_speaker_set_volume="false").text == "😔 The device did not change its volume."


def test_what_a_tool_tells_is_said(say: Callable[..., Talk]) -> None:
    told = json.dumps({"success": True, "result": "I see a cat."})
    assert say("take a photo", self_camera_take_photo=told).text == "I see a cat."


def test_in_a_round_without_tools_it_says_what_was_done(mind: OfflineMind) -> None:
    call = ToolCall("1", "self_lamp_turn_on", "{}")
    messages = [UserSaid("turn on the light"), AssistantSaid("", (call,)), ToolAnswered("1", call.name, "true")]
    assert list(mind.think(Prompt("", messages))) == ["🙂 The light is on."]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        *(
            ("what is the battery level", "50 percent, and it is charging"),
            ("battery", "50 percent"),
            ("which wifi is it", "Home"),
        ),
        *(("电量还有多少", "百分之50"), ("device status", "The volume is 70"), ("设备状态", "音量是70")),
    ],
)
def test_it_tells_how_the_device_is(say: Callable[..., Talk], text: str, part: str) -> None:
    talk = say(text)
    assert talk.calls == [("self_get_device_status", {})]
    assert part in talk.text


@pytest.mark.parametrize("status", ["no JSON", "[1]", "{}", "Error: busy", "null"])
def test_a_status_that_tells_nothing_is_no_fault(say: Callable[..., Talk], status: str) -> None:
    for text in ("battery", "louder", "device status", "how loud is it", "which wifi is it"):
        assert say(text, self_get_device_status=status).text


@pytest.mark.parametrize("text", ["say that again", "再说一遍", "what did you say"])
def test_it_repeats_what_it_said_last(say: Callable[..., Talk], text: str) -> None:
    before = [UserSaid("hello"), AssistantSaid("It was nice."), UserSaid("x"), AssistantSaid("", ())]
    assert say(text, before=before).text == "It was nice."
    assert "It was nice." not in say(text).text


def test_it_tells_what_it_can_do_and_what_the_device_can(say: Callable[..., Talk]) -> None:
    for text in ("what can you do", "help"):
        answer = say(text).text
        assert all(part in answer for part in ("offline", "time", "volume", "light", "Take a photo"))
    assert "volume" not in say("help", []).text
    assert "离线" in say("你能做什么").text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        *(
            ("what is the weather like in london today", "look up the weather"),
            ("is it going to rain tomorrow", "look up the weather"),
        ),
        *(
            ("tell me the news", "read the news"),
            ("tell me a story", "tell stories"),
            ("今天天气怎么样", "查天气"),
            ("讲个故事", "讲故事"),
        ),
        *(("why is the sky blue", "do not know"), ("天空为什么是蓝色的", "不会")),
    ],
)
def test_it_says_that_it_is_offline_when_it_cannot_help(say: Callable[..., Talk], text: str, part: str) -> None:
    answer = say(text).text
    assert part in answer
    assert "offline" in answer or "离线" in answer


@pytest.mark.parametrize(
    "text", ["hello", "thank you", "who are you", "how are you", "good morning", "你好", "谢谢", "你是谁", "再见"]
)
def test_it_is_polite(say: Callable[..., Talk], text: str) -> None:
    answer = say(text).text
    assert "do not know an answer" not in answer
    assert "这个我不会" not in answer


@pytest.mark.parametrize("text", ["", "...", "😊", "ありがとう", "Привет", "9" * 500, "volume " * 200, "灯" * 1000])
def test_whatever_is_said_has_an_answer(say: Callable[..., Talk], text: str) -> None:
    assert say(text).text


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"properties": None},
        {"properties": {"volume": None}, "required": 3},
        {"properties": {"volume": {}}, "required": ["x"]},
    ],
)
def test_a_strange_schema_is_no_fault(say: Callable[..., Talk], parameters: dict[str, Any]) -> None:
    strange = [
        Tool(name, "", parameters) for name in ("self_audio_speaker_set_volume", "self_lamp_turn_on", "_", "self_get_status")
    ]
    for text in ("volume 5", "turn on the light", "louder", "help", "set the light to red", "take a photo"):
        assert say(text, strange).text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["integer", "string", "boolean", "light", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(SCHEMA_KEYS), inner, max_size=4),
    max_leaves=12,
)
SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "properties": JSON | st.dictionaries(st.sampled_from(["volume", "red", "on", "question"]), JSON, max_size=3),
        "required": JSON | st.lists(st.sampled_from(["volume", "red", "on", "question"]), max_size=3),
    },
)
UTTERANCES = st.sampled_from(
    ["volume 5", "turn on the light", "louder", "help", "set the light to red", "battery", "大一点声音", "开灯"]
)


@given(UTTERANCES, st.lists(SCHEMAS, min_size=5, max_size=5), JSON.map(json.dumps) | st.text(max_size=30))
def test_whatever_a_device_offers_and_answers_is_no_fault(text: str, schemas: list[dict[str, Any]], answer: str) -> None:
    names = ("self_speaker_set_volume", "self_lamp_turn_on", "self_light_set_color", "self_get_device_status", "_")
    tools = [Tool(name, "Say `red`.", schema) for name, schema in zip(names, schemas, strict=True)]
    mind = OfflineMind(OfflineMind.Options(), Workshop(OpenAi(), Path(), 5.0), now=lambda: NOW)
    assert Talk(mind, text, tools, (), dict.fromkeys(names, answer)).text


def test_without_an_utterance_it_greets(mind: OfflineMind) -> None:
    assert list(mind.think(Prompt("", (), language="zh-CN"))) == ["你好，我在听。"]


def test_every_call_has_an_identity_of_its_own(mind: OfflineMind) -> None:
    prompt = Prompt("", [UserSaid("volume 5")], TOOLS)
    identities = {piece.id for _ in range(3) for piece in mind.think(prompt) if isinstance(piece, ToolCall)}
    assert len(identities) == 3


def test_the_time_is_that_of_the_zone(tmp_path: Path) -> None:
    mind = OfflineMind(OfflineMind.Options(), Workshop(OpenAi(), tmp_path, 5.0, UTC))
    before, [answer], after = datetime.now(UTC), mind.think(Prompt("", [UserSaid("what time is it")])), datetime.now(UTC)
    assert answer in {f"It is {time.hour % 12 or 12}:{time:%M %p}." for time in (before, after)}
