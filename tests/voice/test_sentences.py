"""A streamed reply, cut into sentences."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.voice.sentences import LONGEST, LONGEST_WORD, Sentences

SAMPLES = (
    "Hello there. It is 3.14, e.g. Dr. Smith said so! See www.example.com. Bye.",
    "😊 Hi! How are you? 😀 Fine.\n\n1. One thing\n2. Another\n- a bullet\n",
    "你好，我是小智。今天天气很好，我们出去玩吧！“好的。”他说……然后呢？",
    "Wait... what? \"Yes.\" He said 'no.' Well, the capital of that country is a very big town, as you know; it really is.",
    "Here:\n```py\nprint(1). Foo\n\n```\nDone. `code` and ~~old~~ **bold.** Next",
    "At 5 p.m. We met J. R. Smith — in the U.S. — and more… No. No. 5 is here. 👨‍👩‍👧 👍🏽 1️⃣",
)
TEXTS = st.one_of(
    st.sampled_from(SAMPLES),
    st.text(alphabet="ab .!?,;:\n\"'”’)*`~-—…123。！？，”😀👍🏽\u200d\ufe0fDr你好", max_size=400),
    st.lists(st.sampled_from(SAMPLES), max_size=4).map("".join),
)


def cut(*pieces: str) -> list[str]:
    sentences = Sentences()
    return [sentence for piece in pieces for sentence in sentences.feed(piece)] + sentences.flush()


@given(TEXTS)
def test_no_character_is_lost_or_doubled(text: str) -> None:
    assert "".join("".join(cut(text)).split()) == "".join(text.split())


@given(TEXTS, st.lists(st.integers(0, 400)))
def test_the_sentences_do_not_depend_on_the_pieces(text: str, cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(min(at, len(text)) for at in cuts)})
    pieces = [text[begin:end] for begin, end in pairwise(edges)]
    assert cut(*pieces) == cut(text) == cut(*text)


@given(TEXTS)
def test_every_sentence_but_the_last_says_something(text: str) -> None:
    assert all(any(map(str.isalnum, sentence)) for sentence in cut(text)[:-1] if len(sentence) < LONGEST)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("It is 3.14 exactly. Right?", ["It is 3.14 exactly.", "Right?"]),
        ("Dr. Smith met Mrs. Jones. They talked.", ["Dr. Smith met Mrs. Jones.", "They talked."]),
        ("Take fruit, e.g. Apples. Or not.", ["Take fruit, e.g. Apples.", "Or not."]),
        ("See www.example.com. It helps.", ["See www.example.com.", "It helps."]),
        ("Meet J. R. Smith. So do I. Yes.", ["Meet J. R. Smith.", "So do I.", "Yes."]),
        ("At 5 p.m. we go. At 6 p.m. They come.", ["At 5 p.m. we go.", "At 6 p.m.", "They come."]),
        ("No. No. 5 is there.", ["No.", "No. 5 is there."]),
        ("1. First\n2. Second", ["1. First", "2. Second"]),
        ("- one\n- two\n\n# Title\nText", ["- one", "- two", "# Title", "Text"]),
        ("Wait... what? Well... Yes.", ["Wait... what?", "Well...", "Yes."]),
        ('"Yes." He said "What?" and left.', ['"Yes."', 'He said "What?" and left.']),
        ("**Bold.** Next.", ["**Bold.**", "Next."]),
        ("Great! 😀 Now this.", ["Great! 😀", "Now this."]),
        ("Great!👍🏽 Now this.", ["Great!👍🏽", "Now this."]),
        ("😊 Hi! Yes.", ["😊 Hi!", "Yes."]),
        ("😊\nHi.", ["😊\nHi."]),
        ("Really?! Yes!!! Fine.", ["Really?!", "Yes!!!", "Fine."]),
        ("你好。我是小智！“好的。”他说……然后呢？", ["你好。", "我是小智！", "“好的。”", "他说……然后呢？"]),
        ("今日は晴れです。明日も。", ["今日は晴れです。", "明日も。"]),
        ("你好!我很好.谢谢", ["你好!", "我很好.", "谢谢"]),
    ],
)
def test_sentences_end_where_a_reader_pauses(text: str, sentences: list[str]) -> None:
    assert cut(text) == sentences


def test_the_first_sentence_ends_at_a_comma_so_that_speech_begins_soon() -> None:
    text = "The capital of that country is Paris, which is a big town, and has been one for a long time, as you know."
    assert cut(text) == [
        "The capital of that country is Paris,",
        "which is a big town, and has been one for a long time, as you know.",
    ]


def test_a_chinese_first_sentence_ends_at_a_comma_after_fewer_characters() -> None:
    assert cut("今天的天气非常非常好，我们可以一起出去玩。")[0] == "今天的天气非常非常好，"


def test_a_short_first_clause_is_not_cut_off() -> None:
    assert cut("Well, yes, it is so.") == ["Well, yes, it is so."]


def test_a_number_or_a_time_is_no_clause() -> None:
    assert cut("The train to the big town leaves at 10:30 and costs 1,000 in all.") == [
        "The train to the big town leaves at 10:30 and costs 1,000 in all."
    ]


def test_a_sentence_is_given_as_soon_as_the_next_one_begins() -> None:
    sentences = Sentences()
    assert sentences.feed("Hello there. ") == []
    assert sentences.feed("H") == ["Hello there."]


def test_a_line_break_ends_a_sentence_at_once() -> None:
    assert Sentences().feed("Let me look\n") == ["Let me look"]


def test_a_text_without_marks_is_cut_at_a_blank() -> None:
    sentences = cut("word " * 100)
    assert all(len(sentence) <= LONGEST and sentence.split()[-1] == "word" for sentence in sentences)


def test_a_chinese_text_without_marks_is_cut_anywhere() -> None:
    assert max(map(len, cut("啊" * 300))) < LONGEST


def test_a_word_without_end_is_cut_after_all() -> None:
    assert list(map(len, cut("x" * (LONGEST_WORD + 5)))) == [LONGEST_WORD, 5]


def test_code_between_fences_stays_in_one_piece() -> None:
    assert cut("Here:\n```py\nprint(1). Foo. Bar\n\nx\n```\nThat was it.") == [
        "Here:",
        "```py\nprint(1). Foo. Bar\n\nx\n```",
        "That was it.",
    ]


def test_after_a_flush_the_next_reply_begins() -> None:
    sentences = Sentences()
    assert sentences.feed("One") == []
    assert sentences.flush() == ["One"]
    assert sentences.flush() == []
    assert [*sentences.feed("Two. Three"), *sentences.flush()] == ["Two.", "Three"]
