"""Goodbyes, and what only talks about them."""

from __future__ import annotations

import pytest

from app.voice.farewell import is_farewell


@pytest.mark.parametrize(
    "text",
    [
        *("goodbye", "Good bye.", "Bye bye!", "bye", "See you tomorrow!", "Good night, my friend.", "ok thanks bye", "so long"),
        *(
            "that's all, thanks",
            "No, that’s all, thank you very much.",
            "Goodbye, Peter",
            "goodbye Peter",
            "good buy",
            "Jarvis, bye",
        ),
        *("I have to go now", "talk to you later", "have a nice day, bye", "stop listening", "Tschüss!", "Auf Wiedersehen"),
        *(
            "再见",
            "好的，谢谢，拜拜！",
            "退下吧",
            "晚安",
            "回头见",
            "小智再见",
            "再见，小明",
            "我要睡觉了",
            "没事了，谢谢",
            "我先走了",
            "明天见",
        ),
    ],
)
def test_a_goodbye_is_one(text: str) -> None:
    assert is_farewell(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "how do you say goodbye in french",
            "good night stories",
            "play bye bye baby",
            "say goodbye to the cat",
            "thank you",
        ),
        *(
            "no",
            "see",
            "I see you",
            "what is all that",
            "set an alarm for good night",
            "so",
            "good",
            "that's it",
            "tell me goodbye",
        ),
        *("再见怎么说", "晚安是什么意思", "谢谢", "走", "好的", "我想听晚安曲", "说再见", "打开灯", "bye " * 40),
    ],
)
def test_what_only_mentions_a_goodbye_is_none(text: str) -> None:
    assert not is_farewell(text)
