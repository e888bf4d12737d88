"""Reasoning between tags is taken out of a text that comes in pieces."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.voice.llm.reasoning import NAMES, ReasoningFilter


def filtered(*pieces: str) -> str:
    reasoning = ReasoningFilter()
    return "".join(map(reasoning.feed, pieces)) + reasoning.end()


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[begin:end] for begin, end in pairwise(edges)]


def test_each_of_the_tags_is_known_in_any_case() -> None:
    for name in NAMES:
        assert filtered(f"<{name}>hm</{name}>Hi.") == "Hi."
        assert filtered(f"<{name.upper()}>hm</{name.title()}>Hi.") == "Hi."


def test_reasoning_that_never_ends_is_not_heard() -> None:
    assert filtered("Well. <think>hm, hm") == "Well. "


def test_an_answer_is_heard_at_once_and_only_what_may_become_a_tag_is_kept() -> None:
    reasoning = ReasoningFilter()
    assert reasoning.feed("Hello <th") == "Hello "
    assert reasoning.feed("ree> and 1 < 2 <") == "<three> and 1 < 2 "
    assert reasoning.end() == "<"


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "</", "th", " ", "\n", "a."]), max_size=12).map("".join),
    st.lists(st.integers(0, 200), max_size=8),
)
def test_wherever_the_text_is_cut_the_same_is_heard(text: str, places: list[int]) -> None:
    assert filtered(*cut(text, places)) == filtered(text)


@given(st.text(max_size=30), st.text(" \n<ab", max_size=30), st.lists(st.integers(0, 200), max_size=8))
def test_nothing_of_the_reasoning_is_heard(thought: str, answer: str, places: list[int]) -> None:
    text = f"<think>{thought.replace('<', '')}</think>{answer.replace('<', '')}"
    assert filtered(*cut(text, places)) == answer.replace("<", "").lstrip()
