"""The audio that devices send in the benchmarks: speech as the device encodes it, without its long silences."""

from __future__ import annotations

import random
from itertools import cycle, groupby, islice
from pathlib import Path

from app.opus.recording import read_opusp
from app.voice.listening import Listening

FOLDERS = (Path("../shared/audio"), Path("tests/audio"))
NAMES = ("lamp.opusp", "weather.opusp")
FRAME_MS = 60
TURN_PACKETS = 5_000
"""How many packets a turn has at most (dialogue.longest_utterance_ms of the benchmarked server, 300 s)."""


def speech() -> tuple[list[bytes], str]:
    """Packets that can be repeated without the end of speech being found, and where they are from."""
    top = Path(__file__).resolve().parent.parent
    for folder in FOLDERS:
        paths = [top / folder / name for name in NAMES]
        if all(path.is_file() for path in paths):
            packets = [packet for path in paths for packet in _dense(read_opusp(path))]
            return _checked(packets), f"{' and '.join(NAMES)} without their silences"
    return _checked(_made_up()), "made-up packets of a device's sizes (the recordings are not here)"


def repeated(packets: list[bytes], count: int, offset: int = 0) -> list[bytes]:
    """``count`` packets of the endless loop, from ``offset`` on."""
    return list(islice(cycle(packets), offset, offset + count))


def _dense(packets: list[bytes]) -> list[bytes]:
    """The longest stretch without a packet of DTX silence: the sentence itself."""
    stretches = (list(group) for is_speech, group in groupby(packets, lambda packet: len(packet) > 1) if is_speech)
    return max(stretches, key=len)


def _made_up() -> list[bytes]:
    source = random.Random(1)
    return [bytes((0x58, 0xE0)) + source.randbytes(max(40, round(source.gauss(100, 20)))) for _ in range(90)]


def _checked(packets: list[bytes]) -> list[bytes]:
    def over() -> None:
        raise ValueError(f"the loop's speech ends at packet {listening.packets_heard}; it is meant to go on")

    listening = Listening(FRAME_MS, 700, TURN_PACKETS * FRAME_MS, 2_000, finds_end=True, on_end=over)
    for sequence, packet in enumerate(repeated(packets, TURN_PACKETS - 1), 1):
        listening.hear(sequence, packet)
    return packets
