"""The face a device makes: the emotions its firmware knows, and which of them a reply has.

The names and their emoji are those of the firmware's emoji collection; it shows ``neutral`` for a name that it does not know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.voice.emoji import EMOJI, undressed


@dataclass(frozen=True, slots=True)
class Emotion:
    """``name``: for the device's ``llm`` and ``alert``; ``emoji``: its picture, one code point."""

    name: str
    emoji: str


EMOTIONS = tuple(
    Emotion(name, emoji)
    for name, emoji in (
        ("neutral", "😶"),
        ("happy", "🙂"),
        ("laughing", "😆"),
        ("funny", "😂"),
        ("sad", "😔"),
        ("angry", "😠"),
        ("crying", "😭"),
        ("loving", "😍"),
        ("embarrassed", "😳"),
        ("surprised", "😯"),
        ("shocked", "😱"),
        ("thinking", "🤔"),
        ("winking", "😉"),
        ("cool", "😎"),
        ("relaxed", "😌"),
        ("delicious", "🤤"),
        ("kissy", "😘"),
        ("confident", "😏"),
        ("sleepy", "😴"),
        ("silly", "😜"),
        ("confused", "🙄"),
    )
)
NEUTRAL = EMOTIONS[0]
_BY_NAME = {emotion.name: emotion for emotion in EMOTIONS}

_NEAREST = {
    "neutral": "😐 😑 🫥 🤐 🤖 🙊",
    "happy": "😀 😃 😄 😁 😊 ☺ 😺 😸 🤗 🥳 🎉 🎊 👍 👏 🙌 🙏 ✨ 🌟 ⭐ 🌞 ☀ 🎈 🤝 👋 💪 ✅",
    "laughing": "😅 😹 🤭",
    "funny": "🤣 🤡",
    "sad": "😞 😟 🙁 ☹ 😕 😢 🥺 😥 😓 😿 💔 😣 😖 😩 😫 🫤 🥀",
    "angry": "😡 🤬 😤 👿 😾 💢",
    "crying": "🥹",
    "loving": "🥰 🤩 😻 ❤ 🧡 💛 💚 💙 💜 🖤 🤍 🤎 🩷 🩵 🩶 💕 💖 💗 💓 💞 💘 💝 💟 ❣ 💑 👩‍❤‍👨 ❤‍🔥 🫶 🌹",
    "embarrassed": "🫣 😬 🙈 🫢",
    "surprised": "😮 😲 🙀 ❗ 🤯 ‼ ⁉",
    "shocked": "😨 😰 😧 😦 💀 ☠",
    "thinking": "🧐 🤨 💭 💡 🔍 🔎 🕵",
    "winking": "😼",
    "cool": "🆒 🕶 🔥 🚀",
    "relaxed": "😇 🧘 😮‍💨 ☕ 🍵 🌿 🌈",
    "delicious": "😋 🍰 🍕 🍔 🍜 🍣 🍎 🍓 🍦 🍫 🎂 🍳",
    "kissy": "😗 😙 😚 😽 💋",
    "confident": "💯 🦸 🏆 😈",
    "sleepy": "😪 🥱 💤 🌙 🌛 🌜 🛌",
    "silly": "😝 😛 🤪 🙃 👻 🐒",
    "confused": "❓ ❔ 🤷 😵 😵‍💫 🫨 🥴 😒",
}
"""What comes close to the emotions: a model has more emoji than a device has faces."""

_BY_EMOJI = {undressed(emoji): _BY_NAME[name] for name, some in _NEAREST.items() for emoji in some.split()}
_BY_EMOJI |= {emotion.emoji: emotion for emotion in EMOTIONS}

_WORDS = (
    ("sad", r"\b(sorry|unfortunately|apologi[sz]e|i'm afraid|too bad|regret)\b|抱歉|对不起|遗憾|可惜|很难过|對不起"),
    ("crying", r"\b(heartbroken|in tears)\b|呜呜|伤心"),
    ("laughing", r"\b((ha){2,}h?|(he){2,}|lol)\b|哈哈|嘿嘿|嘻嘻"),
    ("funny", r"\b(joke|funny|hilarious)\b|笑话|好笑|搞笑"),
    ("shocked", r"\b(oh no|oh my god|terrifying|shocking)\b|天哪|天啊|吓死"),
    ("surprised", r"\b(wow|whoa|amazing|incredible|unbelievable)\b|哇|真没想到|太神奇"),
    ("embarrassed", r"\b(oops|my mistake|embarrass\w*|my apologies)\b|不好意思|尴尬"),
    ("angry", r"\b(furious|angry|outrageous)\b|生气|气死"),
    ("kissy", r"\b(kiss|kisses|xoxo)\b|亲亲|么么哒"),
    ("loving", r"\b(love you|adore|sweetheart)\b|爱你|最喜欢你"),
    ("delicious", r"\b(delicious|yummy|tasty)\b|好吃|美味|流口水"),
    ("sleepy", r"\b(good night|sleep well|sweet dreams|yawn|sleepy)\b|晚安|好困|做个好梦"),
    (
        "confused",
        r"\b(not sure|don't understand|do not understand|confus\w+|did not get that|didn't catch)\b|不明白|不太懂|没听懂|不确定",
    ),
    ("thinking", r"\b(let me (think|see|check|look)|hm+)\b|让我(想想|看看|查)|想一想|嗯…"),
    ("relaxed", r"\b(relax|take a deep breath|peaceful)\b|放松|深呼吸"),
    ("confident", r"\b(of course|certainly|no problem|leave it to me)\b|当然|没问题|包在我身上"),
    (
        "happy",
        r"\b(great|glad|happy|congratulations|welcome|wonderful|hooray|nice to|awesome|my pleasure)\b"
        r"|太好了|太棒|恭喜|开心|高兴|欢迎|不客气",
    ),
)
_TELLING = tuple((re.compile(pattern, re.IGNORECASE), _BY_NAME[name]) for name, pattern in _WORDS)


def emotion_of(text: str) -> Emotion:
    """The emotion of a reply by its beginning: of its first emoji that tells one, else of its words, else ``neutral``."""
    for found in EMOJI.finditer(text):
        emotion = _of_emoji(found[0])
        if emotion is not None:
            return emotion
    for pattern, emotion in _TELLING:
        if pattern.search(text):
            return emotion
    return NEUTRAL


def _of_emoji(emoji: str) -> Emotion | None:
    """A joined emoji that is not in the list has the emotion of its first part."""
    bare = undressed(emoji).rstrip("\u200d")
    return _BY_EMOJI.get(bare) or _BY_EMOJI.get(bare[:1])
