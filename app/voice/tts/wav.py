"""A WAV stream, read as it arrives: from a program's stdout or an HTTP answer, whose header tells no true length."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.protocol.malformed import Malformed
from app.voice.tts.encoding import RATES
from app.voice.tts.synthesizer import Pcm

MOST_HEADER_BYTES = 65_536
MOST_CHANNELS = 8
INTEGER, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


@dataclass(frozen=True, slots=True)
class SampleFormat:
    """How samples are written, little-endian. ``width``: bytes of one; those of one byte have no sign."""

    channels: int
    width: int
    is_float: bool = False

    @property
    def is_known(self) -> bool:
        """Whether `mono` can read it."""
        return 1 <= self.channels <= MOST_CHANNELS and self.width in ((4, 8) if self.is_float else (1, 2, 3, 4))

    @property
    def size(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.width

    def mono(self, data: bytes) -> bytes:
        """s16le of whole samples, the channels averaged."""
        if (self.channels, self.width) == (1, 2):
            return data
        values = self._values(data).reshape(-1, self.channels).mean(axis=1)
        samples: bytes = (np.nan_to_num(values).clip(-1, 1) * 32767).round().astype("<i2").tobytes()
        return samples

    def _values(self, data: bytes) -> NDArray[np.float64]:
        """From -1 to 1."""
        if self.is_float:
            return np.frombuffer(data, f"<f{self.width}").astype(np.float64)
        if self.width == 1:
            return (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
        if self.width == 3:
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            return wide.view("<i4").reshape(-1) / 2.0**31
        return np.asarray(np.frombuffer(data, f"<i{self.width}") / 2.0 ** (8 * self.width - 1))


class WavReader:
    """Takes bytes as they come and gives their sound: 8 to 32 bits or float, up to 8 channels, as mono."""

    def __init__(self) -> None:
        self._head: bytearray | None = bytearray()
        self._format: SampleFormat | None = None
        self._rate = 0
        self._left = 0
        self._rest = b""

    def feed(self, data: bytes) -> Pcm | None:
        """The sound that ``data`` completes, if any. Raises Malformed when this is no WAV that can be read."""
        if self._head is not None:
            self._head += data
            data = self._read_head(self._head)
        if self._format is None:
            return None
        data = data[: self._left]
        self._left -= len(data)
        data = self._rest + data
        whole = len(data) - len(data) % self._format.size
        self._rest = data[whole:]
        return Pcm(self._rate, self._format.mono(data[:whole])) if whole else None

    def _read_head(self, head: bytearray) -> bytes:
        """Reads the chunks before the sound; returns what has come of the sound."""
        if not b"RIFF".startswith(head[:4]) or not b"WAVE".startswith(head[8:12]):
            raise Malformed("no WAV")
        offset = 12
        while len(head) >= offset + 8:
            name, size = struct.unpack_from("<4sI", head, offset)
            offset += 8
            if name == b"data":
                if self._format is None:
                    raise Malformed("a WAV whose sound comes before its format")
                # Who does not know the length yet writes 0, or a number near the field's end, which no sentence reaches.
                self._left = size or 0xFFFF_FFFF
                self._head = None
                return bytes(head[offset:])
            if len(head) < offset + size:
                break
            if name == b"fmt ":
                self._read_format(bytes(head[offset : offset + size]))
            offset += size + size % 2
        if len(head) > MOST_HEADER_BYTES:
            raise Malformed("a WAV without sound at its beginning")
        return b""

    def _read_format(self, chunk: bytes) -> None:
        if len(chunk) < 16:
            raise Malformed("a WAV whose format is cut short")
        kind, channels, self._rate, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
        if kind == EXTENSIBLE and len(chunk) >= 26:
            (kind,) = struct.unpack_from("<H", chunk, 24)
        self._format = SampleFormat(channels, bits // 8, is_float=kind == FLOAT)
        if kind not in (INTEGER, FLOAT) or bits % 8 or not self._format.is_known or self._rate not in RATES:
            raise Malformed(f"a WAV of kind {kind}, {bits} bits, {channels} channels, {self._rate} Hz")
