"""What the device tells of itself: its status tool, the battery, the network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from app.voice.llm.mind import Tool
from app.voice.llm.offline_rules.turn import Answer, Done, Request, Turn

_MOST_DEPTH = 5
_MOST_VALUE = 60


def status_tool(tools: Sequence[Tool]) -> Tool | None:
    """The tool that tells the state of the whole device, as JSON."""
    named = [tool for tool in tools if "status" in tool.name.lower() and not tool.parameters.get("required")]
    return next((tool for tool in named if "device" in tool.name.lower()), named[0] if named else None)


def status_answer(turn: Turn) -> Done | None:
    """What the status tool has answered in this turn."""
    return next((done for done in reversed(turn.done) if "status" in done.tool.lower()), None)


def value_in(text: str, *path: str) -> Any:
    """The value at the end of the path in JSON text, wherever the path begins; None where there is none."""
    try:
        return _search(json.loads(text), path, _MOST_DEPTH)
    except (ValueError, RecursionError):
        return None


def _told(text: str, *path: str) -> str | None:
    """A value as it can be said."""
    value = value_in(text, *path)
    return str(value)[:_MOST_VALUE] if isinstance(value, str | int | float) else None


def _search(document: Any, path: tuple[str, ...], depth: int) -> Any:
    if not isinstance(document, dict) or not depth:
        return None
    value: Any = document
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    if value is not None:
        return value
    inner = (_search(one, path, depth - 1) for one in document.values())
    return next((one for one in inner if one is not None), None)


def tell_battery(turn: Turn) -> Answer:
    """How full the battery is."""
    done = _asked(turn)
    if not isinstance(done, Done):
        return done
    level = _told(done.text, "battery", "level")
    if level is None:
        return turn.say("This device does not tell me about a battery.", "这个设备没有告诉我电池的情况。")
    english, chinese = f"The battery is at {level} percent", f"电量还有百分之{level}"
    if value_in(done.text, "battery", "charging") is True:
        english, chinese = f"{english}, and it is charging", f"{chinese}，正在充电"
    return turn.say(f"{english}.", f"{chinese}。")


def tell_network(turn: Turn) -> Answer:
    """Which network the device is in."""
    done = _asked(turn)
    if not isinstance(done, Done):
        return done
    name = _told(done.text, "network", "ssid") or _told(done.text, "network", "carrier")
    if not name:
        return turn.say("The device is connected, and does not tell me to which network.", "设备已联网，但没有告诉我网络的名字。")
    return turn.say(f"The device is connected to {name}.", f"设备连接的网络是{name}。")


def tell_status(turn: Turn) -> Answer:
    """All that is of interest."""
    done = _asked(turn)
    if not isinstance(done, Done):
        return done
    facts = (
        (_told(done.text, "volume"), "the volume is {}", "音量是{}"),
        (_told(done.text, "screen", "brightness"), "the screen's brightness is {}", "屏幕亮度是{}"),
        (_told(done.text, "battery", "level"), "the battery is at {} percent", "电量百分之{}"),
        (_told(done.text, "network", "ssid"), "the network is {}", "网络是{}"),
    )
    known = [turn.say(english, chinese).format(value) for value, english, chinese in facts if value is not None]
    if not known:
        return turn.say("The device told me nothing that I understand.", "设备告诉我的内容我看不懂。")
    told = turn.say(", ", "，").join(known)
    return f"{told[:1].upper()}{told[1:]}{turn.say('.', '。')}"


def _asked(turn: Turn) -> Done | Answer:
    """What the status tool answered; else what has to be done or said first."""
    done = status_answer(turn)
    if done is None:
        tool = status_tool(turn.tools)
        if tool is None:
            return turn.say("This device does not tell me its status.", "这个设备没有告诉我它的状态。")
        return Request(tool.name, {})
    if done.is_refused:
        return turn.say("😔 The device did not tell me its status.", "😔 设备没有回答它的状态。")
    return done
