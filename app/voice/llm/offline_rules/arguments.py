"""The arguments of a tool's call, taken from what was said, by the tool's schema."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from app.voice.llm.offline_rules.command import Command
from app.voice.llm.offline_rules.concepts import BLACK, WHITE, concepts_in_han, concepts_of
from app.voice.llm.offline_rules.heard import Heard
from app.voice.llm.offline_rules.skill import Kind, Skill, range_of

_CHANNELS = {"r": 0, "red": 0, "g": 1, "green": 1, "b": 2, "blue": 2}
_QUESTIONS = frozenset(("question", "query", "prompt"))
"""Parameters that want to know what the person asked."""
_QUOTED = re.compile(r"[`'\"“「]([A-Za-z_]{2,20})[`'\"”」]")


class Missing(Exception):
    """A parameter that nothing in the utterance fits. The attributes are those of an integer: the numbers it may be."""

    def __init__(self, least: int | None = None, most: int | None = None) -> None:
        super().__init__("a parameter is missing")
        self.least, self.most = least, most


def arguments_for(skill: Skill, command: Command, heard: Heard) -> dict[str, Any]:
    """What to call the tool with. Raises Missing."""
    numbers = list(heard.numbers)
    parameters, required = skill.parameters, skill.required
    arguments: dict[str, Any] = {}
    channels = {name for name in parameters if name.lower() in _CHANNELS}
    color = _color(command, skill) if len(channels) == 3 else None
    for name in required:
        if name in channels and color is not None:
            arguments[name] = color[_CHANNELS[name.lower()]]
        else:
            arguments[name] = _value(name, skill, command, heard, numbers)
    if color is not None:
        arguments |= {name: color[_CHANNELS[name.lower()]] for name in channels}
    optional = [name for name in parameters if name not in arguments and parameters[name].get("type") == "integer"]
    if numbers and len(optional) == 1 and optional[0] not in channels:
        arguments[optional[0]] = _integer(parameters[optional[0]], heard, numbers)
    if numbers:
        raise Missing  # a number was said that this tool has no use for
    return arguments


def _color(command: Command, skill: Skill) -> tuple[int, int, int] | None:
    if command.color is not None:
        return command.color
    if "light" not in skill.subjects:
        return None
    return {Kind.ON: WHITE, Kind.OFF: BLACK}.get(command.kind)


def _value(name: str, skill: Skill, command: Command, heard: Heard, numbers: list[int]) -> Any:
    """``numbers``: those that no other parameter has used; the one that is used is taken away."""
    schema = skill.parameters[name]
    kind = schema.get("type")
    if kind == "boolean" and command.kind in (Kind.ON, Kind.OFF):
        return command.kind is Kind.ON
    if kind in ("integer", "number"):
        return _integer(schema, heard, numbers)
    if kind == "string":
        listed = schema.get("enum")
        choices = (
            listed if isinstance(listed, list) else _QUOTED.findall(f"{schema.get('description', '')} {skill.tool.description}")
        )
        chosen = _chosen([choice for choice in choices if isinstance(choice, str) and choice != name], heard)
        if chosen is not None:
            return chosen
        if not listed and name.lower() in _QUESTIONS:
            return heard.text
    raise Missing


def _integer(schema: dict[str, Any], heard: Heard, numbers: list[int]) -> int:
    least, most = range_of(schema)
    if not numbers:
        raise Missing(least, most)
    number = numbers.pop(0)
    if heard.is_percent and least is not None and most is not None and 0 <= number <= 100:
        return least + round((most - least) * number / 100)
    if (least is not None and number < least) or (most is not None and number > most):
        raise Missing(least, most)
    return number


def _chosen(choices: Sequence[str], heard: Heard) -> str | None:
    """The one choice that was named."""
    said = concepts_in_han(heard.han) if heard.is_chinese else set(heard.words)
    named = {choice for choice in choices if _names(choice, said, heard.is_chinese)}
    return named.pop() if len(named) == 1 else None


def _names(choice: str, said: set[str], is_chinese: bool) -> bool:
    words = choice.lower().replace("_", " ").split()
    if not is_chinese:
        return set(words) <= said
    return all(concepts_of(word) & said for word in words)
