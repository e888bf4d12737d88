"""The server's turn: what a device said is understood and answered, or the server says something by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import gevent

from app.logs import about
from app.protocol.messages import Alert, Message, Stt
from app.sections import Dialogue
from app.session.session import Session
from app.timers import Timers
from app.voice.agent import Agent, NotUnderstood, Sentence
from app.voice.farewell import is_farewell
from app.voice.figures import VoiceFigures
from app.voice.manners import greeting_of
from app.voice.phrases import ENGLISH, Phrases
from app.voice.playback import Playback, PlaybackFigures
from app.voice.reply import Reply
from app.voice.utterance import Utterance

log = logging.getLogger(__name__)

AUDIO_SECONDS, AUDIO_PAUSE = 1.5, 0.02
"""How long a reply waits for the first audio of a device, which tells where its own is to go (PROTOCOL.md 1.5). A device that was
told ``tts start`` sends none."""
MOST_UNHEARD = 2
"""So many turns in a row in which nothing is heard end the session."""


@dataclass(frozen=True, slots=True)
class Studio:
    """What all conversations share."""

    settings: Dialogue
    timers: Timers
    playback: PlaybackFigures
    figures: VoiceFigures


class Answering:
    """Makes one reply at a time, in a greenlet of its own, and plays it.

    ``may_speak`` is asked when the first sentence is there; ``over`` is called when a reply has been played, or there is none.
    Each of `respond`, `answer`, `greet` and `say` returns at once and begins a reply; `stop` ends the one before.
    """

    def __init__(
        self, session: Session, studio: Studio, agent: Agent, may_speak: Callable[[], bool], over: Callable[[], None]
    ) -> None:
        self._session = session
        self._studio = studio
        self._agent = agent
        self._may_speak = may_speak
        self._over = over
        self._whom = about(session.device_id, session.id)
        self._frame_ms = session.terms.downlink.frame_duration
        self._work: gevent.Greenlet | None = None
        self._reply: Reply | None = None
        self._is_remembered = False
        self._unheard = 0
        self._was_told_of_silence = False
        self.is_leaving = False
        """Whether the session ends with this reply."""
        self.is_heard = False
        """Whether the words of the present turn are known."""

    def respond(self, utterance: Utterance) -> None:
        """To what was said."""
        self._begin(lambda: self._respond(utterance))

    def answer(self, text: str) -> None:
        """To what came as text."""
        self._begin(lambda: self._answer(None, text))

    def greet(self) -> None:
        """Says hello to a wake word."""
        self._begin(self._greet)

    def say(self, text: str) -> None:
        """An announcement."""
        self._begin(lambda: self._speak(self._agent.say(text), remember=True))

    def take_leave(self) -> None:
        """Says that nothing was heard; the session ends with it."""
        self._begin(self._take_leave)

    def heard_nothing(self) -> bool:
        """Counts a turn in which nothing was heard; True when it is time to take leave."""
        self._unheard += 1
        self._studio.figures.unheard += 1
        return self._unheard >= MOST_UNHEARD

    def stop(self) -> None:
        """Not one frame leaves any more, and what is being made is broken off; what was heard of it is remembered."""
        self.is_heard = False
        reply, self._reply = self._reply, None
        if reply is not None:
            heard = reply.stop()
            if self._is_remembered:
                self._agent.spoken(heard)
        work, self._work = self._work, None
        if work is not None and work is not gevent.getcurrent():
            work.kill(block=False)

    def tell(self, message: Message) -> None:
        """Sends the device a message of this session."""
        self._session.send(message)

    # In the reply's greenlet

    def _begin(self, work: Callable[[], None]) -> None:
        self._work = gevent.spawn(self._do, work)

    def _do(self, work: Callable[[], None]) -> None:
        try:
            self._agent.prepare()
            work()
        except Exception:
            log.exception("%s: the reply failed", self._session.device_id, extra=self._whom)
            self._alert(self._titles.fault_status, "The reply failed; the server's log says why.")
            if self._reply is not None and self._reply.has_begun:
                self._reply.finish()  # what there is of it is heard to its end
            else:
                self._apologize()

    def _apologize(self) -> None:
        """For a fault that nobody foresaw; the voice itself may be what is broken."""
        phrases = self._agent.phrases
        try:
            self._speak(self._agent.say("" if phrases is None else phrases.mind_failed), remember=False)
        except Exception:
            log.exception("%s: the apology failed", self._session.device_id, extra=self._whom)
            self._over()

    def _respond(self, utterance: Utterance) -> None:
        self._studio.figures.utterances += 1
        if not utterance.packets:
            self._tell_of_silence()
        try:
            text = self._agent.hear(utterance)
        except NotUnderstood as apology:
            self._speak(self._agent.say(str(apology)), remember=False)
            return
        phrases = self._agent.phrases
        if text is not None:
            self._answer(utterance, text)
        elif self.heard_nothing():
            self._take_leave()
        elif phrases is not None:
            self._speak(self._agent.say(phrases.nothing_heard if utterance.packets else phrases.no_audio), remember=False)
        else:
            self._over()

    def _answer(self, utterance: Utterance | None, text: str) -> None:
        self._unheard = 0
        self.is_heard = True
        self.tell(Stt(text=text))
        phrases = self._agent.phrases
        if phrases is not None and is_farewell(text):
            self._leave(phrases.farewell)
        else:
            self._speak(self._agent.answer(utterance, text), remember=True)

    def _greet(self) -> None:
        phrases = self._agent.phrases
        if phrases is not None:
            self._speak(self._agent.say(greeting_of(self._studio.settings, phrases)), remember=True)

    def _take_leave(self) -> None:
        phrases = self._agent.phrases
        if phrases is not None:
            self._leave(phrases.nothing_heard_goodbye)
        else:
            self._over()

    def _leave(self, word: str) -> None:
        self._studio.figures.farewells += 1
        self.is_leaving = True
        self._speak(self._agent.say(word), remember=False)

    def _speak(self, sentences: Iterable[Sentence], remember: bool) -> None:
        """Plays to the end of what is made; the rest of the reply's life is its play-out's."""
        reply = self._reply = Reply(self._frame_ms, self.tell, self._play_out)
        self._is_remembered = remember
        reply.play(sentences)
        if reply.has_begun:
            reply.finish()
        else:
            self._over()

    def _play_out(self) -> Playback | None:
        self._wait_for_audio()
        if not self._may_speak():
            return None
        self._studio.figures.replies += 1
        studio, session = self._studio, self._session
        return Playback(
            session.channel,
            self._frame_ms,
            studio.timers,
            studio.playback,
            self._over,
            on_first=session.timings.speaks,
            round_trip_ms=session.timings.shortest_ms,
        )

    def _wait_for_audio(self) -> None:
        if self._session.channel.audio_trouble is None or self._was_told_of_silence:
            return
        for _ in range(int(AUDIO_SECONDS / AUDIO_PAUSE)):
            gevent.sleep(AUDIO_PAUSE)
            if self._session.channel.audio_trouble is None:
                return
        self._tell_of_silence()

    def _tell_of_silence(self) -> None:
        """Connected, but no sound: the device shows why, and the log keeps it."""
        trouble = self._session.channel.audio_trouble
        if trouble is not None:
            self._was_told_of_silence = True
            log.warning("%s: nothing is heard of it. %s", self._session.device_id, trouble, extra=self._whom)
            self._alert(self._titles.no_audio_status, trouble)

    @property
    def _titles(self) -> Phrases:
        return self._agent.phrases or ENGLISH

    def _alert(self, status: str, message: str) -> None:
        self.tell(Alert(status=status, message=message, emotion="sad"))
