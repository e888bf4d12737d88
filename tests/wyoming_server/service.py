"""A Wyoming server that hears what it is told it hears, and speaks with espeak-ng; served by the wyoming package itself."""

from __future__ import annotations

import asyncio
import io
import time
import wave
from array import array
from dataclasses import dataclass, field
from typing import Any

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info, TtsProgram, TtsVoice
from wyoming.server import AsyncEventHandler, AsyncServer, AsyncTcpServer
from wyoming.tts import Synthesize

FAULTS = ("", "hang", "drop", "cut", "error", "garbage", "blank")
"""``hang``: no answer; ``drop``: the connection is closed instead of one; ``cut``: in its middle; ``blank``: it holds nothing."""
CHUNK_SAMPLES = 1024


@dataclass
class Wanted:
    """How it behaves: ``asr`` and ``tts`` are faults, ``text`` is what is heard, ``delay`` seconds pass before an answer."""

    asr: str = ""
    tts: str = ""
    text: str = "what time is it"
    delay: float = 0.0


@dataclass
class Service:
    """``records``: what was asked, in order. ``gone_at`` (monotonic seconds) is set when the client left before its answer."""

    wanted: Wanted = field(default_factory=Wanted)
    records: list[dict[str, Any]] = field(default_factory=list)

    def behave(self, told: dict[str, Any]) -> None:
        """Raises TypeError and ValueError for what it does not know."""
        wanted = Wanted(**told)
        if wanted.asr not in FAULTS or wanted.tts not in FAULTS:
            raise ValueError(f"the faults are {', '.join(FAULTS)}")
        self.wanted = wanted


class Handler(AsyncEventHandler):
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, service: Service) -> None:
        super().__init__(reader, writer)
        self._service = service
        self._audio = b""
        self._format = AudioStart(0, 0, 0)
        self._asked: dict[str, Any] = {}

    async def handle_event(self, event: Event) -> bool:
        """False ends the connection."""
        if Describe.is_type(event.type):
            await self.write_event(_info().event())
        elif Transcribe.is_type(event.type):
            asked = Transcribe.from_event(event)
            self._asked = {"language": asked.language, "model": asked.name}
        elif AudioStart.is_type(event.type):
            self._format, self._audio = AudioStart.from_event(event), b""
        elif AudioChunk.is_type(event.type):
            self._audio += AudioChunk.from_event(event).audio
        elif AudioStop.is_type(event.type):
            return await self._answer("asr", self._service.wanted.asr, self._heard())
        elif Synthesize.is_type(event.type):
            wish = Synthesize.from_event(event)
            voice = wish.voice.to_dict() if wish.voice else {}
            return await self._answer("tts", self._service.wanted.tts, {"text": wish.text, "voice": voice})
        return True

    def _heard(self) -> dict[str, Any]:
        samples = array("h", self._audio[: len(self._audio) // 2 * 2])
        sound = self._format
        loudness = (sum(sample * sample for sample in samples) / len(samples)) ** 0.5 if samples else 0.0
        milliseconds = len(samples) * 1000 // (sound.rate or 1)
        facts = {"rate": sound.rate, "width": sound.width, "channels": sound.channels}
        return {**self._asked, **facts, "milliseconds": milliseconds, "rms": round(loudness)}

    async def _answer(self, kind: str, fault: str, facts: dict[str, Any]) -> bool:
        record = {"kind": kind, "at": time.monotonic(), "gone_at": None, "finished_at": None, **facts}
        self._service.records.append(record)
        await asyncio.sleep(self._service.wanted.delay)
        if fault == "hang":
            await self.reader.read(1)
            record["gone_at"] = time.monotonic()
            return False
        if fault == "drop":
            return False
        if fault == "garbage":
            self.writer.write(b"no event at all\n")
            return False
        if fault == "error":
            await self.write_event(Error("the model is not loaded", "not-loaded").event())
            return True
        try:
            whole = await (self._transcript(fault) if kind == "asr" else self._speak(fault, facts["text"]))
        except ConnectionError:
            record["gone_at"] = time.monotonic()
            return False
        record["finished_at"] = time.monotonic()
        return whole

    async def _transcript(self, fault: str) -> bool:
        if fault == "cut":
            self.writer.write(b'{"type": "transcript", "data_length": 100}\n{"te')
            return False
        await self.write_event(Transcript("" if fault == "blank" else self._service.wanted.text).event())
        return True

    async def _speak(self, fault: str, text: str) -> bool:
        rate, pcm = await _espeak(text)
        sound = {"rate": rate, "width": 2, "channels": 1}
        chunks = [] if fault == "blank" else range(0, len(pcm), 2 * CHUNK_SAMPLES)
        await self.write_event(AudioStart(**sound).event())
        for number, start in enumerate(chunks):
            if fault == "cut" and number == len(chunks) // 2:
                return False
            await self.write_event(AudioChunk(audio=pcm[start : start + 2 * CHUNK_SAMPLES], **sound).event())
        await self.write_event(AudioStop().event())
        return True


async def _espeak(text: str) -> tuple[int, bytes]:
    """Rate and samples."""
    arguments = ("espeak-ng", "-v", "en-us", "--stdin", "--stdout")
    process = await asyncio.create_subprocess_exec(*arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    spoken, _ = await process.communicate(text.encode())
    with wave.open(io.BytesIO(spoken)) as file:  # its head, written before its length was known, promises too much
        return file.getframerate(), file.readframes(len(spoken))


def _info() -> Info:
    by = Attribution("stand-in", "")
    about: dict[str, Any] = {"attribution": by, "installed": True, "description": None, "version": None}
    model = AsrModel(name="stand-in", languages=["en"], **about)
    voice = TtsVoice(name="stand-in", languages=["en"], **about)
    return Info(
        asr=[AsrProgram(name="stand-in", models=[model], **about)], tts=[TtsProgram(name="stand-in", voices=[voice], **about)]
    )


async def start(service: Service) -> tuple[AsyncServer, int]:
    """The running server and its port."""
    server = AsyncTcpServer("127.0.0.1", 0)
    await server.start(lambda reader, writer: Handler(reader, writer, service))
    assert isinstance(server._server, asyncio.Server)
    return server, server._server.sockets[0].getsockname()[1]
