from __future__ import annotations

import builtins
import math
import wave
from array import array
from pathlib import Path

import pytest

from app.opus import codec
from app.opus.codec import Decoder, Encoder, OpusMissing
from app.opus.recording import (
    RecordingError,
    frame_duration_ms,
    read_opusp,
    read_wav,
    resample,
    write_opusp,
    write_wav,
)
from app.protocol.malformed import Malformed


def tone(rate: int, seconds: float = 0.3, hertz: float = 440) -> array[int]:
    return array("h", [round(9000 * math.sin(2 * math.pi * hertz * index / rate)) for index in range(int(rate * seconds))])


@pytest.mark.parametrize(("duration", "toc"), [(60, 0x58), (20, 0x48)])
def test_the_microphone_s_packets_are_silk_wideband(duration: int, toc: int) -> None:
    packets = Encoder(frame_duration_ms=duration).encode_all(tone(16000, 0.6).tobytes())
    assert {packet[0] for packet in packets} == {toc}
    assert frame_duration_ms(packets) == duration


def test_dtx_makes_one_byte_packets_of_silence() -> None:
    packets = Encoder().encode_all(bytes(2 * 16000 * 2))
    assert 1 in {len(packet) for packet in packets}


def test_a_packet_decodes_to_its_duration_at_any_rate() -> None:
    packet = Encoder().encode(tone(16000, 0.06).tobytes())
    assert len(Decoder(16000).decode(packet)) == 960 * 2
    assert len(Decoder(24000).decode(packet)) == 1440 * 2


def test_a_frame_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a frame has 1920"):
        Encoder().encode(b"\0\0")


@pytest.mark.parametrize("make", [lambda: Encoder(44100), lambda: Encoder(complexity=11), lambda: Decoder(44100)])
def test_parameters_that_libopus_does_not_know_are_refused(make: type) -> None:
    with pytest.raises(ValueError, match="libopus has no"):
        make()


@pytest.mark.parametrize("packet", [b"", b"\x5b", b"\x5b\x00"])
def test_what_is_no_packet_is_malformed(packet: bytes) -> None:
    with pytest.raises(Malformed):
        Decoder(16000).decode(packet)


def test_a_missing_libopus_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: object) -> object:
        if name.startswith("opuslib"):
            raise Exception("Could not find Opus library. Make sure it is installed.")
        return real(name, *rest)  # type: ignore[arg-type]

    codec._opuslib.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", missing)
        with pytest.raises(OpusMissing, match="apt-get install libopus0"):
            Encoder()


def test_an_opusp_file_comes_back_as_it_was_written(tmp_path: Path) -> None:
    packets = [b"\x58", b"\x58" + bytes(300)]
    write_opusp(tmp_path / "a.opusp", packets)
    assert read_opusp(tmp_path / "a.opusp") == packets


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x00", b"\x00\x05\x58"])
def test_a_damaged_opusp_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.opusp").write_bytes(data)
    with pytest.raises(RecordingError):
        read_opusp(tmp_path / "a.opusp")


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    for read in (read_opusp, read_wav):
        with pytest.raises(RecordingError, match="cannot be read"):
            read(tmp_path / "none.wav")


def test_packets_of_mixed_durations_are_refused() -> None:
    with pytest.raises(RecordingError, match="one duration"):
        frame_duration_ms([b"\x58", b"\x48"])


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_a_tone(rate: int) -> None:
    expected = tone(16000)
    actual = resample(tone(rate), rate, 16000)
    assert abs(len(actual) - len(expected)) <= 1
    middle = range(500, len(expected) - 500)
    assert max(abs(actual[index] - expected[index]) for index in middle) < 100


def test_downsampling_takes_away_what_would_alias() -> None:
    assert max(map(abs, resample(tone(48000, hertz=15000), 48000, 16000)[500:-500])) < 100


@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 2), (3, 1), (4, 2)])
def test_a_wav_of_any_width_and_channels_is_read(tmp_path: Path, width: int, channels: int) -> None:
    wanted = tone(16000, 0.05)
    frames = b""
    for sample in wanted:
        wide = bytes([(sample >> 8) + 128]) if width == 1 else (sample << 8 * (width - 2)).to_bytes(width, "little", signed=True)
        frames += wide * channels
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(16000)
        file.writeframes(frames)
    read = array("h", read_wav(tmp_path / "a.wav"))
    assert max(abs(a - b) for a, b in zip(read, wanted, strict=True)) <= (255 if width == 1 else 0)


def test_a_wav_is_written_as_it_can_be_read(tmp_path: Path) -> None:
    pcm = tone(16000).tobytes()
    write_wav(tmp_path / "a.wav", pcm, 16000)
    assert read_wav(tmp_path / "a.wav") == pcm
    (tmp_path / "b.wav").write_bytes(b"nothing of the kind")
    with pytest.raises(RecordingError, match="is no WAV file"):
        read_wav(tmp_path / "b.wav")
