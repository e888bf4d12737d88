"""What a tool's answer is to a model."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.mcp import answer
from app.mcp.answer import Answer

INNER = json.dumps({"type": "image", "mimeType": "image/jpeg", "data": "AAAA" * 100})


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"content": [{"type": "text", "text": "true"}], "isError": False}, "true"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "a\nb"),
        ({"content": []}, "done"),
        ({"content": [{"type": "image", "mimeType": "image/png", "data": "AAAA"}]}, "[image/png image, 3 bytes]"),
        ({"content": [{"type": "image", "image": INNER}]}, "[image/jpeg image, 300 bytes]"),
        ({"content": [{"type": "image", "image": "{"}]}, "[image]"),
        ({"content": [{"type": "resource", "resource": {}}, 7]}, "[resource]"),
        ({"success": True}, '{"success": true}'),
        ("done it", "done it"),
        (None, "null"),
    ],
)
def test_texts_are_joined_and_other_parts_named(result: Any, text: str) -> None:
    assert answer.of_result(result) == Answer(text)


def test_a_failed_tool_says_why() -> None:
    assert answer.of_result({"content": [], "isError": True}) == Answer("The tool failed: it did not say why", failed=True)


def test_a_long_answer_is_cut_between_characters() -> None:
    text = answer.of_result({"content": [{"type": "text", "text": "灯" * 5000}]}).text
    assert len(text.encode()) <= answer.MAX_BYTES
    assert text.startswith("灯灯灯")
    assert text.endswith("灯 … (cut off)")


def test_half_characters_become_whole_ones() -> None:
    assert answer.of_failure("\ud83d").text == "The device refused: ?"
