"""Turn taking, with a clock that a test turns."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import gevent.event
import pytest

from app.protocol.messages import Abort, AudioParams, Features, Listen, ListenMode, Tts
from app.sections import Dialogue
from app.session.session import NotPossible, Session, Terms
from app.session.state import Event
from app.timers import Timers
from app.voice.agent import NotUnderstood, Sentence
from app.voice.agents.echo import EchoAgent
from app.voice.answering import Studio
from app.voice.conversation import SpokenConversation
from app.voice.emotion import Emotion
from app.voice.figures import VoiceFigures
from app.voice.phrases import Phrases, phrases_in
from app.voice.playback import PlaybackFigures
from app.voice.utterance import Utterance
from tests.session.recording_channel import FakeClock, RecordingChannel
from tests.shared import packets_of

LAMP = packets_of("lamp.opusp")
SPEECH = LAMP[14:34]
"""1.2 s of speech."""
REPLY = ["stt", "tts start", "tts sentence_start", "tts stop"]


class FailingAgent(EchoAgent):
    def answer(self, utterance: Utterance | None, text: str) -> Iterator[Sentence]:
        yield Sentence("a beginning", [SPEECH[:3]])
        raise RuntimeError("a test")


class Butler(EchoAgent):
    """An agent with manners, whose words are a test's: ``hears`` what each utterance is taken for, each sentence lasts 600 ms."""

    pre_roll_ms = 300

    def __init__(self) -> None:
        self.hears: list[str | Exception | None] = []
        self.utterances: list[Utterance] = []
        self.remembered: list[str] = []
        self.asked: list[str] = []
        self.reply = ["One two three four five.", "Six seven eight nine ten."]
        self.phrases: Phrases | None = phrases_in("en")  # type: ignore[assignment]

    def hear(self, utterance: Utterance) -> str | None:
        self.utterances.append(utterance)
        heard = self.hears.pop(0)
        if isinstance(heard, Exception):
            raise heard
        return heard

    def answer(self, utterance: Utterance | None, text: str) -> Iterator[Sentence]:
        self.asked.append(text)
        for sentence in self.reply:
            yield Sentence(sentence, [SPEECH[:10]], Emotion("happy", "🙂"))

    def say(self, text: str) -> Iterator[Sentence]:
        yield Sentence(text, [SPEECH[:10]])

    def spoken(self, text: str) -> None:
        self.remembered.append(text)


class Talk:
    """A conversation and its device; time passes in `wait`."""

    def __init__(self, agent: EchoAgent | None = None, frame_ms: int = 60) -> None:
        self.clock = FakeClock()
        self.timers = Timers(clock=self.clock)
        self.channel = RecordingChannel(self.clock)
        self.figures = PlaybackFigures()
        terms = Terms(AudioParams(frame_duration=frame_ms), AudioParams(sample_rate=24_000, frame_duration=frame_ms), Features())
        self.ended: list[Event] = []
        self.session = Session(
            "aa:bb:cc:dd:ee:ff", self.channel, terms, now=0, on_end=lambda _session, reason: self.ended.append(reason)
        )
        studio = Studio(Dialogue(), self.timers, self.figures, VoiceFigures())
        self.conversation = SpokenConversation(self.session, studio, agent or EchoAgent())
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

    def ask(self, mode: ListenMode = "manual") -> None:
        """One utterance, up to its end."""
        self.listen(mode)
        self.say(SPEECH if mode == "manual" else LAMP[:47])
        if mode == "manual":
            self.stop()

    def detect(self, text: str) -> None:
        self.conversation.on_listen(Listen(state="detect", text=text))

    @property
    def sentences(self) -> list[str | None]:
        return [message.text for message in self.channel.messages if isinstance(message, Tts) and message.text]

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


def test_where_a_word_takes_long_to_the_device_the_audio_waits_for_tts_start(talk: Talk) -> None:
    talk.session.timings.round_trip(0.8)
    talk.ask()
    talk.wait(4)
    times = dict(zip(talk.said, [at for at, _ in talk.channel.timeline], strict=True))
    assert talk.channel.frames[0][0] - times["tts start"] >= 0.8 / 2


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
    assert talk.said == ["stt", "tts start", "alert", "tts sentence_start", "tts stop"]
    assert talk.heard_back == SPEECH[:3], "what there is of it is heard"
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


def test_audio_that_tells_no_speech_by_itself_is_decoded_and_its_end_found() -> None:
    talk = Talk(frame_ms=20)
    talk.listen("auto")
    for sequence, packet in enumerate(packets_of("celt_20ms.opusp"), 1):
        talk.conversation.on_audio(sequence, packet)
        talk.wait(0.02)
    for _ in range(200):
        if "tts start" in talk.said:
            break
        gevent.sleep(0.01)
        talk.wait(0.02)
    assert talk.said[:2] == ["stt", "tts start"]


# With manners


@pytest.fixture
def butler() -> Butler:
    return Butler()


def test_a_question_is_answered_with_a_face_and_sentences(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = ["what is this"]
    talk.ask()
    talk.wait(3)
    assert talk.said == ["stt", "llm", "tts start", "tts sentence_start", "llm", "tts sentence_start", "tts stop"]
    assert talk.sentences == butler.reply
    assert butler.remembered == [" ".join(butler.reply)]


def test_each_sentence_is_shown_when_it_is_heard(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = ["what is this"]
    talk.ask()
    talk.wait(3)
    shown = [at for at, what in talk.channel.timeline if what == "tts sentence_start"]
    assert shown[0] <= talk.channel.frames[0][0]
    assert talk.channel.frames[9][0] <= shown[1] <= talk.channel.frames[10][0]


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_only_what_was_spoken_is_remembered(butler: Butler, mode: ListenMode) -> None:
    talk = Talk(butler)
    butler.hears = ["what is this"]
    talk.ask(mode)
    talk.wait(1.1)
    talk.conversation.on_abort(Abort())
    assert talk.said[-1] == "tts stop"
    assert butler.remembered == ["One two three four five. Six…"] or butler.remembered[0].startswith("One two three four five.")
    assert "ten" not in butler.remembered[0]


def test_an_answer_that_is_broken_off_before_its_sound_is_not_remembered(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = ["what is this"]
    talk.ask()
    talk.wait(0.08)
    talk.conversation.on_abort(Abort())
    talk.wait(1)
    assert butler.remembered in ([], [""])
    assert talk.heard_back == []


def test_a_wake_word_is_greeted_and_the_listen_start_behind_it_does_not_interrupt(butler: Butler) -> None:
    talk = Talk(butler)
    talk.detect("你好小智")
    talk.wait(0.05)
    talk.listen("auto")
    talk.wait(2)
    assert talk.sentences == [phrases_in("en").greeting]
    assert talk.said == ["tts start", "tts sentence_start", "tts stop"]
    butler.hears = ["what is this"]
    talk.say(LAMP)
    talk.wait(3)
    assert butler.asked == ["what is this"]


def test_a_greeting_waits_for_the_audio_that_tells_where_it_is_to_go(butler: Butler) -> None:
    talk = Talk(butler)
    talk.channel.audio_trouble = "No audio has arrived: is UDP 192.0.2.1:8990 open?"
    talk.detect("你好小智")
    talk.listen("auto")
    gevent.sleep(0.1)
    talk.wait(0.5)
    assert talk.said == []
    talk.channel.audio_trouble = None
    gevent.sleep(0.05)
    talk.wait(2)
    assert talk.said == ["tts start", "tts sentence_start", "tts stop"]


def test_a_detected_text_that_is_no_wake_word_is_answered(butler: Butler) -> None:
    talk = Talk(butler)
    talk.detect("what time is it")
    talk.wait(3)
    assert butler.asked == ["what time is it"]
    assert talk.said[0] == "stt"


def test_a_wake_word_during_a_reply_ends_it_and_is_greeted(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = ["what is this"]
    talk.ask("auto")
    talk.wait(0.2)
    talk.detect("hi, XiaoZhi!")
    talk.wait(2)
    assert talk.sentences == [butler.reply[0], phrases_in("en").greeting]
    assert talk.said.count("tts stop") == 2


def test_a_goodbye_is_answered_with_a_word_and_ends_the_session(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = ["goodbye"]
    talk.ask("auto")
    talk.wait(0.4)
    assert talk.ended == []
    talk.wait(2)
    assert talk.sentences == [phrases_in("en").farewell]
    assert talk.said[-2:] == ["tts stop", "goodbye"]
    assert talk.ended == [Event.FAREWELL]


def test_nothing_understood_is_said_once_and_the_second_time_ends_the_session(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = [None, None]
    talk.ask("auto")
    talk.wait(2)
    assert talk.sentences == [phrases_in("en").nothing_heard]
    assert talk.ended == []
    talk.say(LAMP)
    talk.wait(2)
    assert talk.sentences[1:] == [phrases_in("en").nothing_heard_goodbye]
    assert talk.ended == [Event.FAREWELL]


def test_words_between_make_it_start_over(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = [None, "hello there", None]
    for _ in butler.hears[:]:
        talk.ask("auto")
        talk.wait(3)
    assert talk.ended == []


def test_silence_is_waited_out_twice(butler: Butler) -> None:
    talk = Talk(butler)
    talk.listen("auto")
    talk.wait(Dialogue().patience_seconds + 2)
    assert talk.said == []
    talk.wait(Dialogue().patience_seconds + 3)
    assert talk.sentences == [phrases_in("en").nothing_heard_goodbye]
    assert talk.ended == [Event.FAREWELL]


def test_a_held_button_is_never_hurried(butler: Butler) -> None:
    talk = Talk(butler)
    talk.listen("manual")
    talk.wait(3 * Dialogue().patience_seconds)
    assert talk.said == []


def test_a_recognizer_that_fails_is_said(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = [NotUnderstood("Sorry."), "what is this"]
    talk.ask("auto")
    talk.wait(2)
    assert talk.sentences == ["Sorry."]
    assert butler.remembered == []
    talk.say(LAMP)
    talk.wait(3)
    assert butler.asked == ["what is this"]


def test_an_announcement_is_spoken_at_once_and_the_device_listens_again(butler: Butler) -> None:
    talk = Talk(butler)
    talk.listen("auto")
    assert talk.conversation.speak("The washing is done.") == "speaking"
    talk.wait(2)
    assert talk.said == ["tts start", "tts sentence_start", "tts stop"]
    assert butler.remembered == ["The washing is done."]
    butler.hears = ["thank you"]
    talk.say(LAMP)
    talk.wait(3)
    assert butler.asked == ["thank you"]


def test_an_announcement_waits_for_the_end_of_a_turn(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = ["what is this"]
    talk.listen("auto")
    talk.say(LAMP[:30])
    assert talk.conversation.speak("The washing is done.") == "queued"
    talk.say(LAMP[30:])
    talk.wait(4)
    assert talk.sentences == [*butler.reply, "The washing is done."]


def test_the_listen_start_that_answers_tts_stop_does_not_interrupt_what_is_said_next(butler: Butler) -> None:
    talk = Talk(butler)
    talk.listen("auto")
    talk.conversation.speak("One.")
    talk.wait(1.2)
    assert talk.said[-1] == "tts stop"
    talk.conversation.speak("Two.")
    talk.wait(0.2)
    talk.listen("auto")
    talk.wait(2)
    assert talk.sentences == ["One.", "Two."]
    assert butler.remembered == ["One.", "Two."]
    talk.conversation.speak("Three.")
    talk.wait(0.2)
    talk.listen("auto")
    talk.wait(0.1)
    talk.listen("auto")
    assert talk.said[-1] == "tts stop", "a second one is a barge-in"


def test_announcements_follow_one_another_without_a_stop(butler: Butler) -> None:
    talk = Talk(butler)
    talk.listen("auto")
    for text in ("One.", "Two.", "Three."):
        talk.conversation.speak(text)
    talk.wait(4)
    assert talk.said == ["tts start", *["tts sentence_start"] * 3, "tts stop"]
    assert talk.sentences == ["One.", "Two.", "Three."]


def test_an_abort_silences_what_waits_too(butler: Butler) -> None:
    talk = Talk(butler)
    talk.listen("auto")
    for text in ("One.", "Two."):
        talk.conversation.speak(text)
    talk.wait(0.3)
    talk.conversation.on_abort(Abort())
    frames = len(talk.channel.frames)
    talk.wait(2)
    assert len(talk.channel.frames) == frames
    assert talk.sentences == ["One."]


def test_too_many_announcements_are_refused(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = ["what is this"]
    talk.listen()
    talk.say(SPEECH)
    talk.stop()
    for _ in range(8):
        assert talk.conversation.speak("The washing is done.") == "queued"
    with pytest.raises(NotPossible, match="8 texts"):
        talk.conversation.speak("The washing is done.")


def test_speech_during_a_reply_interrupts_it_in_realtime_and_is_heard_from_its_beginning(butler: Butler) -> None:
    talk = Talk(butler)
    butler.reply = ["A long story. "] * 8
    butler.hears = ["tell me a story", "turn on the light"]
    talk.ask("realtime")
    talk.wait(1)
    assert "tts start" in talk.said
    talk.say(LAMP[8:])
    talk.wait(0.5)
    assert len(butler.utterances) == 2
    first_words = butler.utterances[1].packets
    assert LAMP[14] in first_words
    assert talk.said[: talk.said.index("tts stop")].count("tts sentence_start") < 8
    talk.wait(1)
    assert butler.asked == ["tell me a story", "turn on the light"]


def test_who_goes_on_while_the_recognizer_works_is_heard_as_a_whole(butler: Butler) -> None:
    talk = Talk(butler)
    recognized = gevent.event.Event()
    hear = butler.hear

    def slow(utterance: Utterance) -> str | None:
        heard = hear(utterance)
        recognized.wait()
        return heard

    butler.hear = slow  # type: ignore[method-assign]
    butler.hears = ["turn on", "turn on the light"]
    talk.ask("realtime")
    talk.say(LAMP[8:44])
    recognized.set()
    talk.wait(3)
    assert butler.asked == ["turn on the light"]
    assert butler.utterances[1].packets[: len(butler.utterances[0].packets)] == butler.utterances[0].packets
    assert len(butler.utterances[1].packets) > len(butler.utterances[0].packets) + 20


@pytest.mark.parametrize("mode", ["auto", "manual"])
def test_in_other_modes_speech_does_not_interrupt(butler: Butler, mode: ListenMode) -> None:
    talk = Talk(butler)
    butler.hears = ["tell me a story"]
    talk.ask(mode)
    talk.wait(0.3)
    talk.say(SPEECH[:12])
    talk.wait(3)
    assert talk.sentences == butler.reply


def test_silence_of_the_microphone_does_not_interrupt_in_realtime(butler: Butler) -> None:
    talk = Talk(butler)
    butler.hears = ["tell me a story"]
    talk.ask("realtime")
    talk.wait(0.3)
    talk.say(packets_of("silence_dtx.opusp")[:20])
    talk.wait(2)
    assert talk.sentences == butler.reply


# How long an answer takes


def first_frame_after(talk: Talk) -> float:
    """ms from the last word, at the time that it is now, to the first frame of the answer."""
    spoken_until = talk.clock.now
    talk.wait(3)
    return (talk.channel.frames[0][0] - spoken_until) * 1000


def test_a_manual_answer_is_timed_from_listen_stop_to_its_first_frame(talk: Talk) -> None:
    talk.ask()
    took = first_frame_after(talk)
    assert talk.session.timings.answers == 1
    assert talk.session.timings.answer_ms == pytest.approx(took, abs=10)


def test_an_answer_to_what_the_server_heard_the_end_of_is_timed_from_the_last_word(talk: Talk) -> None:
    """The pause by which the end was recognized is in it: people wait through it."""
    talk.ask("auto")
    talk.wait(3)
    timings = talk.session.timings
    assert timings.answers == 1
    assert timings.answer_ms is not None
    assert 700 < timings.answer_ms < 1_600


def test_an_announcement_answers_nothing_and_is_not_timed(talk: Talk) -> None:
    talk.conversation.speak("the tea is ready")
    talk.wait(2)
    assert talk.session.timings.answers == 0
    assert talk.session.timings.spoke_at is not None or not talk.channel.frames


def test_what_is_aborted_before_its_first_frame_is_not_timed(talk: Talk) -> None:
    talk.ask()
    talk.wait(0.1)
    talk.conversation.on_abort(Abort())
    talk.wait(2)
    assert talk.session.timings.answers == 0
    assert talk.session.timings.asked_at is None


def test_whose_turn_it_is_can_be_seen(talk: Talk) -> None:
    turns = [talk.session.turn]
    talk.ask()
    turns.append(talk.session.turn)
    talk.wait(0.3)
    turns.append(talk.session.turn)
    talk.wait(5)
    turns.append(talk.session.turn)
    assert turns == ["idle", "thinking", "speaking", "idle"]
    assert talk.session.mode == "manual"
