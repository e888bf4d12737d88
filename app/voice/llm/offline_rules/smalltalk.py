"""What needs no tool: greetings, thanks, who is there, what can be done, and what cannot be done offline."""

from __future__ import annotations

import re

from app.voice.llm.offline_rules.adjusting import setters_of
from app.voice.llm.offline_rules.level import BRIGHTNESS, VOLUME
from app.voice.llm.offline_rules.skill import Kind, skill_of
from app.voice.llm.offline_rules.status import status_tool
from app.voice.llm.offline_rules.turn import Answer, Turn

_MOST_TOLD = 3
"""So many abilities are told where nobody has asked for them, and so many of the device's other tools where somebody has."""

_SUBJECTS: tuple[tuple[tuple[str, ...], str, str, str], ...] = (
    (
        ("weather", "forecast", "rain", "raining", "sunny", "snow", "umbrella"),
        "天气|下雨|气温|下雪|带伞",
        "look up the weather",
        "查天气",
    ),
    (("news", "headlines"), "新闻|头条", "read the news", "播报新闻"),
    (("music", "song", "songs", "radio", "playlist"), "音乐|歌|电台", "play music", "播放音乐"),
    (("story", "stories", "poem", "joke", "jokes", "tale"), "故事|笑话|诗", "tell stories or jokes", "讲故事和笑话"),
    (("translate", "translation"), "翻译", "translate", "翻译"),
    (("alarm", "timer", "timers", "alarms", "remind", "reminder"), "闹钟|定时|提醒", "set alarms and timers", "设闹钟和提醒"),
    (("stock", "stocks", "bitcoin", "price", "prices"), "股票|股价|价格", "look up prices", "查价格"),
    (("calculate", "plus", "minus", "times", "divided"), "加上|减去|乘以|除以|等于", "calculate", "做计算"),
)


def greet(turn: Turn) -> Answer:
    """Hello."""
    return turn.say("🙂 Hello! What can I do for you?", "🙂 你好！有什么可以帮你？")


def tell_mood(turn: Turn) -> Answer:
    """How are you?"""
    return turn.say(
        "🙂 I am fine, thank you. I am offline, so I can only do a few things.", "🙂 我很好，谢谢。我现在离线，只能做几件事。"
    )


def accept_thanks(turn: Turn) -> Answer:
    """Thank you."""
    return turn.say("🙂 You are welcome.", "🙂 不客气。")


def tell_name(turn: Turn) -> Answer:
    """Who are you?"""
    return turn.say(
        f"I am your voice assistant. I am offline now. {_abilities(turn)}",
        f"我是你的语音助手，现在处于离线状态。{_abilities(turn)}",
    )


def take_leave(turn: Turn) -> Answer:
    """Goodbye, where nobody has taken leave before."""
    return turn.say("Goodbye!", "再见！")


def repeat(turn: Turn) -> Answer:
    """Say that again."""
    return turn.said_before or turn.say("I have not said anything yet.", "我还没有说过什么。")


def tell_abilities(turn: Turn) -> Answer:
    """What can you do?"""
    others = [skill_of(tool) for tool in turn.tools]
    level_tools = {setter.tool for level in (VOLUME, BRIGHTNESS) for setter in setters_of(turn.tools, level)}
    told = [
        skill.summary
        for skill in others
        if skill.tool.name not in level_tools and skill.kind is not Kind.ASK and not skill.is_grave
    ]
    more = turn.say("; ", "；").join(told[:_MOST_TOLD])
    if more:
        more = turn.say(f" The device also offers this: {more}.", f"设备还能做这些：{more}。")
    return turn.say(
        f"I am offline, so I do not know much. {_abilities(turn)}{more}", f"我现在离线，懂得不多。{_abilities(turn)}{more}"
    )


def decline(turn: Turn) -> Answer:
    """Whatever no rule knows: what cannot be done is said, and what can be done instead."""
    heard, instead = turn.heard, _abilities(turn, _MOST_TOLD)
    for words, han, english, chinese in _SUBJECTS:
        if re.search(han, heard.han) if heard.is_chinese else heard.says_exactly(*words):
            return turn.say(f"😔 I am offline, so I cannot {english}. {instead}", f"😔 我现在离线，不能{chinese}。{instead}")
    return turn.say(f"😔 I am offline and do not know an answer to that. {instead}", f"😔 我现在离线，这个我不会。{instead}")


def _abilities(turn: Turn, most: int = 10) -> str:
    """The few things that always go, and those that go with this device; at most so many of them."""
    can = [turn.say("tell the time and the date", "报时间和日期")]
    if setters_of(turn.tools, VOLUME):
        can.append(turn.say("set the volume", "调音量"))
    if setters_of(turn.tools, BRIGHTNESS):
        can.append(turn.say("set the brightness", "调亮度"))
    if any(skill_of(tool).subjects & {"light"} and skill_of(tool).kind is not Kind.ASK for tool in turn.tools):
        can.append(turn.say("switch the light", "开关灯"))
    if status_tool(turn.tools) is not None:
        can.append(turn.say("tell how the device is doing", "报告设备状态"))
    can = can[:most]
    last = can.pop()
    if turn.heard.is_chinese:
        return f"我可以{'、'.join([*can, last])}。"
    return f"I can {', '.join(can)}{' and ' if len(can) < 2 else ', and '}{last}." if can else f"I can {last}."
