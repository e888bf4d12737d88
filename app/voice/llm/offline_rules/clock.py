"""The time and the date."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.voice.llm.offline_rules.turn import Answer, Turn

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_HAN_DAYS = "一二三四五六日"
_HAN_HOURS = ((5, "凌晨"), (8, "早上"), (12, "上午"), (13, "中午"), (18, "下午"), (24, "晚上"))


def tell_time(turn: Turn) -> Answer:
    """What time it is."""
    now = turn.now
    hour = now.hour % 12 or 12
    part = next(name for end, name in _HAN_HOURS if now.hour < end)
    minute = f"{now.minute}分" if now.minute else "整"
    return turn.say(f"It is {hour}:{now.minute:02} {'AM' if now.hour < 12 else 'PM'}.", f"现在是{part}{hour}点{minute}。")


def tell_date(turn: Turn) -> Answer:
    """Which day today is, or tomorrow, or yesterday."""
    days = _days_from_now(turn)
    date = turn.now + timedelta(days=days)
    name, verb = {-1: ("Yesterday", "was"), 0: ("Today", "is"), 1: ("Tomorrow", "is"), 2: ("The day after tomorrow", "is")}[days]
    han = {-1: "昨天", 0: "今天", 1: "明天", 2: "后天"}[days]
    return turn.say(
        f"{name} {verb} {_DAYS[date.weekday()]}, {_MONTHS[date.month - 1]} {date.day}, {date.year}.",
        f"{han}是{_han_date(date)}。",
    )


def _days_from_now(turn: Turn) -> int:
    heard = turn.heard
    if "昨天" in heard.han or heard.says("yesterday"):
        return -1
    if "后天" in heard.han or (heard.says("tomorrow") and heard.says("after")):
        return 2
    return 1 if "明天" in heard.han or heard.says("tomorrow") else 0


def _han_date(date: datetime) -> str:
    return f"{date.year}年{date.month}月{date.day}日，星期{_HAN_DAYS[date.weekday()]}"
