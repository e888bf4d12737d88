"""Fifty conversations at once, with a stand-in for OpenAI's endpoints: what the server itself adds to their waiting.

From the end-of-speech decision to the recognizer's request on its way, and from the synthesizer's first byte to the first UDP
packet. The decision falls with the arrival of one packet, which follows from the recording; the device notes when it sends that
packet, the stand-in when the request arrived and when its first sound left. So the way over loopback is in the figures, and so is
the time for which the server lets packets gather.
"""

from __future__ import annotations

import heapq
import itertools
import random
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from app.client.tools import Tools
from app.protocol.audio_packet import HEADER
from app.voice.listening import Listening
from benchmarks import machine
from benchmarks.figures import quantile
from benchmarks.fleet import Device, Fleet, hello
from benchmarks.load import audio_socket
from benchmarks.recordings import FRAME_MS
from benchmarks.report import Report, Row
from benchmarks.scale import Scale
from benchmarks.server import BenchServer, ServerError
from tests.openai_server.process import OpenAiServer
from tests.openai_server.record import Record

SILENCE_MS = 700
SETTINGS = {
    "XIAOZHI_DIALOGUE__AGENT": "assistant",
    "XIAOZHI_DIALOGUE__SILENCE_MS": str(SILENCE_MS),
    "XIAOZHI_VOICE__TTS__CACHE_MEGABYTES": "0",
}
RECOGNIZER_SECONDS, MIND_SECONDS, WORD_SECONDS = 0.15, 0.2, 0.02
VOICE_SECONDS = 0.25
"""Until its first sound: longer than the play-out's lead, which would hide what the server needs."""
PIECE_SECONDS = 0.05
"""Between pieces of 200 ms: the voice is faster than its sound, as voices are."""
SPACING_SECONDS = 0.14
"""Between the beginnings of conversations: fifty are spread over about the time of a turn."""
PAUSE_SECONDS = 0.4
PATIENCE_SECONDS = 20.0
SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@qq")
SPEECH_PACKETS = 36
SILENCE = b"\x58"


@dataclass(slots=True)
class Turn:
    """One question. Times are monotonic seconds: the packet that decided was sent, the first frame of the answer arrived."""

    text: str
    packets: list[bytes]
    decisive: int
    decided_at: float = 0.0
    heard_at: float = 0.0
    frames: int = 0


@dataclass(slots=True)
class Talk:
    """One device's conversation."""

    device: Device
    turns: list[Turn]
    number: int = 0
    is_speaking: bool = False
    knows_tools: bool = False
    tools: Tools = field(default_factory=lambda: Tools("benchmark", "1.0.0"))

    @property
    def turn(self) -> Turn:
        return self.turns[self.number]

    @property
    def is_over(self) -> bool:
        return self.number == len(self.turns)


def measure(cores: machine.Cores, speech: list[bytes], scale: Scale, report: Report) -> None:
    """On a server of its own, since it needs the stand-in's addresses."""
    with OpenAiServer() as stand_in:
        machine.pin(stand_in.pid, cores.load)
        with BenchServer(cores, {**SETTINGS, **stand_in.environment()}) as server, Fleet(server) as fleet:
            report.section(f"Conversations: {scale.conversations} at once, {scale.conversation_turns} turns each")
            devices = fleet.connect(scale.conversations)
            talks = [_talk(device, number, scale, stand_in, speech) for number, device in enumerate(devices)]
            stand_in.script(ms_per_character=50)
            stand_in.behave("transcriptions", before_head=RECOGNIZER_SECONDS)
            stand_in.behave("chat", before_head=MIND_SECONDS, between_chunks=WORD_SECONDS)
            stand_in.behave("speech", before_head=VOICE_SECONDS, between_chunks=PIECE_SECONDS)
            with audio_socket(server.udp_port) as sock:
                hall = _Hall(server, fleet, sock, talks)
                hall.open()
                cpu, began = machine.cpu_seconds(server.worker), time.monotonic()
                hall.run()
            busy = (machine.cpu_seconds(server.worker) - cpu) / (time.monotonic() - began)
            _report(report, [turn for talk in talks for turn in talk.turns], stand_in.records(), busy)
            share = 100 * server.disturbance()
            report.add(Row("conversations_disturbed", "of the worker's core others used meanwhile", share, "%"))


def _talk(device: Device, number: int, scale: Scale, stand_in: OpenAiServer, speech: list[bytes]) -> Talk:
    turns = []
    for index in range(scale.conversation_turns):
        text = f"call {number:03d}{index:02d}"
        packets = _question(text, speech)
        stand_in.know(text, text, packets)
        turns.append(Turn(text, packets, _decisive(packets)))
    return Talk(device, turns)


def _question(text: str, speech: list[bytes]) -> list[bytes]:
    """Two seconds of speech between DTX silence, unlike any other: of each packet only the begin, which tells speech, is kept."""
    source = random.Random(text)
    made = [packet[:4] + source.randbytes(len(packet) - 4) for packet in speech[:SPEECH_PACKETS]]
    return [SILENCE] * 8 + made + [SILENCE] * (SILENCE_MS // FRAME_MS + 4)


def _decisive(packets: list[bytes]) -> int:
    """The index of the packet with which the end of speech is found."""
    ends: list[int] = []
    listening = Listening(FRAME_MS, SILENCE_MS, 300_000, 300, finds_end=True, on_end=lambda: ends.append(1))
    for index, packet in enumerate(packets):
        listening.hear(index + 1, packet)
        if ends:
            return index
    raise ValueError("the end of this speech is not found")


class _Hall:
    """All conversations, in one loop: what is due is sent, what comes is noted."""

    def __init__(self, server: BenchServer, fleet: Fleet, sock: socket.socket, talks: list[Talk]) -> None:
        self._server = server
        self._fleet = fleet
        self._socket = sock
        self._talks = talks
        self._by_mac = {talk.device.mac: talk for talk in talks}
        self._by_ssrc: dict[int, Talk] = {}
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def open(self) -> None:
        """A session for each, its tools known to the server. Raises ServerError."""
        for talk in self._talks:
            self._fleet.publish(talk.device, hello())
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(talk.knows_tools for talk in self._talks):
            for device, message, _ in self._fleet.poll(0.1):
                self._receive(self._by_mac[device.mac], message)
            if time.monotonic() > deadline:
                raise ServerError(f"the sessions are not open; the log ends with:\n{self._server.log_tail()}")

    def run(self) -> None:
        """Returns when every answer has been heard. Raises ServerError when none comes for long."""
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._socket.setblocking(False)
        now = time.monotonic()
        for index, talk in enumerate(self._talks):
            self._at(now + index * SPACING_SECONDS, lambda talk=talk: self._begin(talk))
        last = now + len(self._talks) * SPACING_SECONDS
        while not all(talk.is_over for talk in self._talks):
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                heapq.heappop(self._due)[2]()
            pause = self._due[0][0] - time.monotonic() if self._due else 0.003
            for device, message, at in self._fleet.poll(min(0.003, max(0.0, pause))):
                self._receive(self._by_mac[device.mac], message)
                last = at
            self._hear()
            if time.monotonic() - last > PATIENCE_SECONDS:
                waiting = sum(not talk.is_over for talk in self._talks)
                raise ServerError(f"{waiting} conversations wait in vain; the log ends with:\n{self._server.log_tail()}")

    def _at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (when, next(self._order), action))

    def _begin(self, talk: Talk) -> None:
        self._tell(talk, {"type": "listen", "state": "start", "mode": "auto"})
        now = time.monotonic()
        for index, packet in enumerate(talk.turn.packets):
            when = now + (index + 1) * FRAME_MS / 1000
            self._at(when, lambda index=index, packet=packet: self._send(talk, index, packet))

    def _send(self, talk: Talk, index: int, packet: bytes) -> None:
        if talk.is_speaking or talk.is_over:
            return  # `tts start` has turned the microphone off
        datagram = talk.device.datagram(packet)
        if index == talk.turn.decisive:
            talk.turn.decided_at = time.monotonic()
        self._socket.send(datagram)

    def _receive(self, talk: Talk, message: dict[str, object]) -> None:
        match message["type"], message.get("state"):
            case "hello", _:
                talk.device.take_hello(message)
                self._by_ssrc[talk.device.ssrc] = talk
            case "mcp", _:
                talk.knows_tools = message["payload"]["method"] == "tools/list"  # type: ignore[index]
                answer = talk.tools.answer(message["payload"])  # type: ignore[arg-type]
                if answer is not None:
                    self._tell(talk, {"type": "mcp", "payload": answer})
            case "tts", "start":
                talk.is_speaking = True
            case "tts", "stop":
                talk.is_speaking = False
                talk.number += 1
                if not talk.is_over:
                    self._at(time.monotonic() + PAUSE_SECONDS, lambda: self._begin(talk))
            case (("alert" | "goodbye"), _):
                raise ServerError(f"a device was told {message}; the log ends with:\n{self._server.log_tail()}")

    def _tell(self, talk: Talk, message: dict[str, object]) -> None:
        self._fleet.publish(talk.device, {"session_id": talk.device.session_id, **message})

    def _hear(self) -> None:
        while True:
            try:
                datagram, ancillary, _, _ = self._socket.recvmsg(2048, 64)
            except BlockingIOError:
                return
            talk = self._by_ssrc[HEADER.unpack_from(datagram)[3]]
            if talk.is_over:
                continue
            talk.turn.frames += 1
            if talk.turn.frames == 1:
                talk.turn.heard_at = _arrival(ancillary)


def _arrival(ancillary: list[tuple[int, int, bytes]]) -> float:
    """When the kernel got it, by the monotonic clock."""
    seconds, nanoseconds = next(_TIMESPEC.unpack(data) for _, kind, data in ancillary if kind == SO_TIMESTAMPNS)
    return seconds + nanoseconds / 1e9 - time.time() + time.monotonic()


def _report(report: Report, turns: list[Turn], records: list[Record], busy: float) -> None:
    heard = {record.subject: record for record in records if record.route == "transcriptions"}
    thought = {record.subject: record for record in records if record.route == "chat"}
    said: dict[str, Record] = {}
    for record in records:
        words = record.subject.split(":")[-1].strip(" .")
        if record.route == "speech" and words in heard:
            said.setdefault(words, record)
    answered = sum(1 for turn in turns if turn.frames and turn.text in said)
    report.add(Row("conversations_answered", "questions answered", answered, "", f"of {len(turns)}"))
    if answered < len(turns):
        raise ServerError(f"{len(turns) - answered} questions were not answered")
    waits = {
        "request": [heard[turn.text].first_byte_at - turn.decided_at for turn in turns],
        "mind": [thought[turn.text].first_byte_at - (heard[turn.text].finished_at or 0.0) for turn in turns],
        "voice": [turn.heard_at - (said[turn.text].body_at or 0.0) for turn in turns],
    }
    names = {
        "request": ("end of speech to the recognizer's request", "10"),
        "mind": ("recognizer's answer to the mind's request", ""),
        "voice": ("synthesizer's first byte to the first UDP packet", "15"),
    }
    for key, values in waits.items():
        figure, goal = names[key]
        ordered = sorted(value * 1000 for value in values)
        for mark, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            wanted = goal if mark == "p99" else ""
            report.add(Row(f"conversations_{key}_{mark}_ms", f"{figure}, {mark}", quantile(ordered, share), "ms", goal=wanted))
    report.add(Row("conversations_cpu", "the worker's core", 100 * busy, "%", "from the first question to the last answer's end"))
