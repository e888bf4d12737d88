"""Any program as a voice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.settings import SettingsError
from app.voice.provider import ProviderFault
from app.voice.tts.command import CommandOptions, CommandSynthesizer
from tests.voice.tts.sounds import pcm, voice, wav, workshop

SOUND = pcm(voice(16_000, 0.5))


def command(*argv: str, seconds: float = 20.0) -> CommandSynthesizer:
    return CommandSynthesizer(CommandOptions(argv=argv), workshop(Path(), seconds))


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    path.write_bytes(wav(SOUND, 16_000))
    return path


def test_its_wav_is_the_sound_and_its_input_the_text(tmp_path: Path, recording: Path) -> None:
    text = tmp_path / "text"
    pieces = list(command("sh", "-c", f"cat > '{text}'; cat '{recording}'").synthesize("Grüß dich; rm -rf /", "de"))
    assert b"".join(piece.samples for piece in pieces) == SOUND
    assert {piece.rate for piece in pieces} == {16_000}
    assert text.read_text() == "Grüß dich; rm -rf /\n"


def test_the_language_goes_into_its_arguments_unless_it_is_none(tmp_path: Path, recording: Path) -> None:
    told = tmp_path / "told"
    speaking = command("sh", "-c", f"echo \"$@\" >> '{told}'; cat '{recording}'", "sh", "{language}", "voices/{language}.onnx")
    for language in ("zh-CN", "--delete-everything", "en; rm"):
        list(speaking.synthesize("hello", language))
    assert told.read_text().splitlines() == ["zh-CN voices/zh-CN.onnx", "en voices/en.onnx", "en voices/en.onnx"]


def test_the_arguments_are_its_identity() -> None:
    assert command("cat", "{language}").identity("de") == 'command ["cat", "de"]'


def test_what_is_no_wav_is_said_so() -> None:
    with pytest.raises(ProviderFault, match=r"voice\.tts\.command: echo wrote no WAV: let it write WAV"):
        list(command("echo", "sound").synthesize("hello", "en"))


def test_its_failure_is_told_without_the_text() -> None:
    script = "import sys; sys.exit('cannot pronounce ' + sys.stdin.read())"
    with pytest.raises(ProviderFault, match="ended with status 1") as fault:
        list(command(sys.executable, "-I", "-c", script).synthesize("my secret", "en"))
    assert "secret" not in str(fault.value)


def test_its_time_is_bounded() -> None:
    with pytest.raises(ProviderFault, match=r"wrote nothing for 0\.2 s"):
        list(command("sleep", "600", seconds=0.2).synthesize("hello", "en"))


def test_a_program_that_is_not_there_stops_the_start() -> None:
    with pytest.raises(SettingsError, match=r"voice\.tts\.command\.argv: there is no program 'no-such-program'"):
        command("no-such-program")


@pytest.mark.parametrize("argv", [[], [""]])
def test_a_command_has_a_program(argv: list[str]) -> None:
    with pytest.raises(ValueError, match="argv"):
        CommandOptions.model_validate({"argv": argv})
