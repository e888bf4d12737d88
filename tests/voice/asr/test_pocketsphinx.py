"""The offline recognizer, with its real process."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import gevent.socket
import pytest

from app.opus.codec import Encoder
from app.opus.recording import read_wav
from app.sections import OpenAi
from app.settings import TOP
from app.voice.asr import pocketsphinx
from app.voice.asr.pocketsphinx import PocketsphinxOptions, PocketsphinxRecognizer
from app.voice.provider import ProviderFault, Workshop
from app.voice.sphinx.child import Child
from app.voice.sphinx.complaints import LONGEST_LINE, MOST_LINES, log_complaints
from app.voice.sphinx.job import read_utterance, utterance_bytes
from app.voice.utterance import Utterance
from tests.shared import packets_of, recordings
from tests.waiting import eventually

RECORDINGS = {recording["file"]: recording for recording in recordings()}
SECRET = "sk-secret-1234"


@pytest.fixture(scope="module")
def recognizer() -> Iterator[PocketsphinxRecognizer]:
    with pytest.MonkeyPatch.context() as patch, socket.socket() as listening:
        patch.setenv("OPENAI_API_KEY", SECRET)
        listening.set_inheritable(True)  # as gunicorn's are
        made = PocketsphinxRecognizer(PocketsphinxOptions(), Workshop(OpenAi(), Path("/nonexistent"), 60))
        made.transcribe(recording("silence_dtx.opusp"), "en")
        yield made
    made.close()


def recording(file: str) -> Utterance:
    return Utterance(tuple(packets_of(file)), RECORDINGS[file]["frame_duration_ms"])


def spoken(text: str, path: Path) -> Utterance:
    subprocess.run(["espeak-ng", "-v", "en-us+m3", "-s", "160", "-w", str(path), text], check=True)
    return Utterance(tuple(Encoder().encode_all(bytes(9600) + read_wav(path) + bytes(16000))), 60)


def pid_of(recognizer: PocketsphinxRecognizer) -> int:
    return pid_of_child(recognizer._children[0])


def pid_of_child(child: Child) -> int:
    told = re.search(r"^Pid:\s*(\d+)", Path(f"/proc/self/fdinfo/{child._process}").read_text(), re.MULTILINE)
    assert told is not None
    return int(told[1])


def is_there(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("file", ["lamp.opusp", "volume.opusp", "weather.opusp", "two_sentences.opusp", "celt_20ms.opusp"])
def test_a_command_comes_out_word_for_word(recognizer: PocketsphinxRecognizer, file: str) -> None:
    assert recognizer.transcribe(recording(file), "en") == RECORDINGS[file]["text"]


@pytest.mark.parametrize("text", ["what time is it", "turn off the lamp", "set the volume to thirty percent"])
def test_commands_of_another_voice_come_out(recognizer: PocketsphinxRecognizer, tmp_path: Path, text: str) -> None:
    assert recognizer.transcribe(spoken(text, tmp_path / "x.wav"), "en") == text


def test_what_is_no_command_is_not_pressed_into_one(recognizer: PocketsphinxRecognizer, tmp_path: Path) -> None:
    words = recognizer.transcribe(spoken("where is the nearest hospital", tmp_path / "x.wav"), "en").split()
    assert "hospital" in words


def test_with_lost_packets_it_still_comes_out(recognizer: PocketsphinxRecognizer) -> None:
    packets: list[bytes | None] = list(packets_of("volume.opusp"))
    packets[2] = packets[50] = None
    assert recognizer.transcribe(Utterance(tuple(packets), 60), "en") == "set the volume to fifty"


@pytest.mark.parametrize("file", ["noise_only.opusp", "silence_dtx.opusp"])
def test_where_nothing_was_said_there_are_no_words(recognizer: PocketsphinxRecognizer, file: str) -> None:
    assert recognizer.transcribe(recording(file), "en") == ""


def test_an_empty_utterance_has_no_words(recognizer: PocketsphinxRecognizer) -> None:
    assert recognizer.transcribe(Utterance((), 60), "en") == ""
    assert recognizer.transcribe(Utterance((None, b"\xff\xff"), 60), "en") == ""


def test_a_killed_turn_does_not_disturb_the_next(recognizer: PocketsphinxRecognizer) -> None:
    turn = gevent.spawn(recognizer.transcribe, recording("weather.opusp"), "en")
    gevent.sleep(0)  # it has sent its utterance
    turn.kill()
    assert recognizer.transcribe(recording("volume.opusp"), "en") == "set the volume to fifty"


def test_turns_at_a_time_each_get_their_own_words(recognizer: PocketsphinxRecognizer) -> None:
    files = ["lamp.opusp", "volume.opusp", "silence_dtx.opusp"]
    turns = [gevent.spawn(recognizer.transcribe, recording(file), "en") for file in files]
    gevent.joinall(turns, raise_error=True)
    assert [turn.value for turn in turns] == [RECORDINGS[file]["text"] for file in files]


def test_the_process_knows_no_secret_and_none_of_our_sockets(recognizer: PocketsphinxRecognizer) -> None:
    process = Path(f"/proc/{pid_of(recognizer)}")
    assert SECRET.encode() not in (process / "environ").read_bytes()
    sockets = [os.readlink(link) for link in (process / "fd").iterdir() if os.readlink(link).startswith("socket:")]
    assert len(sockets) == 3  # its standard input, output and error
    assert len(set(sockets)) == 2


def test_a_process_that_has_died_is_replaced(recognizer: PocketsphinxRecognizer) -> None:
    old = pid_of(recognizer)
    os.kill(old, signal.SIGKILL)
    assert recognizer.transcribe(recording("silence_dtx.opusp"), "en") == ""
    assert pid_of(recognizer) != old


def test_too_many_waiting_are_refused_and_a_hanging_process_is_replaced(
    recognizer: PocketsphinxRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = pid_of(recognizer)
    os.kill(hanging, signal.SIGSTOP)
    with monkeypatch.context() as patch:
        patch.setattr(pocketsphinx, "MOST_WAITING", 3)
        patch.setattr(recognizer, "_seconds", 0.5)
        turns = [gevent.spawn(recognizer.transcribe, recording("silence_dtx.opusp"), "en") for _ in range(3)]
        gevent.sleep(0)
        with pytest.raises(ProviderFault, match=r"too many.*voice\.asr\.pocketsphinx\.processes"):
            recognizer.transcribe(recording("silence_dtx.opusp"), "en")
        gevent.joinall(turns)
    assert all("voice.asr.timeout_seconds" in str(turn.exception) for turn in turns)
    eventually(lambda: not is_there(hanging))
    assert recognizer.transcribe(recording("silence_dtx.opusp"), "en") == ""


def test_the_process_dies_with_the_server() -> None:
    program = (
        "import gevent, sys\n"
        "from app.voice.sphinx.child import Child\n"
        "from tests.voice.asr.test_pocketsphinx import pid_of_child\n"
        "child = Child(); child.start(); print(pid_of_child(child), flush=True); gevent.sleep(60)\n"
    )
    server = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=TOP)
    assert server.stdout is not None
    with server, server.stdout:
        pid = int(server.stdout.readline())
        assert is_there(pid)
        server.kill()
    eventually(lambda: not is_there(pid), 20)


def test_closing_ends_the_process_and_twice_is_fine() -> None:
    made = PocketsphinxRecognizer(PocketsphinxOptions(), Workshop(OpenAi(), Path("/nonexistent"), 60))
    gevent.sleep(0)
    pid = pid_of(made)
    made.close()
    made.close()
    eventually(lambda: not is_there(pid))
    with pytest.raises(ProviderFault):
        made.transcribe(recording("lamp.opusp"), "en")


def test_closing_in_the_midst_of_a_turn_starts_nothing_anew() -> None:
    made = PocketsphinxRecognizer(PocketsphinxOptions(), Workshop(OpenAi(), Path("/nonexistent"), 60))
    turn = gevent.spawn(made.transcribe, recording("weather.opusp"), "en")
    gevent.sleep(0)
    pid = pid_of(made)
    made.close()
    turn.join(20)
    assert isinstance(turn.exception, ProviderFault)
    assert made._children[0]._process is None
    eventually(lambda: not is_there(pid))


def test_what_the_process_complains_of_is_in_the_log(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    child = Child()
    with pytest.raises(ConnectionError):
        child.recognize(b"")
    eventually(lambda: "struct.error" in caplog.text)
    assert {record.name for record in caplog.records} == {"app.voice.sphinx.complaints"}
    assert capfd.readouterr().err == ""


def test_a_process_that_complains_without_end_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    ours, its = gevent.socket.socketpair()
    reading = gevent.spawn(log_complaints, ours)
    its.sendall(b"x" * 3 * LONGEST_LINE + b"\n" + b"one more\n" * 100_000)
    its.close()
    reading.get(timeout=20)
    assert len(caplog.records) == MOST_LINES + 1
    assert max(len(record.getMessage()) for record in caplog.records) <= LONGEST_LINE
    assert caplog.records[-1].getMessage().endswith("no further one is logged")


def test_an_utterance_crosses_over_unchanged() -> None:
    utterance = Utterance((b"\x58", None, bytes(1275)), 20)
    assert read_utterance(utterance_bytes(utterance)) == utterance
