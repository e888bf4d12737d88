"""Turn taking in one session: whose turn it is, and how it passes from the device to the reply and back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import gevent

from app.protocol.messages import Abort, Alert, Listen, Message, Stt, Tts
from app.session.session import Session
from app.settings import Dialogue
from app.timers import Timer, Timers
from app.voice.agent import Agent
from app.voice.listening import EarlyAudio, Listening
from app.voice.playback import Playback, PlaybackFigures
from app.voice.turn import TRANSITIONS, Turn, TurnEvent
from app.voice.utterance import Utterance

log = logging.getLogger(__name__)

STRAGGLERS_MS = 60
"""How long packets may still arrive after ``listen stop``, which may overtake the last of them."""
QUIET_SLACK_MS = 300
"""What a device that sends nothing during silence gets on top of ``silence_ms``, for its packets' jitter."""


@dataclass(frozen=True, slots=True)
class Studio:
    """What all conversations share."""

    settings: Dialogue
    agent: Agent
    timers: Timers
    figures: PlaybackFigures


class SpokenConversation:
    """One session's conversation. Everything here returns at once; the reply is made in a greenlet of its own."""

    def __init__(self, session: Session, studio: Studio) -> None:
        self._session = session
        self._studio = studio
        self._frame_ms = session.terms.uplink.frame_duration
        self._turn = Turn.IDLE
        self._mode = "auto"
        self._said_unmarked = False
        self._early = EarlyAudio(self._frame_ms, studio.timers.clock)
        self._listening: Listening | None = None
        self._playback: Playback | None = None
        self._reply: gevent.Greenlet | None = None
        self._timer: Timer | None = None

    # What the device does

    def on_audio(self, sequence: int, packet: bytes) -> None:
        """One Opus packet of the device."""
        listening = self._listening
        if listening is None:
            self._early.add(sequence, packet)
        elif listening.hear(sequence, packet) and self._turn is Turn.LISTENING:
            self._end_of_speech()

    def on_listen(self, message: Listen) -> None:
        """``listen``: start, stop, or the wake word."""
        if message.state == "start":
            self._listen_start(message.mode)
        elif message.state == "stop":
            self._listen_stop()
        else:
            log.info("%s: wake word heard", self._session.device_id)

    def on_abort(self, message: Abort) -> None:
        """The device wants silence: not one frame leaves from here on."""
        if self._turn in (Turn.THINKING, Turn.SPEAKING):
            self._reply_over()
        else:
            log.debug("%s: abort while %s", self._session.device_id, self._turn.value)

    def on_mcp(self, payload: dict[str, Any]) -> None:
        """The echo needs no tools; what a device says of them is dropped."""

    @property
    def is_speaking(self) -> bool:
        return self._turn is Turn.SPEAKING

    def close(self) -> None:
        """The session is over."""
        if self._move(TurnEvent.CLOSE):
            self._drop_turn()

    # The device's turn

    def _listen_start(self, mode: str) -> None:
        self._mode = mode
        if self._turn is Turn.LISTENING:
            if self._listening is not None:
                self._listening.finds_end = mode != "manual"
            return
        if self._turn is Turn.SPEAKING:
            self._send(Tts(state="stop"))
        if self._move(TurnEvent.LISTEN_START):
            early = self._early.take()
            self._drop_turn()
            self._listen(early)

    def _listen(self, early: list[tuple[int, bytes]]) -> None:
        settings = self._studio.settings
        self._listening = Listening(
            self._frame_ms,
            settings.silence_ms,
            settings.longest_utterance_ms,
            self._studio.agent.pre_roll_ms,
            finds_end=self._mode != "manual",
        )
        self._watch_for_quiet(0)
        for sequence, packet in early:
            self.on_audio(sequence, packet)

    def _listen_stop(self) -> None:
        if self._move(TurnEvent.LISTEN_STOP):
            self._set_timer(STRAGGLERS_MS, self._answer)

    def _end_of_speech(self) -> None:
        if self._move(TurnEvent.END_OF_SPEECH):
            self._answer()

    def _watch_for_quiet(self, packets_before: int) -> None:
        """Ends the turn of a device that has spoken and then sends nothing at all, as its DTX may."""
        listening = self._listening
        if listening is None or self._turn is not Turn.LISTENING:
            return
        heard = listening.packets_heard
        if listening.finds_end and not listening.has_flags and not self._said_unmarked:
            self._said_unmarked = True
            log.warning(
                "%s: its packets (CELT or hybrid Opus) do not tell speech from silence, so the end of its speech is not found: "
                "let it encode SILK (16 kHz, voice), or use mode manual",
                self._session.device_id,
            )
        if listening.finds_end and listening.has_speech and heard == packets_before:
            self._end_of_speech()
        else:
            self._set_timer(self._studio.settings.silence_ms + QUIET_SLACK_MS, lambda: self._watch_for_quiet(heard))

    # The server's turn

    def _answer(self) -> None:
        listening, self._listening = self._listening, None
        self._set_timer(None)
        if listening is None:
            return
        trouble = self._session.channel.audio_trouble
        if trouble is not None and not listening.packets_heard:
            log.warning("%s: it listened and heard nothing. %s", self._session.device_id, trouble)
            self._send(Alert(status="No sound", message=trouble, emotion="sad"))
        self._reply = gevent.spawn(self._make_reply, listening.utterance())

    def _make_reply(self, utterance: Utterance) -> None:
        try:
            text = self._studio.agent.hear(utterance)
            self._send(Stt(text=text))
            if not self._move(TurnEvent.REPLY):
                return
            self._send(Tts(state="start"))
            duration = self._session.terms.downlink.frame_duration
            playback = Playback(self._session.channel, duration, self._studio.timers, self._studio.figures, self._reply_over)
            self._playback = playback
            for sentence in self._studio.agent.reply(utterance, text):
                self._send(Tts(state="sentence_start", text=sentence.text))
                playback.feed(sentence.packets)
            playback.finish()
        except Exception:
            log.exception("%s: the reply failed", self._session.device_id)
            self._send(Alert(status="Error", message="The reply failed; the server's log says why.", emotion="sad"))
            self._reply_over()

    def _reply_over(self) -> None:
        """The reply has been played, was aborted, or failed: the device's turn again, or nobody's."""
        was_speaking = self._turn is Turn.SPEAKING
        if not self._move(TurnEvent.REST if self._mode == "manual" else TurnEvent.LISTEN_AGAIN):
            return
        self._drop_turn()
        if was_speaking:
            self._send(Tts(state="stop"))
        if self._turn is Turn.LISTENING:
            self._listen(early=[])

    # Housekeeping

    def _drop_turn(self) -> None:
        """Lets go of whatever the turn before held."""
        self._set_timer(None)
        self._listening = None
        self._early.clear()
        playback, self._playback = self._playback, None
        if playback is not None:
            playback.abort()
        reply, self._reply = self._reply, None
        if reply is not None and reply is not gevent.getcurrent():
            reply.kill(block=False)

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
