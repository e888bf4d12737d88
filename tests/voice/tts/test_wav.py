"""WAV as it comes."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from app.protocol.malformed import Malformed
from app.voice.tts.synthesizer import Pcm
from app.voice.tts.wav import WavReader
from tests.voice.tts.sounds import floats, pcm, voice, wav

SOUND = pcm(voice(8000, 0.1))


def read(data: bytes, step: int) -> list[Pcm]:
    reader = WavReader()
    pieces = [reader.feed(data[start : start + step]) for start in range(0, len(data), step)]
    return [piece for piece in pieces if piece is not None]


def header(kind: int, channels: int, rate: int, bits: int, size: int = 0, extra: bytes = b"") -> bytes:
    size_of_frame = channels * bits // 8
    chunk = struct.pack("<HHIIHH", kind, channels, rate, rate * size_of_frame, size_of_frame, bits) + extra
    return struct.pack("<4sI4s4sI", b"RIFF", 0, b"WAVE", b"fmt ", len(chunk)) + chunk + struct.pack("<4sI", b"data", size)


@pytest.mark.parametrize("step", [1, 3, 44, 45, 100_000])
def test_pieces_of_any_size_give_the_same_sound(step: int) -> None:
    pieces = read(wav(SOUND, 8000), step)
    assert b"".join(piece.samples for piece in pieces) == SOUND
    assert {piece.rate for piece in pieces} == {8000}
    assert all(len(piece.samples) % 2 == 0 for piece in pieces)


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_stream_that_does_not_know_its_length_is_read_to_its_end(size: int) -> None:
    assert b"".join(piece.samples for piece in read(header(1, 1, 8000, 16, size) + SOUND, 500)) == SOUND


def test_what_follows_the_sound_is_not_heard() -> None:
    data = wav(SOUND, 8000) + struct.pack("<4sI", b"LIST", 4) + b"INFO"
    assert b"".join(piece.samples for piece in read(data, 70)) == SOUND


def test_chunks_before_the_sound_are_passed_over() -> None:
    whole = wav(SOUND, 8000)
    data = whole[:12] + struct.pack("<4sI", b"LIST", 5) + b"odd!!\0" + whole[12:]
    assert b"".join(piece.samples for piece in read(data, 9)) == SOUND


@pytest.mark.parametrize(
    ("kind", "bits", "data"),
    [
        (1, 8, lambda values: ((values * 127).round() + 128).astype(np.uint8).tobytes()),
        (1, 24, lambda values: (values * 2**31 * 0.999).astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes()),
        (1, 32, lambda values: (values * 2**31 * 0.999).astype("<i4").tobytes()),
        (3, 32, lambda values: values.astype("<f4").tobytes()),
        (3, 64, lambda values: values.astype("<f8").tobytes()),
    ],
)
def test_samples_of_any_kind_become_16_bits(kind: int, bits: int, data) -> None:  # type: ignore[no-untyped-def]
    values = voice(8000, 0.1)
    pieces = read(header(kind, 1, 8000, bits) + data(values), 333)
    result = floats(b"".join(piece.samples for piece in pieces))
    assert np.abs(result - values).max() < (0.01 if bits == 8 else 0.001)


def test_channels_are_averaged() -> None:
    stereo = np.stack([voice(8000, 0.1), np.zeros(800, np.float32)], axis=1)
    pieces = read(wav(pcm(stereo), 8000, channels=2), 333)
    assert np.abs(floats(b"".join(piece.samples for piece in pieces)) - voice(8000, 0.1) / 2).max() < 0.001


def test_floats_beyond_full_scale_or_none_at_all_are_made_harmless() -> None:
    odd = np.array([5.0, -5.0, np.nan, np.inf], "<f4")
    (piece,) = read(header(3, 1, 8000, 32) + odd.tobytes(), 1000)
    assert np.abs(floats(piece.samples)).max() <= 1


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfb\x90\x00" * 20,
        b"{}" * 20,
        b"RIFF0000AVI " + bytes(40),
        header(1, 1, 0, 16),
        header(1, 0, 8000, 16),
        header(1, 1, 8000, 12),
        header(0x55, 1, 8000, 16),
        b"RIFF0000WAVEdata\x10\0\0\0",
        b"RIFF0000WAVE" + struct.pack("<4sI", b"junk", 1 << 30) + bytes(70_000),
    ],
)
def test_what_is_no_wav_that_can_be_read_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read(data + SOUND, 1000)
