"""What of a sentence is spoken, and shown: its words, without emoji, markdown, HTML and web addresses spelled out.

A sentence may be cut out of the middle of a markdown document, so marks without their counterpart go as well. This is no
markdown parser, on purpose: one takes ``2 * 3 * 4`` and ``snake_case`` for marked up and builds a document, where a line is
wanted. The number of a list item stays, since somebody who listens has nothing else to tell the items by.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from app.voice.emoji import EMOJI

_FENCED = re.compile(r"^[ \t]*(```|~~~)[^\n`]*(?:\n.*?(?:^[ \t]*\1[ \t]*$|\Z)|\Z)", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ELEMENTS = (
    "a|abbr|article|audio|b|big|blockquote|body|br|button|center|cite|code|dd|del|details|div|dl|dt|em|figure|font|footer|form|h[1-6]|"
    "head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark|meta|nav|ol|option|p|pre|q|s|samp|script|section|"
    "select|small|span|strike|strong|style|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|time|title|tr|tt|u|ul|var|video"
)
_TAG = re.compile(rf"</?(?:{_ELEMENTS})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_ENTITY = re.compile(r"&(?:#(\d{1,6})|(amp|lt|gt|quot|apos|nbsp));")
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE)
_TABLE_RULE = re.compile(r"^(?=[^\n]*\|)[ \t|:]*-[ \t|:\-]*$", re.MULTILINE)
_TABLE_ROW = re.compile(r"^[ \t]*\|(.+)\|[ \t]*$", re.MULTILINE)
_LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?)+", re.MULTILINE)
_HEADING_END = re.compile(r"[ \t]+#+[ \t]*$", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"]*\")?\)")
_REFERENCE = re.compile(r"!?\[([^\[\]]+)\]\[[^\[\]]*\]")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^<>\s]+)>", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?<![A-Za-z0-9])(?:https?://|www\.)[^\s<>\"'“”，。！？；：、（）【】《》「」\u3400-\u9fff]*[^\s<>\"'“”，。！？；：、（）【】《》「」\u3400-\u9fff.,!?;:)\]}*_~`]",
    re.IGNORECASE,
)
_CODE = re.compile(r"`+")
_STRUCK = re.compile(r"~~(?=\S)|(?<=\S)~~")
_EMPHASIS = r"(?<![A-Za-z0-9_{0}\\]){1}(?=[^\s{0}])(.{{1,300}}?)(?<=[^\s{0}]){1}(?![A-Za-z0-9_{0}])"
_EMPHASES = tuple(
    re.compile(_EMPHASIS.format(mark, re.escape(mark) * count), re.DOTALL)
    for mark, count in (("*", 3), ("*", 2), ("*", 1), ("_", 3), ("_", 2), ("_", 1))
)
_LONELY = re.compile(r"(?<![\w*\\])\*{1,3}(?=[^\s*])|(?<=[^\s*\\])\*{2,3}(?![A-Za-z0-9*])|(?<=[^\s\d*\\])\*(?![\w*])")
_ESCAPED = re.compile(r"\\([\\`*_{}\[\]()#+\-.!>~|])")
_INVISIBLE = re.compile(
    r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufe0e\ufe0f\ufeff\ufff0-\uffff\ud800-\udfff]"
)
_BLANKS = re.compile(r"\s+")
_LOOSE_MARK = re.compile(r"(?<=\w) (?=[,.!?;:，。！？；：](?:\s|$))")


def speakable(text: str) -> str:
    """One line of plain words; empty when nothing is left to say.

    A web address becomes its host name, a row of a table its cells with commas between them, a link or an image its text; code
    between fences is left out.
    """
    text = _INVISIBLE.sub(lambda found: " " if found[0] in "\r\x0b\x0c\u2028\u2029" else "", EMOJI.sub(" ", text))
    text = _COMMENT.sub(" ", _FENCED.sub(" ", text))
    text = _ESCAPED.sub(r"\1", _without_marks(_without_addresses(text)))
    text = _TAG.sub(lambda found: " " if found[0].lower().startswith("<br") else "", text)
    text = _ENTITY.sub(_character, text)
    text = _LOOSE_MARK.sub("", _BLANKS.sub(" ", text)).strip()
    return text if any(map(str.isalnum, text)) else ""


def _without_addresses(text: str) -> str:
    text = _AUTOLINK.sub(lambda found: found[1].removeprefix("mailto:"), text)
    text = _REFERENCE.sub(r"\1", _LINK.sub(r"\1", text))
    return _ADDRESS.sub(_host, text)


def _without_marks(text: str) -> str:
    text = _TABLE_RULE.sub("", _RULE.sub("", text))
    text = _TABLE_ROW.sub(lambda row: ", ".join(cell.strip() for cell in row[1].split("|") if cell.strip()), text)
    text = _HEADING_END.sub("", _LINE_MARK.sub("", text))
    text = _STRUCK.sub("", _CODE.sub("", text))
    for emphasis in _EMPHASES:
        text = emphasis.sub(r"\1", text)
    return _LONELY.sub("", text)


def _host(found: re.Match[str]) -> str:
    address = found[0] if "://" in found[0] else f"https://{found[0]}"
    try:
        host = urlsplit(address).hostname
    except ValueError:
        host = None
    return (host or "").removeprefix("www.")


def _character(found: re.Match[str]) -> str:
    if found[1] is None:
        return _ENTITIES[found[2]]
    code = int(found[1])
    return chr(code) if 0x20 <= code < 0xD800 else ""
