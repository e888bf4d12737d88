"""The volume and the brightness: the tools that set them, found by their names and schemas, and how they are used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.voice.llm.mind import Tool
from app.voice.llm.offline_rules.level import BRIGHTNESS, VOLUME, Ask, By, Level, Share, To, Wish, wish_in
from app.voice.llm.offline_rules.skill import range_of, skill_of, whole
from app.voice.llm.offline_rules.status import status_tool, value_in
from app.voice.llm.offline_rules.turn import Answer, Done, Request, Turn

_STEP_SHARE = 0.1
"""Of the whole range: how much "louder" is."""
_LIGHT = re.compile(r"light|lamp|led|strip")
_SAYS_LIGHT = ("light", "lamp", "led", "strip")


@dataclass(frozen=True, slots=True)
class Setter:
    """A tool that sets a level. ``parameter``: its one integer, from ``least`` to ``most``."""

    tool: str
    parameter: str
    least: int
    most: int


def adjust_volume(turn: Turn) -> Answer:
    """Louder, quieter, fifty; or how loud it is."""
    return _adjust(turn, VOLUME)


def adjust_brightness(turn: Turn) -> Answer:
    """Brighter, darker, fifty; or how bright it is."""
    return _adjust(turn, BRIGHTNESS)


def setters_of(tools: Sequence[Tool], level: Level) -> list[Setter]:
    """The tools that set this level: their name says so, and one integer is all they want."""
    return [setter for tool in tools if (setter := _setter(tool, level)) is not None]


def _setter(tool: Tool, level: Level) -> Setter | None:
    words = set(re.split(r"[^a-z]+", tool.name.lower()))
    if "get" in words or level.english not in words:
        return None
    skill = skill_of(tool)
    integers = [name for name, schema in skill.parameters.items() if schema.get("type") in ("integer", "number")]
    if not integers or set(skill.required) - {integers[0]}:
        return None
    least, most = range_of(skill.parameters[integers[0]])
    return Setter(tool.name, integers[0], 0 if least is None else least, 100 if most is None else most)


def _adjust(turn: Turn, level: Level) -> Answer:
    wish = wish_in(turn.heard, level)
    if wish is None:
        return None
    setter = _chosen(turn, setters_of(turn.tools, level))
    done = turn.done[-1] if turn.done else None
    if done is not None and not _is_teller(done.tool):
        return _report(turn, level, done)
    if done is not None:
        return _go_on(turn, level, setter, wish, done)
    if setter is None and not isinstance(wish, Ask):
        return turn.say(
            f"This device gives me no way to set its {level.english}.", f"这个设备没有给我调节{level.chinese}的办法。"
        )
    if setter is not None and isinstance(wish, To | Share):
        return _to(turn, level, setter, wish)
    teller = _teller(turn, setter)
    return Request(teller.name, {}) if teller is not None else _unknown(turn, level, wish)


def _go_on(turn: Turn, level: Level, setter: Setter | None, wish: Wish, told: Done) -> Answer:
    """The present level has been asked for."""
    present = None if told.is_refused else _present(told.text, level)
    if present is None:
        return _unknown(turn, level, wish)
    if isinstance(wish, By) and setter is not None:
        return _by(turn, level, setter, wish, present)
    return turn.say(f"The {level.english} is {present}.", f"现在的{level.chinese}是{present}。")


def _teller(turn: Turn, setter: Setter | None) -> Tool | None:
    """The tool that tells the present level: the setter's own counterpart, else the device's status, which has no light in it."""
    own = None if setter is None else setter.tool.replace("set", "get")
    found = next((tool for tool in turn.tools if tool.name == own), None)
    return status_tool(turn.tools) if found is None and (setter is None or not _LIGHT.search(setter.tool)) else found


def _is_teller(name: str) -> bool:
    return "status" in name or "get" in name.split("_")


def _present(text: str, level: Level) -> int | None:
    value = value_in(text, *level.path)
    value = value_in(text, level.path[-1]) if value is None else value
    return whole(text.strip() if value is None else value)


def _chosen(turn: Turn, setters: list[Setter]) -> Setter | None:
    """Of several, the light's where a light was named, else the first that is not a light's."""
    heard = turn.heard
    names_light = "灯" in heard.han if heard.is_chinese else heard.says(*_SAYS_LIGHT)
    fitting = [setter for setter in setters if bool(_LIGHT.search(setter.tool)) == names_light]
    return next(iter(fitting or setters), None)


def _to(turn: Turn, level: Level, setter: Setter, wish: To | Share) -> Answer:
    span = setter.most - setter.least
    if isinstance(wish, Share):
        return Request(setter.tool, {setter.parameter: setter.least + round(span * wish.share)})
    number = wish.number
    if turn.heard.is_percent and 0 <= number <= 100:
        number = setter.least + round(span * number / 100)
    if not setter.least <= number <= setter.most:
        return turn.say(
            f"I can set the {level.english} from {setter.least} to {setter.most}.",
            f"{level.chinese}可以设置为{setter.least}到{setter.most}。",
        )
    return Request(setter.tool, {setter.parameter: number})


def _by(turn: Turn, level: Level, setter: Setter, wish: By, present: int) -> Answer:
    change = wish.number or wish.steps * max(1, round((setter.most - setter.least) * _STEP_SHARE))
    wanted = min(setter.most, max(setter.least, present + change))
    if wanted == present:
        end = turn.say("at its highest", "最大") if change > 0 else turn.say("at its lowest", "最小")
        return turn.say(f"The {level.english} is {end} already.", f"{level.chinese}已经是{end}了。")
    return Request(setter.tool, {setter.parameter: wanted})


def _report(turn: Turn, level: Level, done: Done) -> str:
    numbers = [value for value in done.arguments.values() if isinstance(value, int | float)]
    if done.is_refused or not numbers:
        return turn.say(f"😔 The device did not change its {level.english}.", f"😔 设备没有改变{level.chinese}。")
    return turn.say(f"🙂 The {level.english} is now {numbers[0]}.", f"🙂 {level.chinese}已经设为{numbers[0]}。")


def _unknown(turn: Turn, level: Level, wish: Wish) -> str:
    if isinstance(wish, Ask):
        return turn.say(f"This device does not tell me its {level.english}.", f"这个设备没有告诉我{level.chinese}是多少。")
    return turn.say(
        f"I do not know the present {level.english}, so tell me a number to set it to.",
        f"我不知道现在的{level.chinese}，请告诉我要设成多少。",
    )
