"""The table of rules: what is said, in English and in Chinese, and who answers. The first that has an answer is taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from app.voice.llm.offline_rules.adjusting import adjust_brightness, adjust_volume
from app.voice.llm.offline_rules.clock import tell_date, tell_time
from app.voice.llm.offline_rules.device import look, use_device
from app.voice.llm.offline_rules.smalltalk import (
    accept_thanks,
    decline,
    greet,
    repeat,
    take_leave,
    tell_abilities,
    tell_mood,
    tell_name,
)
from app.voice.llm.offline_rules.status import tell_battery, tell_network, tell_status
from app.voice.llm.offline_rules.turn import Answer, Turn


@dataclass(frozen=True, slots=True)
class Rule:
    """``english``: phrases that the utterance has to come close to; ``chinese``: a pattern of all of it, courtesies aside.

    Without either the handler looks for itself, and answers None to what is not its own.
    """

    intent: str
    english: tuple[str, ...]
    chinese: str
    handler: Callable[[Turn], Answer]

    def answer(self, turn: Turn) -> Answer:
        """Its handler's answer; None: the utterance means something else."""
        if not self.english and not self.chinese:
            return self.handler(turn)
        if turn.heard.is_chinese:
            means_it = re.fullmatch(self.chinese, turn.heard.bare_han) is not None
        else:
            means_it = turn.heard.resembles(self.english)
        return self.handler(turn) if means_it else None


_NOW = "(现在|当前|此刻|你知道|告诉我|报一下|北京|北京的|是|到|请问)*"

RULES = (
    Rule(
        "time",
        (
            *("what time is it", "what is the time", "tell me the time", "the time please", "current time", "time"),
            *(
                "do you know what time it is",
                "can you tell me what time it is",
                "tell me what time it is",
                "can you tell me the time",
            ),
        ),
        f"{_NOW}(几点|几点钟|什么时间|什么时候|时间|报时)(了|钟|是多少|是几点)*",
        tell_time,
    ),
    Rule(
        "date",
        (
            *("what is the date", "what is the date today", "what day is it", "what day is it today", "what is todays date"),
            *("which day is today", "what day is tomorrow", "what day of the week is it", "what was the date yesterday"),
            *("what is the date tomorrow", "tell me the date", "what month is it", "what year is it"),
            *("what day is the day after tomorrow", "what day was yesterday"),
        ),
        f"{_NOW}(今天|明天|昨天|后天|今年|这个月|今)?{_NOW}"
        "(几号|几月几号|几月几日|星期几|礼拜几|周几|日期|哪一天|什么日子|哪年|几月|是哪年)(了|是什么|是多少|是几号)*",
        tell_date,
    ),
    Rule("volume", (), "", adjust_volume),
    Rule("brightness", (), "", adjust_brightness),
    Rule(
        "battery",
        (
            *("what is the battery level", "how much battery is left", "battery level", "how full is the battery", "battery"),
            *("is the battery charging", "how much charge is left", "how much power is left", "is the battery full"),
            *("what is the battery life", "battery life", "battery status"),
        ),
        "(现在|当前|你|你的|设备|设备的|还|还有|剩|剩余)*(电量|电池|多少电|电池电量)(还|还有|剩|有|是|多少|怎么样|了|几格|在充电|充满)*",
        tell_battery,
    ),
    Rule(
        "network",
        (
            "which network are you connected to",
            "what is the wifi",
            "which wifi is it",
            "are you connected to the wifi",
            "network status",
        ),
        "(现在|当前|你|设备)*(连|连接|连着|用)?(的|了)?(是)?(什么|哪个)?(网络|无线网|wifi)(是什么|状态|叫什么|连上了)*",
        tell_network,
    ),
    Rule(
        "status",
        (
            "what is your status",
            "device status",
            "how is the device",
            "tell me the status of the device",
            "what is the device status",
        ),
        "(现在|当前|你|你的|设备|设备的|系统)*(状态|情况)(怎么样|如何|是什么)*",
        tell_status,
    ),
    Rule(
        "repeat",
        (
            *("say that again", "repeat that", "what did you say", "can you repeat that", "please repeat", "say it again"),
            *("one more time", "pardon", "come again"),
        ),
        "(你)?(再|重新|重复)(说|讲|来)?(一遍|一次|一下)?|重复(一遍|一下)?|(你)?(刚才|刚刚)?说(了)?什么|什么|没听清(楚)?",
        repeat,
    ),
    Rule(
        "abilities",
        ("what can you do", "what can i say", "help", "help me", "what can you help me with", "what are you able to do"),
        "(你)?(都|能|会|可以|有)*(做|干|帮我做|说)?(什么|哪些|些什么|啥)(功能|事|本领|事情)?|帮助|怎么用|使用说明|救命",
        tell_abilities,
    ),
    Rule(
        "name",
        ("who are you", "what is your name", "what are you", "tell me about yourself", "are you a robot"),
        "(你)(是|叫)(谁|什么|什么名字|啥)|(你)?(自我)?介绍(一下)?(你)?(自己)?|(你)?的?名字(是什么|叫什么)?",
        tell_name,
    ),
    Rule("mood", ("how are you", "how are you doing", "how do you do"), "(你)?(好吗|怎么样|最近怎么样|还好)|你好吗", tell_mood),
    Rule(
        "thanks",
        ("thank you", "thanks", "thank you very much", "thanks a lot", "many thanks"),
        "(好的|非常|太|多)?(谢谢|感谢|多谢|谢了)(你|您|啊|了)*",
        accept_thanks,
    ),
    Rule(
        "hello",
        ("hello", "hi", "hey", "hello there", "hi there", "good morning", "good evening", "good afternoon"),
        "(你好|您好|嗨|哈喽|喂|早上好|早安|下午好|晚上好|小智)+",
        greet,
    ),
    Rule("farewell", ("goodbye", "bye", "bye bye", "see you later", "good night"), "再见|拜拜|晚安|回头见", take_leave),
    Rule(
        "look",
        ("what do you see", "what can you see", "look at this", "what am i holding", "what is in front of you"),
        "(你)?(看看?|看到|看见)(了|到)?(这|这个|我手里)?(的)?(是)?什么(东西)?|(你)?看看(这个|这)?|这是什么(东西)?",
        look,
    ),
    Rule("device", (), "", use_device),
    Rule("anything else", (), "", decline),
)
