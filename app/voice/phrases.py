"""What the server says by itself, in the languages it knows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrases:
    """Sentences to be spoken; those whose name ends in ``status`` are titles of an alert on the device's screen."""

    language: str
    greeting: str
    """To a wake word."""
    farewell: str
    """To a goodbye."""
    nothing_heard: str
    """The first time; the second time in a row the session ends."""
    nothing_heard_goodbye: str
    recognizer_failed: str
    """Instead of an answer."""
    mind_failed: str
    """Instead of an answer, or of the rest of it."""
    voice_failed: str
    """In the emergency voice, before the sentence that the usual one could not speak."""
    no_audio: str
    """The device listened, and not one audio packet came."""
    fault_status: str
    no_audio_status: str


ENGLISH = Phrases(
    language="en",
    greeting="Hi, I'm listening.",
    farewell="Goodbye!",
    nothing_heard="I did not catch that. Please say it again.",
    nothing_heard_goodbye="I hear nothing, so I will leave you in peace. Call me when you need me.",
    recognizer_failed="Sorry, I cannot understand you right now: the speech recognizer does not answer.",
    mind_failed="Sorry, I cannot think right now: the language model does not answer.",
    voice_failed="My usual voice is not available.",
    no_audio="I heard nothing: no audio reached me.",
    fault_status="Something is wrong",
    no_audio_status="No sound",
)
CHINESE = Phrases(
    language="zh",
    greeting="你好，我在听。",
    farewell="再见！",
    nothing_heard="我没有听清，请再说一遍。",
    nothing_heard_goodbye="我没有听到声音，先不打扰你了，需要时再叫我。",
    recognizer_failed="抱歉，我现在听不懂：语音识别没有回应。",
    mind_failed="抱歉，我现在无法思考：语言模型没有回应。",
    voice_failed="我平时的声音暂时用不了。",
    no_audio="我什么也没听到：没有收到声音。",
    fault_status="出了点问题",
    no_audio_status="没有声音",
)
_BY_LANGUAGE = {phrases.language: phrases for phrases in (ENGLISH, CHINESE)}


def phrases_in(language: str) -> Phrases:
    """The phrases for a BCP 47 tag, in English where its language has none."""
    primary = language.replace("_", "-").partition("-")[0].lower()
    return _BY_LANGUAGE.get(primary, ENGLISH)
