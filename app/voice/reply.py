"""One reply: its sentences, made ahead, on their way into the play-out; and how much of them has been heard in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.protocol.messages import Llm, Message, Tts
from app.voice.agent import Sentence
from app.voice.ahead import Ahead
from app.voice.playback import Playback
from app.voice.spoken import SpokenText

SENTENCES_AHEAD = 1
"""Sentences that wait, complete or not, while one is played; one more is being made by then."""


class Reply:
    """``begin`` is called when the first sentence is there and gives the play-out, or None when it is not wanted any more."""

    def __init__(self, frame_duration_ms: int, send: Callable[[Message], None], begin: Callable[[], Playback | None]) -> None:
        self._send = send
        self._begin = begin
        self._spoken = SpokenText(frame_duration_ms)
        self._playback: Playback | None = None

    @property
    def has_begun(self) -> bool:
        return self._playback is not None

    def play(self, sentences: Iterable[Sentence]) -> None:
        """Feeds the play-out until everything has been made; blocks its greenlet. What ``sentences`` raises is raised here.

        When the greenlet is killed, whatever makes sentences and sound is ended too.
        """
        ahead = Ahead(sentences, SENTENCES_AHEAD, Sentence.discard)
        present: Sentence | None = None
        try:
            for present in ahead:
                if not self._play(present):
                    break
        finally:
            ahead.close()
            if present is not None:
                present.discard()

    def finish(self) -> None:
        """Nothing more will come."""
        if self._playback is not None:
            self._playback.finish()

    def stop(self) -> str:
        """Not one frame leaves any more. The text that has been heard."""
        if self._playback is None:
            return ""
        heard = self._spoken.up_to(self._playback.played)
        self._playback.abort()
        return heard

    def _play(self, sentence: Sentence) -> bool:
        """False when nobody wants to hear it any more."""
        is_first = self._playback is None
        if is_first:
            self._show_face(sentence)
            self._playback = self._begin()
        playback, spoken = self._playback, self._spoken
        if playback is None or playback.is_over:
            return False
        spoken.begin(sentence.text)
        playback.mark(lambda: self._sentence_begins(sentence, show_face=not is_first))
        for packets in sentence.audio:
            frames = tuple(packets)
            spoken.fed(len(frames))
            playback.feed(frames)
        spoken.end()
        return True

    def _sentence_begins(self, sentence: Sentence, show_face: bool) -> None:
        if show_face:
            self._show_face(sentence)
        self._send(Tts(state="sentence_start", text=sentence.text))

    def _show_face(self, sentence: Sentence) -> None:
        if sentence.face is not None:
            self._send(Llm(emotion=sentence.face.name, text=sentence.face.emoji))
