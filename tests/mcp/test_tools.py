"""What a tool is to a model: its safe name, its description, and whether it gets to see it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mcp import tools
from app.mcp.tools import DeviceTool
from app.protocol.malformed import Malformed


def named(*names: str) -> list[str]:
    return [tool.safe_name for tool in tools.with_safe_names(DeviceTool(name) for name in names)]


def test_dots_become_underscores() -> None:
    assert named("self.light.turn_on", "plain-name") == ["self_light_turn_on", "plain-name"]


def test_collisions_are_numbered_and_a_safe_name_stays_its_owners() -> None:
    assert named("a.b", "a b", "a_b") == ["a_b_2", "a_b_3", "a_b"]
    assert named("开灯", "关灯") == ["__", "___2"]


def test_long_names_are_cut_and_still_told_apart() -> None:
    first, second = named("x." * 40, "x." * 40 + "y")
    assert len(first) == len(second) == 64
    assert second.endswith("_2")


def test_of_two_tools_of_one_name_the_first_is_kept() -> None:
    kept = tools.with_safe_names([DeviceTool("a", "first"), DeviceTool("b"), DeviceTool("a", "second")])
    assert [(tool.name, tool.description) for tool in kept] == [("a", "first"), ("b", "")]


@given(st.lists(st.text("ab_.-灯", min_size=1, max_size=70), max_size=12))
def test_safe_names_are_safe_and_no_two_alike_and_no_other_tools_own(names: list[str]) -> None:
    named_tools = tools.with_safe_names(DeviceTool(name) for name in names)
    safe = [tool.safe_name for tool in named_tools]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in safe)
    assert len(set(safe)) == len(safe)
    assert all(tool.safe_name == other.safe_name for tool in named_tools for other in named_tools if tool.safe_name == other.name)


def test_descriptions_speak_of_other_tools_by_their_safe_names() -> None:
    described = tools.with_safe_names([DeviceTool("self.a", "first self.a.b, then `self.a`"), DeviceTool("self.a.b")])
    assert described[0].description == "first self_a_b, then `self_a`"


@pytest.mark.parametrize(
    ("entry", "for_people"),
    [
        ({"name": "self.light.turn_on"}, False),
        ({"name": "self.reboot"}, True),
        ({"name": "self.x", "annotations": {"audience": ["user"]}}, True),
        ({"name": "self.x", "annotations": {"audience": ["user", "assistant"]}}, False),
        ({"name": "self.x", "annotations": {"audience": "user"}}, False),
    ],
)
def test_what_is_for_people_is_told_by_its_name_or_its_audience(entry: dict[str, Any], for_people: bool) -> None:
    assert tools.read(entry).for_people is for_people


@pytest.mark.parametrize(
    "entry", [None, [], {}, {"name": ""}, {"name": 5}, {"name": "x" * 129}, {"name": "a\nb"}, {"name": "a", "inputSchema": []}]
)
def test_an_entry_that_is_no_tool_is_malformed(entry: Any) -> None:
    with pytest.raises(Malformed):
        tools.read(entry)


def test_a_description_is_cut_and_holds_whole_characters() -> None:
    assert tools.read({"name": "a", "description": "\ud800" + "x" * 2000}).description == "x" * 1023
    assert tools.read({"name": "a", "description": ["x"]}).description == ""
