"""Where the time of an uplink packet goes: the server's own functions, one layer after another, in this process.

Each layer is timed together with all those before it, on packets that a socket of ours has received, and its share is the
difference. Time is CPU time: others may run beside it. What the whole server needs beyond their sum is waking up, and memory that
others have used meanwhile.
"""

from __future__ import annotations

import secrets
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from app.opus.speech import speech_flags
from app.protocol.aes import Scratch
from app.protocol.audio_packet import AUDIO, HEADER, HEADER_SIZE
from app.protocol.cipher import KEY_SIZE, SessionCipher
from app.protocol.messages import AudioParams, Features, Listen, Message
from app.protocol.replay import ReplayWindow
from app.sections import Dialogue, Udp
from app.session.session import Session, Terms
from app.timers import Timers
from app.transport.audio_leg import AudioLeg
from app.transport.udp import MAX_DATAGRAM, UdpServer
from app.voice.agents.echo import EchoAgent
from app.voice.answering import Studio
from app.voice.conversation import SpokenConversation
from app.voice.endpointing import Endpointer
from app.voice.figures import VoiceFigures
from app.voice.playback import PlaybackFigures
from app.voice.utterance import UtteranceBuilder
from benchmarks.load import audio_socket
from benchmarks.mmsg import Train
from benchmarks.recordings import FRAME_MS, repeated
from benchmarks.report import Report, Row
from benchmarks.server import HOST

LEGS = 100
ROUND = 4_000
"""Packets that fit into a socket's receive buffer at a time."""
SO_RCVBUFFORCE = 33


class Still:
    """A channel and a conversation that do nothing."""

    is_speaking = False

    def send_json(self, message: Message) -> None: ...

    def on_audio(self, sequence: int, packet: bytes) -> None: ...


class Anatomy:
    """The same packets for every layer: ``LEGS`` sessions in turn, in rounds that fit into a socket."""

    def __init__(self, packets: list[bytes], count: int) -> None:
        self._keys = [(ssrc, secrets.token_bytes(KEY_SIZE)) for ssrc in range(1, LEGS + 1)]
        ciphers = [SessionCipher(key) for _, key in self._keys]
        turns = max(2 * ROUND, count) // LEGS
        loops = [repeated(packets, turns, 7 * index % len(packets)) for index in range(LEGS)]
        self.plain = [(turn + 1, loop[turn]) for turn in range(turns) for loop in loops]
        self.datagrams = []
        for index, (sequence, packet) in enumerate(self.plain):
            header = HEADER.pack(AUDIO, 0, len(packet), index % LEGS + 1, 0, sequence)
            self.datagrams.append(header + ciphers[index % LEGS].apply(header, packet))
        self._trains = [Train(self.datagrams[at : at + ROUND]) for at in range(0, len(self.datagrams), ROUND)]

    def received(self, deliver_of: Callable[[UdpServer], Sequence[Callable[[int, bytes], None]]] | None) -> float:
        """µs a packet through the receive loop; its legs deliver to those functions, None: the server has no legs."""
        server = UdpServer(Udp())
        if deliver_of is not None:
            for (ssrc, key), deliver in zip(self._keys, deliver_of(server), strict=True):
                leg = AudioLeg(
                    ssrc,
                    key,
                    server.figures,
                    frame_duration_ms=FRAME_MS,
                    channels=1,
                    deliver=deliver,
                    scratch=server.scratch,
                )
                server.add(leg)

        def drain(receive: Callable[[int], Any]) -> None:
            while server._drain(receive):
                pass

        cost = self._from_socket(drain)
        wanted = 0 if deliver_of is None else len(self.datagrams)
        assert server.figures.accepted == wanted, "the packets prepared for the anatomy are not all accepted"
        return cost

    def bare(self) -> float:
        """µs a packet of nothing but the system call."""

        def drain(receive: Callable[[int], Any]) -> None:
            try:
                while True:
                    receive(MAX_DATAGRAM)
            except BlockingIOError:
                return

        return self._from_socket(drain)

    def _from_socket(self, drain: Callable[[Callable[[int], Any]], None]) -> float:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            try:
                sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 * 1024 * 1024)
            except PermissionError:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024 * 1024)
            sock.bind((HOST, 0))
            costs = []
            with audio_socket(sock.getsockname()[1]) as sender:
                for train in self._trains:
                    sent = 0
                    while sent < len(train):
                        sent += train.send(sender.fileno(), sent, min(64, len(train) - sent))
                    began = time.thread_time()
                    drain(sock.recvfrom)
                    costs.append((time.thread_time() - began) / len(train) * 1e6)
        return statistics.median(costs[1:])

    def alone(self, function: Callable[[int, int, bytes, bytes], object]) -> float:
        """µs a packet of ``function(index of the leg, sequence, packet, datagram)``, the call itself taken off."""
        work = [
            (index % LEGS, sequence, packet, datagram)
            for index, ((sequence, packet), datagram) in enumerate(zip(self.plain, self.datagrams, strict=True))
        ]

        def timed(called: Callable[[int, int, bytes, bytes], object]) -> float:
            began = time.thread_time()
            for leg, sequence, packet, datagram in work:
                called(leg, sequence, packet, datagram)
            return (time.thread_time() - began) / len(work) * 1e6

        return timed(function) - timed(lambda leg, sequence, packet, datagram: None)

    def ciphers(self) -> list[SessionCipher]:
        scratch = Scratch()
        return [SessionCipher(key, scratch) for _, key in self._keys]


def measure(packets: list[bytes], count: int, report: Report, whole: float | None) -> None:
    """``whole``: µs of the server all told, which the layers are compared with."""
    anatomy = Anatomy(packets, count)
    report.section("Where the time of an uplink packet goes (the same functions, called in this process)")
    bare = anatomy.bare()
    header = anatomy.received(None)
    leg = anatomy.received(lambda _: [_nothing] * LEGS)
    session = anatomy.received(lambda _: [_session(None).receive_audio for _ in range(LEGS)])
    listening = anatomy.received(lambda _: [_session("auto").receive_audio for _ in range(LEGS)])
    decrypt, window, flags, utterance = _alone(anatomy)
    rows = [
        ("recvfrom", "recvfrom, the system call, its bytes and its address", bare, ""),
        ("header", "header unpacked and checked, session found", header - bare, ""),
        ("decrypt", "decryption (pycryptodome AES-ECB of the blocks, XOR)", decrypt, "measured alone"),
        ("replay", "replay window", window, "measured alone"),
        ("trust", "address, TOC byte, loss and the rest of the leg", leg - header - decrypt - window, "difference"),
        ("session", "the session's state", session - leg, ""),
        ("endpointing", "speech flags and endpointing", flags, "measured alone"),
        ("utterance", "the utterance kept", utterance, "measured alone"),
        ("conversation", "turn taking, the rest of listening", listening - session - flags - utterance, "difference"),
    ]
    for key, name, value, note in rows:
        report.add(Row(f"anatomy_{key}_us", name, value, "µs", note))
    report.add(Row("anatomy_sum_us", "their sum", listening, "µs"))
    if whole is not None:
        report.add(
            Row("anatomy_rest_us", "the rest up to the saturated worker's", whole - listening, "µs", "hub, memory, caches")
        )


def _alone(anatomy: Anatomy) -> tuple[float, float, float, float]:
    """Decryption, replay window, endpointing, utterance."""
    ciphers, windows = anatomy.ciphers(), [ReplayWindow() for _ in range(LEGS)]
    endpointers = [Endpointer(700) for _ in range(LEGS)]
    builders = [UtteranceBuilder(FRAME_MS) for _ in range(LEGS)]

    def decrypt(leg: int, _sequence: int, _packet: bytes, datagram: bytes) -> object:
        return ciphers[leg].apply(datagram[:HEADER_SIZE], datagram[HEADER_SIZE:])

    return (
        anatomy.alone(decrypt),
        anatomy.alone(lambda leg, sequence, _packet, _datagram: windows[leg].accept(sequence)),
        anatomy.alone(lambda leg, _sequence, packet, _datagram: endpointers[leg].feed(speech_flags(packet) or ())),
        anatomy.alone(lambda leg, sequence, packet, _datagram: builders[leg].add(sequence, packet)),
    )


def _nothing(_sequence: int, _packet: bytes) -> None: ...


def _session(mode: str | None) -> Session:
    """A session with a conversation that listens, or, without a mode, with one that does nothing."""
    still: Any = Still()
    terms = Terms(AudioParams(), AudioParams(sample_rate=24_000), Features())
    session = Session("02:be:00:00:00:01", still, terms, now=0.0, on_end=lambda *_: None)
    if mode is None:
        session.begin(still)
        return session
    studio = Studio(Dialogue(longest_utterance_ms=300_000), Timers(), PlaybackFigures(), VoiceFigures())
    conversation = SpokenConversation(session, studio, EchoAgent())
    session.begin(conversation)
    conversation.on_listen(Listen(state="start", mode="auto"))
    return session
