"""Recordings in files: ``.opusp``, a run of Opus packets (big-endian u16 length, then that many bytes), and WAV."""

from __future__ import annotations

import math
import operator
import struct
import sys
import wave
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

from app.opus.packet import duration_us
from app.protocol.malformed import Malformed

SAMPLE_RATE = 16_000
"""Hz of the PCM that `read_wav` returns: what the microphone encoder takes."""
ZERO_CROSSINGS = 8
LONGEST_SECONDS = 3600


class RecordingError(Exception):
    """A recording cannot be read or written; the text says what to do."""


def read_opusp(path: Path) -> list[bytes]:
    """The packets of an ``.opusp`` file. Raises RecordingError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}: check the name and its permissions.") from None
    packets = []
    offset = 0
    while offset < len(data):
        length = int.from_bytes(data[offset : offset + 2], "big")
        packet = data[offset + 2 : offset + 2 + length]
        if not length or len(packet) != length:
            raise RecordingError(f"{path} is no run of Opus packets (at byte {offset}): it is damaged, or no .opusp file.")
        packets.append(packet)
        offset += 2 + length
    if not packets:
        raise RecordingError(f"{path} is empty: give a recording with at least one packet.")
    return packets


def write_opusp(path: Path, packets: Iterable[bytes]) -> None:
    """Writes packets as an ``.opusp`` file. Raises RecordingError."""
    data = b"".join([struct.pack(">H", len(packet)) + packet for packet in packets])
    try:
        path.write_bytes(data)
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror}: check the folder and its permissions.") from None


def frame_duration_ms(packets: Sequence[bytes]) -> int:
    """How long each packet of a recording lasts, in ms. Raises RecordingError when they differ or are no Opus packets."""
    try:
        durations = {duration_us(packet) for packet in packets}
    except Malformed as error:
        raise RecordingError(f"the recording holds what is no Opus packet: {error}.") from None
    if len(durations) != 1 or (duration := durations.pop()) % 1000:
        raise RecordingError("the recording's packets are not all of one duration in whole ms: record it again with one.")
    return duration // 1000


def read_wav(path: Path) -> bytes:
    """The PCM of a WAV file as 16 kHz mono s16le, whatever its rate, width and channels. Raises RecordingError.

    Channels are averaged; the rate is changed with a windowed-sinc filter of 8 zero crossings a side: speech quality.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            if not rate or file.getnframes() > rate * LONGEST_SECONDS:
                raise RecordingError(f"{path} is longer than an hour or has no sample rate: cut it shorter.")
            data = file.readframes(file.getnframes())
    except OSError as error:
        raise RecordingError(f"{path} cannot be read: {error.strerror}: check the name and its permissions.") from None
    except (wave.Error, EOFError, struct.error) as error:
        raise RecordingError(f"{path} is no WAV file of integer samples ({error}): save it as 16-bit PCM.") from None
    samples = resample(_mono(_samples(data, width), channels), rate, SAMPLE_RATE)
    if not samples:
        raise RecordingError(f"{path} holds no samples: record it again.")
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def write_wav(path: Path, pcm: bytes, sample_rate: int, channels: int = 1) -> None:
    """Writes s16le PCM as a WAV file. Raises RecordingError."""
    try:
        with wave.open(str(path), "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes(pcm)
    except OSError as error:
        raise RecordingError(f"{path} cannot be written: {error.strerror}: check the folder and its permissions.") from None


def _samples(data: bytes, width: int) -> array[int]:
    """Integer samples of ``width`` bytes as 16-bit ones; of wider ones the upper 16 bits."""
    data = data[: len(data) // width * width]
    if width == 1:
        return array("h", [(byte - 128) << 8 for byte in data])
    kept = bytearray(len(data) // width * 2)
    kept[0::2], kept[1::2] = data[width - 2 :: width], data[width - 1 :: width]
    samples = array("h", bytes(kept))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _mono(samples: array[int], channels: int) -> array[int]:
    if channels == 1:
        return samples
    return array("h", [sum(frame) // channels for frame in zip(*[iter(samples)] * channels, strict=False)])


def resample(samples: array[int], rate: int, wanted: int) -> array[int]:
    """``samples`` at ``rate`` Hz as they would be at ``wanted`` Hz: a polyphase windowed-sinc filter."""
    if rate == wanted or not samples:
        return samples
    divisor = math.gcd(rate, wanted)
    up, down = wanted // divisor, rate // divisor
    cutoff = min(1.0, wanted / rate)
    reach = math.ceil(ZERO_CROSSINGS / cutoff)
    padded = [0] * reach + samples.tolist() + [0] * (reach + 1)
    filters: dict[int, list[float]] = {}
    result = array("h")
    for index in range(len(samples) * up // down):
        whole, phase = divmod(index * down, up)
        taps = filters.get(phase)
        if taps is None:
            taps = filters[phase] = _taps(phase / up, reach, cutoff)
        value = sum(map(operator.mul, taps, padded[whole + 1 : whole + 1 + 2 * reach]))
        result.append(max(-32768, min(32767, round(value))))
    return result


def _taps(fraction: float, reach: int, cutoff: float) -> list[float]:
    """The filter for a sample ``fraction`` behind a whole one: sinc at ``cutoff``, under a Hann window, of gain 1."""
    taps = []
    for step in range(1 - reach, reach + 1):
        distance = step - fraction
        x = math.pi * distance * cutoff
        sinc = math.sin(x) / x if x else 1.0
        taps.append(sinc * (0.5 + 0.5 * math.cos(math.pi * distance / (reach + 1))))
    total = sum(taps)
    return [tap / total for tap in taps]
