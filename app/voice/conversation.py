"""Turn taking in one session: whose turn it is, and how it passes from the device to the reply and back."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import gevent

from app.protocol.messages import Abort, Alert, Listen, Message, Stt, Tts
from app.session.device_tools import DeviceTools
from app.session.session import NotPossible, Session
from app.session.state import Event
from app.settings import Dialogue
from app.timers import Timer, Timers
from app.voice.agent import Agent, NotUnderstood, Sentence
from app.voice.barge_in import BargeIn
from app.voice.farewell import is_farewell
from app.voice.figures import VoiceFigures
from app.voice.listening import EarlyAudio, Listening
from app.voice.manners import greeting_of, is_wake_word
from app.voice.playback import Playback, PlaybackFigures
from app.voice.reply import Reply
from app.voice.turn import TRANSITIONS, Turn, TurnEvent
from app.voice.utterance import Utterance

log = logging.getLogger(__name__)

STRAGGLERS_MS = 60
"""How long packets may still arrive after ``listen stop``, which may overtake the last of them."""
QUIET_SLACK_MS = 300
"""What a device that sends nothing during silence gets on top of ``silence_ms``, for its packets' jitter."""
GREETING_SECONDS = 2.0
"""The ``listen start`` that follows a wake word within this time does not interrupt its greeting."""
MOST_ANNOUNCEMENTS = 8
MOST_UNHEARD = 2
"""So many turns in a row in which nothing is heard end the session."""


@dataclass(frozen=True, slots=True)
class Studio:
    """What all conversations share."""

    settings: Dialogue
    timers: Timers
    playback: PlaybackFigures
    figures: VoiceFigures


class SpokenConversation:
    """One session's conversation. Everything here returns at once; replies are made in a greenlet of their own."""

    def __init__(self, session: Session, studio: Studio, agent: Agent) -> None:
        self._session = session
        self._studio = studio
        self._agent = agent
        self._frame_ms = session.terms.uplink.frame_duration
        self._turn = Turn.IDLE
        self._mode = "auto"
        self._early = EarlyAudio(self._frame_ms, studio.timers.clock)
        self._listening: Listening | None = None
        self._listens_since = 0.0
        self._unanswered: list[tuple[int, bytes]] = []
        """What the recognizer is at work on: who goes on after a pause in mid-sentence is heard as a whole."""
        self._barge_in: BargeIn | None = None
        self._reply: Reply | None = None
        self._is_remembered = False
        self._work: gevent.Greenlet | None = None
        self._timer: Timer | None = None
        self._announcements: deque[str] = deque()
        self._unheard = 0
        self._is_leaving = False
        self._greets_until = 0.0

    # What the device does

    def on_audio(self, sequence: int, packet: bytes) -> None:
        """One Opus packet of the device."""
        if self._listening is not None:
            self._listening.hear(sequence, packet)
        elif self._barge_in is not None:
            self._barge_in.hear(sequence, packet)
        else:
            self._early.add(sequence, packet)

    def on_listen(self, message: Listen) -> None:
        """``listen``: start, stop, or the wake word."""
        self._agent.attend()
        if message.state == "start":
            self._listen_start(message.mode)
        elif message.state == "stop":
            self._listen_stop()
        else:
            self._detected(message.text)

    def on_abort(self, message: Abort) -> None:
        """The device wants silence: not one frame leaves from here on."""
        if self._turn in (Turn.THINKING, Turn.SPEAKING):
            self._studio.figures.barge_ins += 1
            self._is_leaving = False
            self._reply_over()
        else:
            log.debug("%s: abort while %s", self._session.device_id, self._turn.value)

    def on_mcp(self, payload: dict[str, Any]) -> None:
        """What the device's tools say."""
        self._agent.on_mcp(payload)

    @property
    def is_speaking(self) -> bool:
        return self._turn is Turn.SPEAKING

    @property
    def tools(self) -> DeviceTools | None:
        """The device's tools; None when it has none."""
        return self._agent.tools

    def speak(self, text: str) -> str:
        """Says ``text`` now (``speaking``), or when the present turn is over (``queued``). Raises NotPossible."""
        talking = self._listening is not None and self._listening.has_speech
        if self._turn in (Turn.IDLE, Turn.LISTENING) and not talking:
            self._agent.attend()
            self._address(lambda: self._agent.say(text))
            return "speaking"
        if self._turn is Turn.CLOSED or self._is_leaving:
            raise NotPossible("The device's session has just ended: try again.")
        if len(self._announcements) >= MOST_ANNOUNCEMENTS:
            raise NotPossible(f"{MOST_ANNOUNCEMENTS} texts wait already to be spoken to this device: try again later.")
        self._announcements.append(text)
        return "queued"

    def close(self) -> None:
        """The session is over."""
        if self._move(TurnEvent.CLOSE):
            self._drop_turn()
            self._announcements.clear()
            self._agent.close()

    # The device's turn

    def _listen_start(self, mode: str) -> None:
        self._mode = mode
        if self._turn is Turn.LISTENING:
            if self._listening is not None:
                self._listening.finds_end = mode != "manual"
            return
        if self._turn in (Turn.THINKING, Turn.SPEAKING):
            if self._studio.timers.clock() < self._greets_until:
                self._greets_until = 0.0  # the device tells how it will listen; it goes on to hear the greeting
                self._watch_for_barge_in()
                return
            self._studio.figures.barge_ins += 1
        self._interrupt(TurnEvent.LISTEN_START, self._early.take(), already_speaking=False)

    def _interrupt(self, event: TurnEvent, seed: list[tuple[int, bytes]], already_speaking: bool) -> None:
        """The device takes the word: whatever was being said ends here, and it is listened to."""
        was_speaking = self._turn is Turn.SPEAKING
        if not self._move(event):
            return
        self._is_leaving = False
        self._drop_turn()
        if was_speaking:
            self._send(Tts(state="stop"))
        self._listen(seed, already_speaking)

    def _listen(self, seed: list[tuple[int, bytes]], already_speaking: bool = False) -> None:
        settings = self._studio.settings
        listening = self._listening = Listening(
            self._frame_ms,
            settings.silence_ms,
            settings.longest_utterance_ms,
            self._agent.pre_roll_ms,
            finds_end=self._mode != "manual",
            on_end=self._end_of_speech,
            already_speaking=already_speaking,
        )
        self._listens_since = self._studio.timers.clock()
        self._watch_for_quiet(packets_before=-1)
        if already_speaking:
            listening.begin_with(seed)
            return
        for sequence, packet in seed:
            listening.hear(sequence, packet)

    def _listen_stop(self) -> None:
        if self._move(TurnEvent.LISTEN_STOP):
            self._set_timer(STRAGGLERS_MS, self._answer)

    def _end_of_speech(self) -> None:
        if self._move(TurnEvent.END_OF_SPEECH):
            self._answer()

    def _watch_for_quiet(self, packets_before: int) -> None:
        """Ends the turn of a device that has spoken and then sends nothing at all, as its DTX may; or that never speaks."""
        listening = self._listening
        if listening is None or self._turn is not Turn.LISTENING:
            return
        heard = listening.packets_heard
        waited = self._studio.timers.clock() - self._listens_since
        patience = self._studio.settings.patience_seconds
        if listening.finds_end and listening.has_speech and heard == packets_before:
            self._end_of_speech()
        elif self._has_manners and listening.finds_end and not listening.has_speech and waited >= patience:
            self._heard_no_speech()
        else:
            self._set_timer(self._studio.settings.silence_ms + QUIET_SLACK_MS, lambda: self._watch_for_quiet(heard))

    def _heard_no_speech(self) -> None:
        self._unheard += 1
        self._studio.figures.unheard += 1
        phrases = self._agent.phrases
        if self._unheard < MOST_UNHEARD or phrases is None:
            self._listens_since = self._studio.timers.clock()
            self._watch_for_quiet(packets_before=-1)
        else:
            self._leave(lambda: self._agent.say(phrases.nothing_heard_goodbye))

    # The server's turn

    def _detected(self, text: str) -> None:
        """The wake word, which is greeted; or a text in its place, which is answered."""
        settings = self._studio.settings
        known = is_wake_word(text, settings)
        log.info("%s: wake word heard", self._session.device_id)
        if not self._has_manners or (known and not settings.greeting):
            return
        self._is_leaving = False
        if self._turn in (Turn.THINKING, Turn.SPEAKING):
            self._reply_over()
        self._greets_until = self._studio.timers.clock() + GREETING_SECONDS
        if known:
            self._address_work(self._greet)
        else:
            self._address_work(lambda: self._answer_text(None, text))

    def _greet(self) -> None:
        phrases = self._agent.phrases
        if phrases is not None:
            self._say(self._agent.say(greeting_of(self._studio.settings, phrases)), remember=True)

    def _address(self, sentences: Callable[[], Iterable[Sentence]]) -> None:
        """The server takes the word."""
        self._address_work(lambda: self._say(sentences(), remember=True))

    def _address_work(self, work: Callable[[], None]) -> None:
        if self._move(TurnEvent.ADDRESS):
            self._drop_turn()
            self._watch_for_barge_in()
            self._work = gevent.spawn(self._do, work)

    def _leave(self, sentences: Callable[[], Iterable[Sentence]]) -> None:
        """Says a last word; the session ends when it has been heard."""
        self._studio.figures.farewells += 1
        self._is_leaving = True
        self._address(sentences)

    def _answer(self) -> None:
        listening, self._listening = self._listening, None
        self._set_timer(None)
        if listening is None:
            return
        listening.close()
        trouble = self._session.channel.audio_trouble
        if trouble is not None and not listening.packets_heard:
            log.warning("%s: it listened and heard nothing. %s", self._session.device_id, trouble)
            self._send(Alert(status="No sound", message=trouble, emotion="sad"))
        self._watch_for_barge_in()
        utterance = listening.utterance()
        self._unanswered = listening.packets if self._mode == "realtime" else []
        self._work = gevent.spawn(self._do, lambda: self._respond(utterance))

    def _do(self, work: Callable[[], None]) -> None:
        """The reply's greenlet."""
        try:
            self._agent.prepare()
            work()
        except Exception:
            log.exception("%s: the reply failed", self._session.device_id)
            self._send(Alert(status="Error", message="The reply failed; the server's log says why.", emotion="sad"))
            if self._reply is not None and self._reply.has_begun:
                self._reply.finish()  # what there is of it is heard to its end
            else:
                self._reply_over()

    def _respond(self, utterance: Utterance) -> None:
        figures = self._studio.figures
        figures.utterances += 1
        try:
            text = self._agent.hear(utterance)
        except NotUnderstood as apology:
            self._say(self._agent.say(str(apology)), remember=False)
            return
        if text is None:
            self._unheard += 1
            figures.unheard += 1
            self._not_heard(any_audio=bool(utterance.packets))
        else:
            self._answer_text(utterance, text)

    def _not_heard(self, any_audio: bool) -> None:
        phrases = self._agent.phrases
        if phrases is None:
            self._reply_over()
        elif self._unheard < MOST_UNHEARD:
            self._say(self._agent.say(phrases.nothing_heard if any_audio else phrases.no_audio), remember=False)
        else:
            self._studio.figures.farewells += 1
            self._is_leaving = True
            self._say(self._agent.say(phrases.nothing_heard_goodbye), remember=False)

    def _answer_text(self, utterance: Utterance | None, text: str) -> None:
        self._unheard = 0
        self._unanswered = []
        self._send(Stt(text=text))
        phrases = self._agent.phrases
        if phrases is not None and is_farewell(text):
            self._studio.figures.farewells += 1
            self._is_leaving = True
            self._say(self._agent.say(phrases.farewell), remember=False)
        else:
            self._say(self._agent.answer(utterance, text), remember=True)

    def _say(self, sentences: Iterable[Sentence], remember: bool) -> None:
        """Plays to the end of what is made; the rest of the reply's life is its play-out's."""
        reply = self._reply = Reply(self._session.terms.downlink.frame_duration, self._send, self._begin_speaking)
        self._is_remembered = remember
        reply.play(sentences)
        if reply.has_begun:
            reply.finish()
        else:
            self._reply_over()

    def _begin_speaking(self) -> Playback | None:
        if not self._move(TurnEvent.REPLY):
            return None
        self._studio.figures.replies += 1
        self._send(Tts(state="start"))
        duration = self._session.terms.downlink.frame_duration
        return Playback(self._session.channel, duration, self._studio.timers, self._studio.playback, self._reply_over)

    def _reply_over(self) -> None:
        """The reply has been played, was aborted, or failed: the device's turn again, or nobody's."""
        was_speaking = self._turn is Turn.SPEAKING
        if not self._move(TurnEvent.REST if self._mode == "manual" else TurnEvent.LISTEN_AGAIN):
            return
        self._drop_turn()
        if was_speaking:
            self._send(Tts(state="stop"))
        if self._is_leaving:
            self._session.end(Event.FAREWELL)
        elif self._announcements:
            text = self._announcements.popleft()
            self._address(lambda: self._agent.say(text))
        elif self._turn is Turn.LISTENING:
            self._listen([])

    # Barge-in by voice

    def _watch_for_barge_in(self) -> None:
        if self._mode == "realtime" and self._barge_in is None and self._turn in (Turn.THINKING, Turn.SPEAKING):
            self._barge_in = BargeIn(self._frame_ms, on_speech=self._barged_in)

    def _barged_in(self) -> None:
        if self._barge_in is not None:
            self._studio.figures.barge_ins += 1
            self._interrupt(TurnEvent.BARGE_IN, [*self._unanswered, *self._barge_in.take()], already_speaking=True)

    # Housekeeping

    @property
    def _has_manners(self) -> bool:
        return self._agent.phrases is not None

    def _drop_turn(self) -> None:
        """Lets go of whatever the turn before held."""
        self._set_timer(None)
        self._early.clear()
        self._unanswered = []
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        if self._barge_in is not None:
            self._barge_in.close()
            self._barge_in = None
        reply, self._reply = self._reply, None
        if reply is not None:
            heard = reply.stop()
            if self._is_remembered:
                self._agent.spoken(heard)
        work, self._work = self._work, None
        if work is not None and work is not gevent.getcurrent():
            work.kill(block=False)

    def _move(self, event: TurnEvent) -> bool:
        after = TRANSITIONS.get((self._turn, event))
        if after is None:
            log.debug("%s: %s while %s", self._session.device_id, event.value, self._turn.value)
            return False
        self._turn = after
        return True

    def _set_timer(self, delay_ms: int | None, callback: Any = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if delay_ms is None else self._studio.timers.after(delay_ms / 1000, callback)

    def _send(self, message: Message) -> None:
        self._session.channel.send_json(message.model_copy(update={"session_id": self._session.id}))
