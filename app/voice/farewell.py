"""Goodbyes: whether an utterance, taken whole, takes leave."""

from __future__ import annotations

import re

MAX_LENGTH = 80
"""Characters; a longer utterance says something else too."""

_LATIN_GOODBYES = (
    r"good ?bye",
    r"bye(bye)?",
    r"(good (by|buy)|by by|buy buy)",  # as a recognizer may write it
    r"(i('ll| will) )?(see|catch) (you|ya|u)( all)?( (later|soon|tomorrow|tonight|again|then|around|next time|on \w+day))*",
    r"see (you|ya) in the (morning|evening|afternoon)",
    r"later alligator",
    r"good ?night( and sweet dreams)?",
    r"(sleep well|sweet dreams)",
    r"(farewell|so long|take care|cheerio|ciao|adios|goodbye for now)",
    r"(i('ll| will) )?(talk|speak) to you (later|soon|tomorrow|again)",
    r"until (next time|tomorrow)",
    r"(that's|thats|that is|that was|that'll be|that will be) all( i (need|needed|wanted))?",
    r"(i'm|i am|we're|we are) (done|finished)",
    r"(i|we) (have to|must|gotta|got to|need to|should) go",
    r"(i've|i have) got to go",
    r"gotta go",
    r"(i'm|i am) (leaving|off|going to bed|going to sleep)",
    r"(stop listening|go to sleep|you can go|leave me alone|end (the|this) conversation)",
    r"have a (nice|good|great|lovely) (day|night|evening|one|weekend|time)",
    r"(auf wiedersehen|tschüss|au revoir|adiós|hasta luego|hasta mañana|arrivederci|até logo|tchau|до свидания|пока)",
    r"(さようなら|さよなら|またね|バイバイ|おやすみ|おやすみなさい|안녕히 계세요|잘 가|안녕히 가세요)",
)
_LATIN_COURTESIES = (
    r"(ok|okay|all right|alright|well|so|oh|no|nope|nothing|yes|yeah|right|great|perfect|fine|cool|good|hey|um|uh|er)",
    r"(then|now|for now|for today|for tonight|today|and|dear|again|please|just|everyone|everybody|guys|folks)",
    r"(thanks|thank you|many thanks)( so much| very much| a lot| again)?",
    r"(my (friend|dear)|buddy|mate|darling|honey|sweetie)",
    r"(it was )?nice (talking|to talk) (to|with) you",
    r"(xiao ?zhi|jarvis|alexa|computer|assistant|robot)",
)
_HAN_GOODBYES = (
    r"再[见見會会]",
    r"(拜{2,}|掰{2,}|byebye|bye|拜|88)",
    r"你?(可以)?(退下|下线|退出)",
    r"晚安",
    r"(回头|明天|待会儿?|等会儿?|一会儿?|晚点|下次|改天|改日|有空|下周)(再?[见見聊])",
    r"(回见|后会有期)",
    r"[我先得要该]+走",
    r"就?先?(聊?到这(里|儿)?|就?这样)",
    r"(没事(情)?了|没有?(别的|其他)的?事情?)",
    r"([我你]?去?(休息|睡觉|睡)[吧了]|我[要去得该先]+(休息|睡觉|睡))",
    r"我?不[聊说]了",
    r"((结束|停止|关闭)(对话|聊天|会话)|结束吧)",
    r"做?个?好梦",
)
_HAN_COURTESIES = (
    r"(好的?|行|嗯|哦|噢|那么?|那就|可以|不用|没有|对)",
    r"(谢谢|多谢|感谢|辛苦|謝謝|麻烦)",
    r"[了啦吧啊呀喔呢哈咯你您先去]",
    r"(大家|我们|咱们|朋友|亲爱的|小智(同学)?|同学|机器人)",
)
_GOODBYE = "#"


def _words(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b")


_LATIN_GOODBYE = _words(_LATIN_GOODBYES)
_LATIN_COURTESY = _words(_LATIN_COURTESIES)
_HAN_GOODBYE = re.compile("|".join(_HAN_GOODBYES))
_HAN_COURTESY = re.compile("|".join(_HAN_COURTESIES))
_HAS_HAN = re.compile(r"[\u4e00-\u9fff]")
_NAME = re.compile(r"[,，、 ]\s*([^\W\d_]+)\W*$")
_MARKS = re.compile(r"[^\w']+")


def is_farewell(text: str) -> bool:
    """Whether the whole utterance is a goodbye, courtesies and a name aside. A goodbye that is only talked about is none."""
    if len(text) > MAX_LENGTH:
        return False
    text = text.strip().replace("’", "'")
    return _takes_leave(text) or _takes_leave(_without_name(text))


def _takes_leave(text: str) -> bool:
    """Whether nothing but goodbyes is left when the courtesies are taken away."""
    if _HAS_HAN.search(text):
        rest = _HAN_COURTESY.sub("", _HAN_GOODBYE.sub(_GOODBYE, _MARKS.sub("", text.lower())))
    else:
        rest = _LATIN_COURTESY.sub("", _LATIN_GOODBYE.sub(_GOODBYE, _MARKS.sub(" ", text.lower())))
    return set(rest) - {" "} == {_GOODBYE}


def _without_name(text: str) -> str:
    """Without a last word that is a name as it is written: after a comma, or with a capital letter."""
    found = _NAME.search(text)
    if found is None:
        return text
    is_name = text[found.start()] != " " or found[1][0].isupper()
    return text[: found.start()] if is_name and len(found[1]) < 20 else text
