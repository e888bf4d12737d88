"""A tool of the device as the rules see it: what it is about, and which kind of thing it does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Any

from app.voice.llm.mind import Tool
from app.voice.llm.offline_rules.concepts import concepts_in_han, concepts_of

_MOST_DESCRIPTION = 200
_MOST_DIGITS = 9
_EMPTY_WORDS = frozenset(
    (
        *(
            "self",
            "mcp",
            "device",
            "the",
            "a",
            "an",
            "of",
            "to",
            "and",
            "or",
            "is",
            "by",
            "in",
            "for",
            "with",
            "from",
            "all",
            "this",
        ),
        *(
            "tool",
            "use",
            "it",
            "can",
            "be",
            "you",
            "user",
            "when",
            "must",
            "call",
            "if",
            "value",
            "values",
            "your",
            "current",
            "on",
        ),
        *("off", "state", "status", "power", "s", "true", "false", "any", "that", "its", "provides", "information", "up", "down"),
    )
)
_TURNS = frozenset(
    ("turn", "switch", "set", "get", "change", "adjust", "control", "read", "query", "check", "toggle", "enable", "disable")
)
_GRAVE = re.compile(
    r"reboot|restart|reset|factory|firmware|upgrade|update|ota_|wifi|network|shut_?down|shutdown|power_?off|erase|delete|remove|format|"
    r"unlock|unpair|pay_|purchase",
    re.IGNORECASE,
)
_GRAVELY_DESCRIBED = re.compile(
    r"caution|confirm|\breboot|\brestart|factory reset|shut ?down|重启|恢复出厂|配网|关机|格式化|解锁|删除", re.IGNORECASE
)


class Kind(Enum):
    """What a tool does, or an utterance wants."""

    ON = auto()
    OFF = auto()
    TOGGLE = auto()
    SET = auto()
    ASK = auto()
    DO = auto()


@dataclass(frozen=True, slots=True)
class Skill:
    """``subjects``: what its name is about; ``related``: what the first sentence of its description adds. ``is_grave``: what it
    does may not be done on a mishearing.
    """

    tool: Tool
    kind: Kind
    subjects: frozenset[str]
    related: frozenset[str]
    is_grave: bool

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """The schemas of its parameters, by their names."""
        properties = self.tool.parameters.get("properties")
        items = properties.items() if isinstance(properties, dict) else ()
        return {str(name): schema if isinstance(schema, dict) else {} for name, schema in items}

    @property
    def required(self) -> list[str]:
        required = self.tool.parameters.get("required")
        names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
        return [name for name in names if name in self.parameters]

    @property
    def summary(self) -> str:
        """The first sentence of its description, without its stop; else its name."""
        return first_sentence(self.tool.description) or " ".join(_words(self.tool.name))


def skill_of(tool: Tool) -> Skill:
    """Reads a tool's name, its description and its schema."""
    properties = tool.parameters.get("properties")
    names = tuple(str(name).lower() for name in (properties if isinstance(properties, dict) else ()))
    return Skill(tool, *_read(tool.name, tool.description, names))


@lru_cache(maxsize=1024)
def _read(name: str, description: str, parameters: tuple[str, ...]) -> tuple[Kind, frozenset[str], frozenset[str], bool]:
    words, told = _words(name), first_sentence(description)
    kind = _kind(words)
    subjects = {concept for word in words if word not in _EMPTY_WORDS | _TURNS for concept in concepts_of(word)}
    related = {concept for word in _words(told) if word not in _EMPTY_WORDS for concept in concepts_of(word)}
    related |= concepts_in_han(told) | {concept for parameter in parameters for concept in concepts_of(parameter)}
    is_grave = kind is not Kind.ASK and bool(_GRAVE.search(name) or _GRAVELY_DESCRIBED.search(description))
    return kind, frozenset(subjects), frozenset(related - subjects), is_grave


def range_of(schema: dict[str, Any]) -> tuple[int | None, int | None]:
    """The least and the most of a number; None where the schema says nothing of use."""
    return whole(schema.get("minimum")), whole(schema.get("maximum"))


def whole(value: Any) -> int | None:
    """A number that a device tells, without its fraction; None for all else."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= _MOST_DIGITS:
        return int(value)
    return int(value) if isinstance(value, int | float) and abs(value) < 10**_MOST_DIGITS else None


def first_sentence(text: str) -> str:
    """The beginning of a description, up to its first stop or line break."""
    return re.split(r"[.。!！;；\n]", text.strip(), maxsplit=1)[0][:_MOST_DESCRIPTION].strip()


def _words(name: str) -> list[str]:
    """The words of ``self_ledStrip_set-all_color``, in lower case."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.findall(r"[a-z]+", parted.lower())


def _kind(words: list[str]) -> Kind:
    said = set(words)
    if said & {"get", "read", "query", "check", "is", "list", "status", "state"} and not said & {"set", "turn", "toggle"}:
        return Kind.ASK
    if "toggle" in said or {"on", "off"} <= said:
        return Kind.TOGGLE
    if said & {"on", "open", "enable"}:
        return Kind.ON
    if said & {"off", "close", "disable"}:
        return Kind.OFF
    return Kind.SET if said & {"set", "change", "adjust", "control", "switch"} else Kind.DO
