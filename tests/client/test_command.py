from __future__ import annotations

import argparse
import json
import wave
from pathlib import Path

import pytest

from app.client import command
from app.client.reply import Fate, Frame, Reply
from app.opus.recording import read_opusp, write_opusp
from tests.ports import free_port


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


def test_a_failed_leg_is_one_sentence_on_stderr_and_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--ota", f"http://127.0.0.1:{free_port()}/", "--json") == command.FAILED
    out, err = capsys.readouterr()
    event = json.loads(out.splitlines()[-1])
    assert (event["event"], event["leg"]) == ("leg_failed", "ota")
    assert err.startswith("ota: nothing listens at")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--device-id", "zz"), "is no MAC address"),
        (("--say", "none.opusp"), "cannot be read"),
        (("--say", "letter.txt"), "neither .wav nor .opusp"),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_tried(
    arguments: tuple[str, str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--ota", "http://127.0.0.1:1/", *arguments) == command.UNUSABLE
    out, err = capsys.readouterr()
    assert sentence in err
    assert not out


def test_a_recording_announces_its_own_frame_duration(tmp_path: Path, packets: list[bytes]) -> None:
    write_opusp(tmp_path / "a.opusp", packets)
    options = argparse.Namespace(say=tmp_path / "a.opusp", frame_duration=60)
    assert command._recording(options) == (packets, 20)


def test_the_reply_is_saved_as_it_was_heard(tmp_path: Path, packets: list[bytes]) -> None:
    reply = Reply(20, 24000)
    for sequence, packet in enumerate(packets, 1):
        reply.add(Frame(0.0, sequence, 0, packet, Fate.PLAYED))
    reply.add(Frame(0.0, 99, 0, packets[0], Fate.DISCARDED))
    command.save(reply, tmp_path / "a.opusp")
    assert read_opusp(tmp_path / "a.opusp") == packets
    command.save(reply, tmp_path / "a.wav")
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getframerate(), file.getnframes()) == (24000, 25 * 480)
