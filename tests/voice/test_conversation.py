"""Turn taking, with a clock that a test turns."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import pytest

from app.protocol.messages import Abort, AudioParams, Features, Listen, ListenMode
from app.session.session import Session, Terms
from app.settings import Dialogue
from app.timers import Timers
from app.voice.agent import Sentence
from app.voice.agents.echo import EchoAgent
from app.voice.conversation import SpokenConversation, Studio
from app.voice.playback import PlaybackFigures
from app.voice.utterance import Utterance
from tests.session.recording_channel import FakeClock, RecordingChannel
from tests.shared import packets_of

LAMP = packets_of("lamp.opusp")
SPEECH = LAMP[14:34]
"""1.2 s of speech."""
REPLY = ["stt", "tts start", "tts sentence_start", "tts stop"]


class FailingAgent(EchoAgent):
    def reply(self, utterance: Utterance, text: str) -> Iterator[Sentence]:
        yield Sentence("a beginning", utterance.packets[:3])
        raise RuntimeError("a test")


class Talk:
    """A conversation and its device; time passes in `wait`."""

    def __init__(self, agent: EchoAgent | None = None, frame_ms: int = 60) -> None:
        self.clock = FakeClock()
        self.timers = Timers(clock=self.clock)
        self.channel = RecordingChannel(self.clock)
        self.figures = PlaybackFigures()
        terms = Terms(AudioParams(frame_duration=frame_ms), AudioParams(sample_rate=24_000, frame_duration=frame_ms), Features())
        self.session = Session("aa:bb:cc:dd:ee:ff", self.channel, terms, now=0, on_end=lambda *_: None)
        studio = Studio(Dialogue(), agent or EchoAgent(), self.timers, self.figures)
        self.conversation = SpokenConversation(self.session, studio)
        self.session.begin(self.conversation)
        self._sequence = 0

    def wait(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            self.clock.now += 0.005
            self.timers.run_due()
            gevent.sleep(0)

    def listen(self, mode: ListenMode = "manual") -> None:
        self.conversation.on_listen(Listen(state="start", mode=mode))

    def stop(self) -> None:
        self.conversation.on_listen(Listen(state="stop"))

    def say(self, packets: list[bytes]) -> None:
        """In real time."""
        for packet in packets:
            self._sequence += 1
            self.conversation.on_audio(self._sequence, packet)
            self.wait(0.06)

    @property
    def heard_back(self) -> list[bytes]:
        return [frame for _, frame in self.channel.frames]

    @property
    def said(self) -> list[str]:
        return self.channel.said


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_a_manual_turn_is_answered_after_listen_stop(talk: Talk) -> None:
    talk.listen()
    talk.say(SPEECH)
    assert talk.said == []
    talk.stop()
    talk.wait(3)
    assert talk.said == REPLY
    assert talk.heard_back == SPEECH
    talk.say(SPEECH)
    assert talk.said == REPLY, "a manual device waits for its user"


def test_packets_that_listen_stop_overtook_belong_to_the_turn(talk: Talk) -> None:
    talk.listen()
    talk.say(SPEECH[:-1])
    talk.stop()
    talk.conversation.on_audio(len(SPEECH), SPEECH[-1])
    talk.wait(3)
    assert talk.heard_back == SPEECH


def test_packets_that_overtook_listen_start_belong_to_the_turn(talk: Talk) -> None:
    talk.say(SPEECH[:4])
    talk.listen()
    talk.say(SPEECH[4:])
    talk.stop()
    talk.wait(3)
    assert talk.heard_back == SPEECH


@pytest.mark.parametrize("mode", ["auto", "realtime"])
def test_the_end_of_speech_is_answered_and_the_device_listens_again(talk: Talk, mode: ListenMode) -> None:
    talk.listen(mode)
    talk.say(LAMP)
    talk.wait(5)
    assert talk.said == REPLY
    talk.say(LAMP)
    talk.wait(5)
    assert talk.said == REPLY * 2


def test_a_device_that_falls_silent_altogether_is_answered(talk: Talk) -> None:
    talk.listen("auto")
    talk.say(LAMP[:30])
    talk.wait(5)
    assert talk.said == REPLY
    assert talk.heard_back == LAMP[:30]


def test_silence_is_not_answered(talk: Talk) -> None:
    talk.listen("auto")
    talk.say(packets_of("silence_dtx.opusp"))
    talk.wait(5)
    assert talk.said == []


def test_tts_stop_follows_the_play_out(talk: Talk) -> None:
    talk.listen()
    talk.say(SPEECH)
    talk.stop()
    talk.wait(4)
    times = dict(zip(talk.said, [at for at, _ in talk.channel.timeline], strict=True))
    first = talk.channel.frames[0][0]
    assert times["tts start"] < first
    assert times["tts stop"] >= first + len(SPEECH) * 0.06


def speaking(mode: ListenMode = "manual") -> Talk:
    """In the middle of a reply."""
    talk = Talk()
    talk.listen(mode)
    talk.say(LAMP[:40] if mode != "manual" else SPEECH)
    talk.stop()
    talk.wait(0.6)
    assert talk.said == REPLY[:3]
    return talk


@pytest.mark.parametrize("mode", ["manual", "auto", "realtime"])
def test_abort_ends_the_reply_at_once(mode: ListenMode) -> None:
    talk = speaking(mode)
    frames = len(talk.channel.frames)
    talk.conversation.on_abort(Abort())
    assert talk.said == REPLY
    talk.wait(3)
    assert len(talk.channel.frames) == frames
    assert talk.said == REPLY
    assert talk.figures.aborted == 1


def test_a_listen_start_during_a_reply_is_a_barge_in(talk: Talk) -> None:
    talk = speaking()
    frames = len(talk.channel.frames)
    talk.listen()
    assert talk.said == REPLY
    talk.say(SPEECH[:10])
    assert len(talk.channel.frames) == frames
    talk.stop()
    talk.wait(3)
    assert talk.said == REPLY * 2
    assert talk.heard_back[frames:] == SPEECH[:10]


def test_an_abort_before_the_reply_leaves_no_reply(talk: Talk) -> None:
    talk.listen()
    talk.say(SPEECH)
    talk.stop()
    talk.conversation.on_abort(Abort())
    talk.wait(3)
    assert talk.said == []
    assert talk.heard_back == []


def test_events_out_of_turn_change_nothing(talk: Talk) -> None:
    talk.stop()
    talk.conversation.on_abort(Abort())
    talk.conversation.on_listen(Listen(state="detect", text="hello"))
    talk.conversation.on_mcp({})
    talk.wait(1)
    assert talk.said == []


def test_a_second_listen_start_goes_on_with_the_turn(talk: Talk) -> None:
    talk.listen()
    talk.say(SPEECH[:10])
    talk.listen()
    talk.say(SPEECH[10:])
    talk.stop()
    talk.wait(3)
    assert talk.heard_back == SPEECH


def test_a_reply_that_fails_is_said_and_the_conversation_goes_on() -> None:
    talk = Talk(FailingAgent())
    talk.listen()
    talk.say(SPEECH)
    talk.stop()
    talk.wait(2)
    assert talk.said == ["stt", "tts start", "tts sentence_start", "alert", "tts stop"]
    talk.listen()
    talk.say(SPEECH)
    talk.stop()
    talk.wait(2)
    assert talk.said[5:7] == ["stt", "tts start"]


def test_a_device_of_which_no_audio_arrives_is_told_so(talk: Talk) -> None:
    talk.channel.audio_trouble = "No audio has arrived: is UDP 192.0.2.1:8990 open?"
    talk.listen()
    talk.stop()
    talk.wait(1)
    assert talk.said[0] == "alert"
    assert "192.0.2.1:8990" in str(talk.channel.messages[0])


def test_every_message_names_the_session(talk: Talk) -> None:
    talk.listen()
    talk.say(SPEECH)
    talk.stop()
    talk.wait(3)
    assert {message.session_id for message in talk.channel.messages} == {talk.session.id}


def test_close_silences_everything() -> None:
    talk = speaking()
    frames = len(talk.channel.frames)
    talk.conversation.close()
    talk.conversation.close()
    talk.listen()
    talk.say(SPEECH)
    talk.stop()
    talk.wait(3)
    assert len(talk.channel.frames) == frames
    assert talk.said == REPLY[:3]


def test_an_utterance_has_a_longest_duration(talk: Talk) -> None:
    talk.listen("manual")
    for sequence in range(1, 600):
        talk.conversation.on_audio(sequence, SPEECH[sequence % 20])
    talk.wait(0.1)
    assert talk.said[:2] == ["stt", "tts start"]


def test_audio_that_does_not_tell_speech_from_silence_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    talk = Talk(frame_ms=20)
    talk.listen("auto")
    for sequence in range(1, 4):
        talk.conversation.on_audio(sequence, packets_of("celt_20ms.opusp")[40])
        talk.wait(0.9)
    assert len([record for record in caplog.records if "CELT" in record.message]) == 1
