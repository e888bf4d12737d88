"""Encoding and decoding with libopus, for the few places where there is no way round it (PROTOCOL.md 6).

PCM is bytes of signed 16-bit little-endian samples, channels interleaved. The calls into libopus go through ctypes, which
releases the GIL: a caller on gevent's hub runs them in the hub's thread pool (DESIGN.md, rule 7).

opuslib 3.0.1 has faults that this file goes round: the setter of its ``Encoder.dtx`` raises instead of setting, the text of
the error its encoder raises cannot be printed, and its import raises a bare ``Exception`` where libopus is not found.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import warnings
from collections.abc import Iterator
from types import ModuleType

from app.protocol.malformed import Malformed

SAMPLE_BYTES = 2
MICROPHONE_SAMPLE_RATE = 16_000
MICROPHONE_FRAME_DURATION_MS = 60
LONGEST_PACKET_MS = 120


class OpusMissing(Exception):
    """libopus is not installed. Its text says how to install it."""


@contextlib.contextmanager
def _found_by_the_loader_too() -> Iterator[None]:
    """opuslib asks ``find_library``, which asks ldconfig, gcc and ld. A library that LD_LIBRARY_PATH alone leads to, as on a
    platform that installs an Aptfile under a directory of its own and has no compiler, is found by the loader only."""
    asked = ctypes.util.find_library
    ctypes.util.find_library = lambda name: asked(name) or _soname_that_loads(name)
    try:
        yield
    finally:
        ctypes.util.find_library = asked


def _soname_that_loads(name: str) -> str | None:
    soname = f"lib{name}.so.0"
    try:
        ctypes.CDLL(soname)
    except OSError:
        return None
    return soname


@functools.cache
def _opuslib() -> ModuleType:
    try:
        with warnings.catch_warnings(), _found_by_the_loader_too():
            warnings.simplefilter("ignore", SyntaxWarning)  # opuslib compares integers with `is`
            import opuslib
            import opuslib.api.ctl
            import opuslib.api.encoder
    except ImportError:
        raise OpusMissing("The Python package opuslib is missing: pip install -r requirements.txt") from None
    except Exception as error:
        if "Opus library" not in str(error):
            raise
        raise OpusMissing(
            "libopus is not installed: on Debian or Ubuntu type `apt-get install libopus0`, on macOS `brew install opus`."
        ) from None
    module: ModuleType = opuslib
    return module


def load() -> None:
    """Loads libopus. To be called once on the main thread before other threads code: looking for the library starts a program,
    which in a process that gevent has patched works there alone. Raises OpusMissing."""
    _opuslib()


def version() -> str:
    """Of libopus, such as ``1.3.1``; empty where it is missing."""
    try:
        _opuslib()
    except OpusMissing:
        return ""
    import opuslib.api.info

    told: bytes = opuslib.api.info.get_version_string()
    return told.decode("ascii", "replace").removeprefix("libopus ")


class Encoder:
    """The device's microphone encoder, unless told otherwise: application AUDIO, VBR, DTX, bitrate auto (PROTOCOL.md 6).

    ``sample_rate``: Hz, one of 8000, 12000, 16000, 24000, 48000; ``frame_duration_ms``: 10, 20, 40, 60, or made of
    several frames 80, 100, 120; ``bitrate``: bit/s, None for auto. Raises OpusMissing, or ValueError for parameters that libopus
    does not know.
    """

    def __init__(
        self,
        sample_rate: int = MICROPHONE_SAMPLE_RATE,
        channels: int = 1,
        frame_duration_ms: int = MICROPHONE_FRAME_DURATION_MS,
        complexity: int = 0,
        dtx: bool = True,
        *,
        bitrate: int | None = None,
    ) -> None:
        opuslib = _opuslib()
        self._error = opuslib.OpusError
        try:
            self._encoder = opuslib.Encoder(sample_rate, channels, opuslib.APPLICATION_AUDIO)
            wanted = [("set_complexity", complexity), ("set_vbr", 1), ("set_dtx", int(dtx))]
            if bitrate is not None:
                wanted.append(("set_bitrate", bitrate))
            for setting, value in wanted:
                opuslib.api.encoder.encoder_ctl(self._encoder.encoder_state, getattr(opuslib.api.ctl, setting), value)
        except self._error:
            raise ValueError(
                f"libopus has no encoder of {sample_rate} Hz, {channels} channels, complexity {complexity}"
            ) from None
        self._samples = sample_rate * frame_duration_ms // 1000
        self.frame_bytes = self._samples * channels * SAMPLE_BYTES
        """Bytes of PCM that one packet holds."""

    def encode(self, pcm: bytes) -> bytes:
        """The packet of exactly one frame of PCM. Raises ValueError when it is not one frame, or not one that Opus has."""
        if len(pcm) != self.frame_bytes:
            raise ValueError(f"{len(pcm)} bytes of PCM; a frame has {self.frame_bytes}")
        try:
            packet: bytes = self._encoder.encode(pcm, self._samples)
        except self._error:
            raise ValueError(f"libopus does not encode frames of {self._samples} samples") from None
        return packet

    def encode_all(self, pcm: bytes) -> list[bytes]:
        """The packets of a whole recording; its last frame is filled up with silence."""
        size = self.frame_bytes
        return [self.encode(pcm[start : start + size].ljust(size, b"\0")) for start in range(0, len(pcm), size)]


class Decoder:
    """Decodes a stream of Opus packets. ``sample_rate``: Hz of the PCM wanted. Raises OpusMissing, ValueError."""

    def __init__(self, sample_rate: int, channels: int = 1) -> None:
        opuslib = _opuslib()
        self._error = opuslib.OpusError
        try:
            self._decoder = opuslib.Decoder(sample_rate, channels)
        except self._error:
            raise ValueError(f"libopus has no decoder of {sample_rate} Hz, {channels} channels") from None
        self._samples = sample_rate * LONGEST_PACKET_MS // 1000

    def decode(self, packet: bytes) -> bytes:
        """The PCM of one packet. Raises Malformed when libopus cannot read it."""
        if not packet:
            raise Malformed("an empty Opus packet")  # to libopus it would mean "conceal a lost one"
        try:
            pcm: bytes = self._decoder.decode(packet, self._samples)
        except self._error:
            raise Malformed(f"libopus cannot decode this packet of {len(packet)} bytes") from None
        return pcm
