"""A reply that comes in pieces, cut into sentences to be spoken.

Where to cut is decided from left to right, and only once no text to come could change it: so the sentences do not depend on how
the reply was cut into pieces. A stop waits for the next word, which tells whether it was one ("3.14", "Dr. Smith"), and an emoji
right behind it belongs to it. A line break ends a sentence at once. Joined, the sentences are the reply, but for blanks at the
cuts.
"""

from __future__ import annotations

from enum import Enum, auto

from app.voice.emoji import PARTS, is_picture

FIRST_CLAUSE = 25
"""From so many characters on the first sentence may end at a comma: speech begins soon."""
LATER_CLAUSE = 120
"""The same for all others, which are made while the one before is played."""
LONGEST = 200
"""A text without a mark is cut here, at a blank where it has one."""
LONGEST_WORD = 1000
"""What has no blank either: a web address, say."""
LONGEST_CODE = 20_000
WIDE = 3
"""So many characters is one from ``FIRST_WIDE`` on (Chinese, Japanese, Korean) worth, by the time it takes to say it."""
FIRST_WIDE = "\u2e80"
LAST_WIDE = "\uffef"
LONGEST_TAIL = 40
"""Closing quotes, blanks and emoji behind a stop, at most."""

_STOPS = ".!?。！？｡…"
_WIDE_STOPS = "。！？｡"
_CLOSERS = "\"'”’»›)]}」』】》）〉*_`~"
_CLAUSE_MARKS = ",:;"
_WIDE_CLAUSE_MARKS = "，：；"
_DASHES = "-–—"
_FENCES = ("```", "~~~")

_TITLES = ("dr", "mr", "mrs", "ms", "mx", "prof", "st", "rev", "hon", "gen", "col", "sgt", "capt", "lt", "sen", "rep", "gov")
_NEVER_LAST = frozenset(
    (*_TITLES, "vs", "cf", "approx", "ca", "fig", "vol", "nr", "tel", "dept", "est", "eg", "ie", "bzw", "usw")
)
"""Abbreviations that something follows."""
_MAY_BE_LAST = frozenset(("etc", "inc", "ltd", "co", "corp", "jr", "sr", "a.m", "p.m", "am", "pm"))
"""Abbreviations behind which a capital letter begins a sentence."""
_NUMBERED = frozenset(("no", "nos", "p", "pp", "art", "sec", "ch"))
"""Abbreviations only before a number: "No. 5" is one, "No. I will not." is none."""
_WORD_BREAKS = "\"'“‘«([{*_~`"


class _Verdict(Enum):
    CUT = auto()
    GO_ON = auto()
    WAIT = auto()


class Sentences:
    """Cuts one reply."""

    def __init__(self) -> None:
        self._begin_reply()

    def feed(self, piece: str) -> list[str]:
        """The sentences that are complete with this piece."""
        self._text += piece
        return self._cut()

    def flush(self) -> list[str]:
        """What is left at the end of the reply. The next piece begins a new one."""
        self._is_over = True
        sentences = self._cut()
        rest = self._text.strip()
        if rest:
            sentences.append(rest)
        self._begin_reply()
        return sentences

    def _begin_reply(self) -> None:
        self._text = ""
        self._is_first = True
        self._is_over = False
        self._begin()

    def _begin(self) -> None:
        """A new sentence begins with the text."""
        self._at = 0  # what is before it has been looked at
        self._weight = 0
        self._has_word = False
        self._break = 0  # the last place where a long text may be cut
        self._line = 0  # where the line begins

    def _cut(self) -> list[str]:
        sentences: list[str] = []
        while True:
            end = self._next_end()
            if end is None:
                return sentences
            sentence, self._text = self._text[:end].strip(), self._text[end:]
            if sentence:
                sentences.append(sentence)
                self._is_first = False
            self._begin()

    def _next_end(self) -> int | None:
        """Where the sentence ends; None: not in what is known by now."""
        text = self._text
        while self._at < len(text):
            at, character = self._at, text[self._at]
            if character in "`~" and not text[self._line : at].strip():
                fence = self._fence(at)
                if fence is not _Verdict.GO_ON:
                    return None if fence is _Verdict.WAIT else self._at
            if character == "\n":
                if self._has_word:
                    return at + 1
                self._line = at + 1
            elif self._has_word and character in _STOPS:
                verdict, end = self._stop(at)
                if verdict is _Verdict.WAIT:
                    return None
                if verdict is _Verdict.CUT:
                    return end
                self._weigh(at, end)
                continue
            elif self._has_word and self._weight >= (FIRST_CLAUSE if self._is_first else LATER_CLAUSE):
                clause = self._clause(at)
                if clause is not _Verdict.GO_ON:
                    return None if clause is _Verdict.WAIT else at + 1
            self._weigh(at, at + 1)
            if self._weight >= LONGEST and self._break:
                return self._break
            if self._weight >= LONGEST_WORD:
                return self._at
        return None

    def _weigh(self, begin: int, end: int) -> None:
        for at in range(begin, end):
            character = self._text[at]
            is_wide = FIRST_WIDE <= character <= LAST_WIDE
            self._weight += WIDE if is_wide else 1
            self._has_word = self._has_word or character.isalnum()
            if character.isspace() or (is_wide and character not in PARTS):
                self._break = at + 1
        self._at = end

    def _stop(self, at: int) -> tuple[_Verdict, int]:
        """Whether a run of stops ends the sentence, and where what belongs to it ends."""
        text = self._text
        marks_end = at
        while marks_end < len(text) and text[marks_end] in _STOPS and marks_end - at < LONGEST_TAIL:
            marks_end += 1
        closed = marks_end
        while closed < len(text) and text[closed] in _CLOSERS and closed - at < LONGEST_TAIL:
            closed += 1
        end = closed
        while end < len(text) and end - at < LONGEST_TAIL and _is_tail(text[end]):
            end += 1
        if end == len(text) and not self._is_over and end - at < LONGEST_TAIL:
            return _Verdict.WAIT, at
        following = text[end : end + 1]
        if end == closed and following not in ("", "\n") and not self._needs_no_blank(at, marks_end, following):
            return _Verdict.GO_ON, closed
        if end == closed or not following or following == "\n" or self._ends(at, marks_end, closed, following):
            return _Verdict.CUT, end
        return _Verdict.GO_ON, closed

    def _needs_no_blank(self, at: int, marks_end: int, following: str) -> bool:
        """Whether the stop is one although the text goes on right behind it."""
        text = self._text
        if any(mark in _WIDE_STOPS for mark in text[at:marks_end]):
            return True
        if text[at:marks_end].strip(".…") == "":
            is_ellipsis = marks_end - at > 1 or text[at] == "…"
            return not is_ellipsis and _is_wide(following) and at > 0 and _is_wide(text[at - 1])
        return _is_wide(following)

    def _ends(self, at: int, marks_end: int, closed: int, following: str) -> bool:
        """Whether the stop, with something behind its blank or emoji, ends a sentence."""
        marks = self._text[at:marks_end]
        if any(mark in _WIDE_STOPS for mark in marks):
            return True
        if marks.strip(".…"):
            return closed == marks_end or not following.islower()
        if following.islower():
            return False
        return marks != "." or not self._is_abbreviated(at, following)

    def _is_abbreviated(self, at: int, following: str) -> bool:
        begin = at
        while begin and not self._text[begin - 1].isspace() and self._text[begin - 1] not in _WORD_BREAKS:
            begin -= 1
        word = self._text[begin:at]
        bare = word.lower()
        if word.isdigit() and not self._text[self._line : begin].strip():
            return True  # the number of a list item
        if bare in _MAY_BE_LAST:
            return not following.isupper()
        if bare in _NUMBERED:
            return following.isdigit()
        is_initial = len(word) == 1 and word.isupper() and word.isascii() and word != "I"
        is_initials = "." in word and all(len(part) == 1 and part.isalpha() for part in word.split("."))
        return bare in _NEVER_LAST or is_initial or is_initials

    def _clause(self, at: int) -> _Verdict:
        """Whether a comma, colon, semicolon or dash ends a clause here."""
        text, character = self._text, self._text[at]
        if character in _WIDE_CLAUSE_MARKS or character == "—":
            return _Verdict.CUT
        if character not in _CLAUSE_MARKS and not (character in _DASHES and text[at - 1 : at].isspace()):
            return _Verdict.GO_ON
        if at + 1 == len(text):
            return _Verdict.GO_ON if self._is_over else _Verdict.WAIT
        return _Verdict.CUT if text[at + 1].isspace() else _Verdict.GO_ON

    def _fence(self, at: int) -> _Verdict:
        """Code between fences is one sentence, however many lines it has; ``_at`` is its end then."""
        text = self._text
        opening = text[at : at + 3]
        if opening not in _FENCES:
            may_become = len(opening) < 3 and any(fence.startswith(opening) for fence in _FENCES)
            return _Verdict.WAIT if may_become and not self._is_over else _Verdict.GO_ON
        first_line_end = text.find("\n", at)
        if first_line_end < 0 and not self._is_over:
            return _Verdict.WAIT
        if opening in text[at + 3 : first_line_end if first_line_end >= 0 else len(text)]:
            return _Verdict.GO_ON  # it opens and closes within the line
        closing = text.find("\n" + opening, at + 3)
        line_end = text.find("\n", closing + 1) if closing >= 0 else -1
        if line_end >= 0:
            self._at = line_end + 1
        elif len(text) - at > LONGEST_CODE or self._is_over:
            self._at = min(len(text), at + LONGEST_CODE)
        else:
            return _Verdict.WAIT
        return _Verdict.CUT


def _is_tail(character: str) -> bool:
    return (character.isspace() and character != "\n") or is_picture(character) or character in PARTS


def _is_wide(character: str) -> bool:
    return FIRST_WIDE <= character <= LAST_WIDE
