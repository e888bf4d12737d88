"""The walk through the pages of tools/list, and its bounds."""

from __future__ import annotations

from typing import Any

import pytest

from app.mcp import discovery
from app.mcp.discovery import Discovery, Stage


def page(*names: str, cursor: Any = None, **more: Any) -> dict[str, Any]:
    return {"tools": [{"name": name, **more} for name in names], "nextCursor": cursor}


def listing() -> Discovery:
    return Discovery(initialize=False)


def names(walk: Discovery) -> list[str]:
    return [tool.name for tool in walk.tools()]


def test_a_cursor_that_came_before_ends_the_list() -> None:
    walk = listing()
    for name, cursor in (("a", "x"), ("b", "y"), ("c", "x")):
        assert walk.stage is Stage.LIST
        walk.answered(page(name, cursor=cursor))
    assert walk.stage is Stage.DONE
    assert names(walk) == ["a", "b", "c"]
    assert "came before" in walk.left_out[0]


def test_so_many_pages_are_asked_for_and_no_more() -> None:
    walk = listing()
    asked = 0
    while not walk.is_over:
        walk.answered(page(cursor=str(asked)))
        asked += 1
    assert asked == discovery.MAX_PAGES


def test_so_many_tools_are_taken_and_no_more() -> None:
    walk = listing()
    walk.answered(page(*(f"t{index}" for index in range(100)), cursor="more"))
    assert walk.stage is Stage.DONE
    assert len(walk.tools()) == discovery.MAX_TOOLS


def test_so_many_bytes_are_taken_and_no_more() -> None:
    walk = listing()
    schema = {"type": "object", "properties": {f"p{index}": {"description": "x" * 350} for index in range(10)}}
    walk.answered(page(*(f"t{index}" for index in range(60)), description="x" * 1024, inputSchema=schema))
    assert walk.stage is Stage.DONE
    assert 0 < sum(tool.size for tool in walk.tools()) <= discovery.MAX_BYTES
    assert "KiB" in walk.left_out[0]


def test_a_tool_that_cannot_be_used_is_left_out_and_named() -> None:
    walk = listing()
    walk.answered({"tools": [{"name": "good"}, {"name": "bad", "inputSchema": {"type": "array"}}, 7]})
    assert names(walk) == ["good"]
    assert walk.left_out[0].startswith("bad: ")


@pytest.mark.parametrize("result", [None, [], {}, {"tools": {}}, "tools"])
def test_a_page_that_is_none_fails(result: Any) -> None:
    walk = listing()
    walk.answered(result)
    assert walk.stage is Stage.FAILED


@pytest.mark.parametrize("cursor", [7, ["x"], "x" * 257])
def test_a_cursor_that_is_no_short_text_ends_the_list(cursor: Any) -> None:
    walk = listing()
    walk.answered(page("a", cursor=cursor))
    assert walk.stage is Stage.DONE
    assert names(walk) == ["a"]
