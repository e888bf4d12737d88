"""What words have in common: the things and colours that utterances and tools name in many ways, in English and Chinese."""

from __future__ import annotations

import re

from app.voice.llm.offline_rules.heard import LITTLE_WORDS, likeness

_CONCEPTS: tuple[tuple[str, str, str], ...] = (
    ("light", "light lamp led bulb lighting", "灯光 灯泡 灯带 台灯 灯"),
    ("strip", "strip ring", "灯带 灯条"),
    ("screen", "screen display backlight monitor", "屏幕 显示屏 背光"),
    ("theme", "theme skin", "主题 皮肤"),
    ("brightness", "brightness", "亮度"),
    ("volume", "volume loudness", "音量"),
    ("color", "color colour rgb", "颜色"),
    ("photo", "photo picture camera photograph snapshot", "照片 拍照 相机 摄像头 照相 拍"),
    ("music", "music song songs tune", "音乐 歌曲 歌"),
    ("fan", "fan", "风扇 电扇"),
    ("heater", "heater heating", "暖气 加热器 取暖器"),
    ("conditioner", "conditioner aircon ac", "空调"),
    ("curtain", "curtain curtains blind blinds shutter", "窗帘"),
    ("door", "door gate", "门"),
    ("window", "window", "窗户 窗"),
    ("relay", "relay switch", "继电器 开关"),
    ("socket", "socket plug outlet", "插座"),
    ("pump", "pump", "水泵"),
    ("motor", "motor", "电机 马达"),
    ("temperature", "temperature", "温度"),
    ("humidity", "humidity", "湿度"),
    ("sensor", "sensor", "传感器"),
    ("alarm", "alarm", "闹钟"),
    ("timer", "timer countdown", "定时器 倒计时 计时"),
    ("forward", "forward forwards ahead", "前进 向前 往前"),
    ("back", "back backward backwards", "后退 向后 往后"),
    ("left", "left", "左"),
    ("right", "right", "右"),
    ("stop", "stop halt", "停止 停下 停"),
    ("start", "start begin", "开始"),
    ("dance", "dance dancing", "跳舞 跳个舞 跳支舞 跳一支舞 舞蹈"),
    ("walk", "walk", "走路 走"),
    ("jump", "jump", "跳跃 跳"),
    ("turn", "rotate spin", "旋转 转圈 转"),
    ("wave", "wave", "挥手 招手"),
    ("sit", "sit", "坐下 坐"),
    ("stand", "stand", "站立 站起来 起立"),
    ("play", "play", "播放 放"),
    ("pause", "pause", "暂停"),
    ("next", "next skip", "下一首 下一个"),
    ("previous", "previous", "上一首 上一个"),
    ("breathe", "breathe breathing", "呼吸灯 呼吸"),
    ("rainbow", "rainbow", "彩虹"),
    ("blink", "blink flash flashing", "闪烁 闪"),
    ("mode", "mode", "模式"),
    ("speed", "speed", "速度"),
    ("dark", "dark", "深色 暗色 黑暗 夜间"),
    ("bright", "light bright", "浅色 亮色 明亮"),
    ("kitchen", "kitchen", "厨房"),
    ("bedroom", "bedroom", "卧室"),
    ("living", "living", "客厅"),
    ("desk", "desk table", "书桌 桌"),
    ("garden", "garden", "花园"),
)

_WORDS: dict[str, set[str]] = {}
for _name, _english, _han in _CONCEPTS:
    for _word in _english.split():
        _WORDS.setdefault(_word, set()).add(_name)
_HAN = {word: name for name, _english, han in _CONCEPTS for word in han.split()}
_HAN_WORD = re.compile("|".join(sorted(_HAN, key=len, reverse=True)))

COLORS: dict[str, tuple[int, int, int]] = {
    **dict.fromkeys(("red", "红"), (255, 0, 0)),
    **dict.fromkeys(("green", "绿"), (0, 255, 0)),
    **dict.fromkeys(("blue", "蓝"), (0, 0, 255)),
    **dict.fromkeys(("yellow", "黄"), (255, 200, 0)),
    **dict.fromkeys(("orange", "橙"), (255, 120, 0)),
    **dict.fromkeys(("purple", "violet", "紫"), (160, 0, 255)),
    **dict.fromkeys(("pink", "粉"), (255, 80, 150)),
    **dict.fromkeys(("cyan", "turquoise", "青"), (0, 255, 255)),
    **dict.fromkeys(("white", "白"), (255, 255, 255)),
}
"""Red, green and blue, 0 to 255, by the colour's name."""
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def concepts_of(word: str) -> set[str]:
    """What an English word, in lower case, stands for; a word that is not in the list for itself."""
    found = _WORDS.get(word) or _WORDS.get(word.removesuffix("s"))
    return found or {word}


def concepts_heard(word: str) -> set[str]:
    """The same for a word that may have been misheard."""
    found = concepts_of(word)
    if found != {word} or word in LITTLE_WORDS:
        return found
    near = max(_WORDS, key=lambda other: likeness(word, other))
    return _WORDS[near] if likeness(word, near) else found


def concepts_in_han(text: str) -> set[str]:
    """What the known words of a Chinese text stand for."""
    return {_HAN[word] for word in _HAN_WORD.findall(text)}


def han_words_in(text: str) -> list[str]:
    """Those words."""
    return _HAN_WORD.findall(text)


def without_concepts(text: str) -> str:
    """The rest of a Chinese text."""
    return _HAN_WORD.sub("", text)


def color_in(text: str, words: tuple[str, ...]) -> tuple[int, int, int] | None:
    """The colour that is named in an utterance."""
    for name, color in COLORS.items():
        if name in words or (not name.isascii() and name in text):
            return color
    return None
