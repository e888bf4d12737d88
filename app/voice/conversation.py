"""Turn taking in one session: whose turn it is, and how it passes from the device to the reply and back."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from app.logs import about
from app.protocol.messages import Abort, Listen, Message, Tts
from app.session.device_tools import DeviceTools
from app.session.saying import Saying
from app.session.session import NotPossible, Session
from app.session.state import Event
from app.timers import Timer
from app.voice.agent import Agent
from app.voice.answering import Answering, Studio
from app.voice.barge_in import BargeIn
from app.voice.listening import EarlyAudio, Listening
from app.voice.manners import is_wake_word
from app.voice.turn import TRANSITIONS, Turn, TurnEvent

log = logging.getLogger(__name__)

STRAGGLERS_MS = 60
"""How long packets may still arrive after ``listen stop``, which may overtake the last of them."""
QUIET_SLACK_MS = 300
"""What a device that sends nothing during silence gets on top of ``silence_ms``, for its packets' jitter."""
EXPECTED_START_SECONDS = 2.0
"""So long after a wake word, or after our ``tts stop``, one ``listen start`` is what follows it, and no barge-in."""
MOST_ANNOUNCEMENTS = 8


class SpokenConversation:
    """One session's conversation. Everything here returns at once; replies are made in a greenlet of their own."""

    def __init__(self, session: Session, studio: Studio, agent: Agent) -> None:
        self._session = session
        self._studio = studio
        self._agent = agent
        self._whom = about(session.device_id, session.id)
        self._frame_ms = session.terms.uplink.frame_duration
        self._turn = Turn.IDLE
        self._spoke_until = 0.0
        """When the person's speech ended that is to be answered."""
        self._mode = "auto"
        self._early = EarlyAudio(self._frame_ms, studio.timers.clock)
        self._listening: Listening | None = None
        self._listens_since = 0.0
        self._unanswered: list[tuple[int, bytes]] = []
        """What the recognizer is at work on: who goes on after a pause in mid-sentence is heard as a whole."""
        self._barge_in: BargeIn | None = None
        self._answering = Answering(session, studio, agent, self._begins_to_speak, self._reply_over)
        self._timer: Timer | None = None
        self._announcements: deque[str] = deque()
        self._expects_start_until = 0.0
        self._device_speaks = False
        """Whether the device was told ``tts start``, and not ``stop`` since."""

    # What the device does

    def on_open(self) -> None:
        """The device has its hello."""
        self._agent.open()

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
        """The device wants silence: not one frame leaves from here on, not of what waits to be said either."""
        if self._turn in (Turn.THINKING, Turn.SPEAKING):
            self._studio.figures.barge_ins += 1
            self._announcements.clear()
            self._answering.is_leaving = False
            self._reply_over()
        else:
            log.debug("%s: abort while %s", self._session.device_id, self._turn.value, extra=self._whom)

    def on_mcp(self, payload: dict[str, Any]) -> None:
        """What the device's tools say."""
        self._agent.on_mcp(payload)

    @property
    def is_speaking(self) -> bool:
        return self._turn is Turn.SPEAKING

    @property
    def turn(self) -> str:
        """Whose turn it is, by its name."""
        return self._turn.value

    @property
    def mode(self) -> str:
        """How the device listens, as it said last."""
        return self._mode

    @property
    def tools(self) -> DeviceTools | None:
        """The device's tools; None when it has none."""
        return self._agent.tools

    def speak(self, text: str) -> str:
        """Says ``text`` now (``speaking``), or when the present turn is over (``queued``). Raises NotPossible."""
        talking = self._listening is not None and self._listening.has_speech
        if self._turn in (Turn.IDLE, Turn.LISTENING) and not talking:
            self._agent.attend()
            self._address(lambda: self._answering.say(text))
            return "speaking"
        if self._turn is Turn.CLOSED or self._answering.is_leaving:
            raise NotPossible("The device's session has just ended: try again.", Saying.SESSION_ENDED)
        if len(self._announcements) >= MOST_ANNOUNCEMENTS:
            raise NotPossible(
                f"{MOST_ANNOUNCEMENTS} texts wait already to be spoken to this device: try again later.", Saying.TEXTS_WAIT
            )
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
        is_expected = self._studio.timers.clock() < self._expects_start_until
        self._expects_start_until = 0.0
        if self._turn is Turn.LISTENING:
            if self._listening is not None:
                self._listening.finds_end = mode != "manual"
            return
        if self._turn in (Turn.THINKING, Turn.SPEAKING):
            if is_expected:  # the device tells how it will listen, and goes on to hear what is said
                self._watch_for_barge_in()
                return
            self._studio.figures.barge_ins += 1
        self._interrupt(TurnEvent.LISTEN_START, self._early.take(), already_speaking=False)

    def _interrupt(self, event: TurnEvent, seed: list[tuple[int, bytes]], already_speaking: bool) -> None:
        """The device takes the word: whatever was being said ends here, and it is listened to."""
        if not self._move(event):
            return
        self._answering.is_leaving = False
        self._drop_turn()
        self._stop_device()
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
            self._spoke_until = self._studio.timers.clock()
            self._set_timer(STRAGGLERS_MS, self._answer)

    def _end_of_speech(self, quiet_ms: int = 0) -> None:
        """``quiet_ms``: how long the device has sent nothing at all."""
        if self._move(TurnEvent.END_OF_SPEECH):
            silent_ms = 0 if self._listening is None else self._listening.silent_ms
            self._spoke_until = self._studio.timers.clock() - (silent_ms + quiet_ms) / 1000
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
            self._end_of_speech(self._studio.settings.silence_ms + QUIET_SLACK_MS)
        elif self._has_manners and listening.finds_end and not listening.has_speech and waited >= patience:
            self._heard_no_speech()
        else:
            self._set_timer(self._studio.settings.silence_ms + QUIET_SLACK_MS, lambda: self._watch_for_quiet(heard))

    def _heard_no_speech(self) -> None:
        if self._answering.heard_nothing():
            self._address(self._answering.take_leave)
        else:
            self._listens_since = self._studio.timers.clock()
            self._watch_for_quiet(packets_before=-1)

    # The server's turn

    def _detected(self, text: str) -> None:
        """The wake word, which is greeted; or a text in its place, which is answered."""
        settings = self._studio.settings
        known = is_wake_word(text, settings)
        log.info(
            "%s: %s", self._session.device_id, "wake word heard" if known else "a text came in place of speech", extra=self._whom
        )
        if not self._has_manners or (known and not settings.greeting):
            return
        self._answering.is_leaving = False
        if self._turn in (Turn.THINKING, Turn.SPEAKING):
            self._reply_over()
        self._expects_start_until = self._studio.timers.clock() + EXPECTED_START_SECONDS
        self._address(self._answering.greet if known else lambda: self._answering.answer(text))

    def _address(self, begin: Callable[[], None]) -> None:
        """The server takes the word: ``begin`` begins what it says."""
        if self._move(TurnEvent.ADDRESS):
            self._drop_turn()
            self._watch_for_barge_in()
            begin()

    def _answer(self) -> None:
        listening, self._listening = self._listening, None
        self._set_timer(None)
        if listening is None:
            return
        listening.close()
        self._watch_for_barge_in()
        self._unanswered = listening.packets if self._mode == "realtime" else []
        self._session.timings.asked(self._spoke_until)
        self._answering.respond(listening.utterance())

    def _begins_to_speak(self) -> bool:
        if not self._move(TurnEvent.REPLY):
            return False
        if not self._device_speaks:
            self._device_speaks = True
            self._send(Tts(state="start"))
        return True

    def _stop_device(self) -> None:
        if self._device_speaks:
            self._device_speaks = False
            self._send(Tts(state="stop"))
            if self._mode != "manual":
                self._expects_start_until = self._studio.timers.clock() + EXPECTED_START_SECONDS

    def _reply_over(self) -> None:
        """The reply has been played, was aborted, or failed: the device's turn again, or nobody's."""
        if not self._move(TurnEvent.REST if self._mode == "manual" else TurnEvent.LISTEN_AGAIN):
            return
        self._drop_turn()
        if self._announcements and not self._answering.is_leaving:  # the device goes on speaking
            text = self._announcements.popleft()
            self._address(lambda: self._answering.say(text))
            return
        self._stop_device()
        if self._answering.is_leaving:
            self._session.end(Event.FAREWELL)
        elif self._turn is Turn.LISTENING:
            self._listen([])

    # Barge-in by voice

    def _watch_for_barge_in(self) -> None:
        if self._mode == "realtime" and self._barge_in is None and self._turn in (Turn.THINKING, Turn.SPEAKING):
            self._barge_in = BargeIn(self._frame_ms, on_speech=self._barged_in)

    def _barged_in(self) -> None:
        if self._barge_in is not None:
            self._studio.figures.barge_ins += 1
            unanswered = [] if self._answering.is_heard else self._unanswered
            self._interrupt(TurnEvent.BARGE_IN, [*unanswered, *self._barge_in.take()], already_speaking=True)

    # Housekeeping

    @property
    def _has_manners(self) -> bool:
        return self._agent.phrases is not None

    def _drop_turn(self) -> None:
        """Lets go of whatever the turn before held."""
        self._set_timer(None)
        self._early.clear()
        self._session.timings.dropped()
        self._unanswered = []
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        if self._barge_in is not None:
            self._barge_in.close()
            self._barge_in = None
        self._answering.stop()

    def _move(self, event: TurnEvent) -> bool:
        after = TRANSITIONS.get((self._turn, event))
        if after is None:
            log.debug("%s: %s while %s", self._session.device_id, event.value, self._turn.value, extra=self._whom)
            return False
        self._turn = after
        return True

    def _set_timer(self, delay_ms: int | None, callback: Any = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if delay_ms is None else self._studio.timers.after(delay_ms / 1000, callback)

    def _send(self, message: Message) -> None:
        self._answering.tell(message)
