"""What a tool answered, put into words."""

from __future__ import annotations

import json
from typing import Any

_MOST_TEXT = 300
_MOST_FACTS = 4
_MOST_VALUE = 60
_TEXTS = ("result", "text", "message", "response", "answer", "description", "error")
"""Where a JSON answer has its words."""
_HAN_KEYS = {
    **{"power": "电源", "state": "状态", "status": "状态", "mode": "模式", "brightness": "亮度", "volume": "音量"},
    **{"temperature": "温度", "humidity": "湿度", "level": "级别", "speed": "速度", "theme": "主题", "color": "颜色"},
}
_EMPTY = frozenset(("", "true", "ok", "done", "success", "null", "none", "{}", "[]"))


def told(text: str, is_chinese: bool) -> str:
    """A sentence or two; empty when the answer says no more than that it was done."""
    bare = text.strip()
    if bare.lower() in _EMPTY:
        return ""
    try:
        document = json.loads(bare)
    except (ValueError, RecursionError):
        return _ended(bare[:_MOST_TEXT], is_chinese)
    if isinstance(document, str):
        return _ended(document[:_MOST_TEXT], is_chinese)
    if isinstance(document, dict):
        words = next((document[key] for key in _TEXTS if isinstance(document.get(key), str) and document[key].strip()), None)
        return _ended(words[:_MOST_TEXT], is_chinese) if words else _facts(document, is_chinese)
    if isinstance(document, int | float):
        return _ended(("现在是" if is_chinese else "It is ") + _value(document, is_chinese), is_chinese)
    return ""


def _facts(document: dict[str, Any], is_chinese: bool) -> str:
    scalars = [(key, value) for key, value in document.items() if isinstance(value, str | int | float) and key != "success"]
    facts = [_fact(key, value, is_chinese) for key, value in scalars[:_MOST_FACTS]]
    told = ("，" if is_chinese else ", ").join(facts)
    return _ended(told[:1].upper() + told[1:], is_chinese)


def _fact(key: str, value: str | float, is_chinese: bool) -> str:
    name = key.replace("_", " ")[:_MOST_VALUE]
    return f"{_HAN_KEYS.get(key, name)}：{_value(value, True)}" if is_chinese else f"{name} is {_value(value, False)}"


def _value(value: str | float, is_chinese: bool) -> str:
    if isinstance(value, bool):
        return ("开" if value else "关") if is_chinese else ("on" if value else "off")
    return f"{value:g}" if isinstance(value, float) else str(value)[:_MOST_VALUE]


def _ended(text: str, is_chinese: bool) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?。！？" else text + ("。" if is_chinese else ".")
