"""``/v1/audio/speech``: a voice of espeak-ng, spoken once at the start; how long it speaks follows from the text's length."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import wave
from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from app.opus.codec import Encoder
from tests.openai_server import ogg
from tests.openai_server.answer import Answer, BadRequest

RATE = 24_000
PACKET_MS = 20
PIECE_MS = 200
"""How much sound is sent at a time."""
SHORTEST_MS = 400
SAMPLE = (
    "The quick brown fox jumps over the lazy dog, and the dog looks after him, and wonders where he goes at this time of day."
)
TYPES = {"opus": "audio/ogg", "pcm": "audio/pcm", "wav": "audio/wav", "mp3": "audio/mpeg"}


class Voice:
    """Speech of some seconds, over and over: as packets of 20 ms, and as PCM of 24 kHz."""

    def __init__(self) -> None:
        import numpy
        import soxr

        spoken = subprocess.run(["espeak-ng", "-v", "en-us", "--stdout", SAMPLE], capture_output=True, check=True).stdout
        with wave.open(io.BytesIO(spoken)) as file:
            samples, rate = numpy.frombuffer(file.readframes(file.getnframes()), numpy.int16), file.getframerate()
        loud = numpy.trim_zeros(samples)
        pcm: bytes = soxr.resample(loud, rate, RATE).astype(numpy.int16).tobytes()
        encoder = Encoder(RATE, frame_duration_ms=PACKET_MS, complexity=5, dtx=False)
        self._packets = encoder.encode_all(pcm)
        self._pcm = pcm[: len(self._packets) * encoder.frame_bytes].ljust(len(self._packets) * encoder.frame_bytes, b"\0")

    def packets(self, milliseconds: int) -> list[bytes]:
        return list(islice(cycle(self._packets), milliseconds // PACKET_MS))

    def pcm(self, milliseconds: int) -> bytes:
        size = milliseconds * RATE // 1000 * 2
        return (self._pcm * (size // len(self._pcm) + 1))[:size]


def answer(body: bytes, voice: Voice, ms_per_character: int, facts: dict[str, Any], blank: bool) -> Answer:
    """Raises BadRequest for what OpenAI would refuse."""
    try:
        request = json.loads(body)
    except ValueError:
        raise BadRequest("We could not parse the JSON body of your request.") from None
    kind = request.get("response_format", "mp3")
    facts |= {"input": request.get("input"), "voice": request.get("voice"), "model": request.get("model"), "format": kind}
    facts |= {"speed": request.get("speed"), "instructions": request.get("instructions")}
    if not isinstance(request.get("input"), str) or not 1 <= len(request["input"]) <= 4096:
        raise BadRequest("input: a string of 1 to 4096 characters is required")
    if not request.get("model") or not request.get("voice") or kind not in TYPES:
        raise BadRequest("model and voice are required, and response_format has to be one that exists")
    facts["subject"] = request["input"]
    milliseconds = max(SHORTEST_MS, len(request["input"]) * ms_per_character)
    milliseconds = 0 if blank else milliseconds // PACKET_MS * PACKET_MS
    facts["milliseconds"] = milliseconds
    return Answer(TYPES[kind], _pieces(kind, voice, milliseconds), streamed=True)


def _pieces(kind: str, voice: Voice, milliseconds: int) -> Sequence[bytes]:
    """The headers come with the first sound."""
    if kind == "opus":
        head, tags, *pages = ogg.write(voice.packets(milliseconds), PIECE_MS // PACKET_MS)
        return [head + tags + b"".join(pages[:1]), *pages[1:]]
    if kind == "mp3":
        return [b"\xff\xfb\x90\x00" + bytes(413)] * (milliseconds // 26)
    pcm, step = voice.pcm(milliseconds), PIECE_MS * RATE // 1000 * 2
    pieces = [pcm[start : start + step] for start in range(0, len(pcm), step)] or [b""]
    if kind == "wav":  # as a stream: its length is not known when its head is sent
        most = 0xFFFFFFFF
        head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", most, b"WAVE", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16, b"data", most)
        pieces[0] = head + pieces[0]
    return pieces
