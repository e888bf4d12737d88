"""Listening: what it costs, and how well it finds the begin and the end of speech.

``python -m benchmarks --only listening`` measures the cost; ``python -m benchmarks.listening`` both, and writes the tables of
docs/listening.md. The second needs the recordings and espeak-ng.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.opus.codec import Decoder, Encoder
from app.opus.packet import TOCS, Mode
from app.opus.recording import read_opusp
from app.opus.speech import is_voiced, speech_flags
from app.voice.decoded_speech import HANGOVER_MS, DecodedSpeech
from app.voice.endpointing import Decision, Endpointer
from app.voice.listening import Listening
from benchmarks.noisy_speech import Clip, clips
from benchmarks.recordings import FOLDERS, FRAME_MS, repeated, speech
from benchmarks.report import Report, Row

DEVICES = 50
SECONDS = 20
"""Of audio, for each device."""
CELT_FRAME_MS = 20
SILENCE_MS = 700
TOLERANCE_MS = 120
TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "listening.md"
BEGIN, END = "<!-- measured: python -m benchmarks.listening -->", "<!-- /measured -->"

Found = list[tuple[int, int | None]]


# What it costs


def measure(packets: list[bytes], report: Report, seconds: int = SECONDS) -> None:
    """CPU of `Listening.hear` in this process, with the pool's threads. ``packets``: speech, 60 ms each, as devices send it."""
    report.section(f"Listening ({DEVICES} devices at once)")
    goal = "0.4 ms at most"
    spoken = _cpu_ms(packets, FRAME_MS, seconds)
    report.add(Row("listening_silk_ms", "CPU of a second of listened speech, SILK", spoken, "ms", "a device", goal))
    waiting = _cpu_ms([b"\x58"], FRAME_MS, seconds)
    report.add(Row("listening_silence_ms", "CPU of a second of silence, SILK", waiting, "ms", "a device"))
    decoded = _cpu_ms(_as_celt(packets), CELT_FRAME_MS, max(1, seconds // 4))
    report.add(
        Row("listening_celt_ms", "CPU of a second of listened speech, CELT", decoded, "ms", "a device, with the pool's threads")
    )


def _cpu_ms(packets: list[bytes], frame_ms: int, seconds: int) -> float:
    """The best of three runs: what others do to caches and clock is not listening's."""
    return min(_run(packets, frame_ms, seconds) for _ in range(3))


def _run(packets: list[bytes], frame_ms: int, seconds: int) -> float:
    listenings = [_listening(frame_ms, seconds) for _ in range(DEVICES)]
    rounds = [repeated(packets, seconds * 1000 // frame_ms, 7 * index) for index in range(DEVICES)]
    at_a_time = max(1, FRAME_MS // frame_ms)  # so that jobs have the size that they have in real time
    began = time.process_time()
    for turn in range(seconds * 1000 // frame_ms):
        for listening, said in zip(listenings, rounds, strict=True):
            listening.hear(turn, said[turn])
        if turn % at_a_time == at_a_time - 1 and listenings[0]._decoded is not None:
            _settle([listening._decoded for listening in listenings if listening._decoded is not None])
    used = time.process_time() - began
    for listening in listenings:
        listening.close()
    return used / DEVICES / seconds * 1000


def _listening(frame_ms: int, seconds: int) -> Listening:
    return Listening(frame_ms, SILENCE_MS, (seconds + 1) * 1000, 300, finds_end=True, on_end=lambda: None)


def _settle(decoded: Iterable[DecodedSpeech]) -> None:
    for stream in decoded:
        if stream._worker is not None:
            stream._worker.join()


def _as_celt(packets: list[bytes]) -> list[bytes]:
    """The same speech as CELT, of 20 ms a packet."""
    decoder, encoder = Decoder(48_000), Encoder(sample_rate=48_000, frame_duration_ms=CELT_FRAME_MS)
    celt = encoder.encode_all(b"".join([decoder.decode(packet) for packet in packets]))
    return [packet for packet in celt if TOCS[packet[0]].mode is Mode.CELT]


# How well it finds speech


def found_by_flags(packets: Sequence[bytes]) -> Found:
    """Begin, and when the end was decided (None: never), of every utterance; by the packets' own flags."""
    flags = [(speech_flags(packet) or (), is_voiced(packet) is not False) for packet in packets]
    return _found(Endpointer(SILENCE_MS), flags)


def found_by_decoding(packets: Sequence[bytes], frame_ms: int) -> Found:
    """The same, decoded and asked of the detector."""
    told: list[tuple[bool, ...]] = []
    decoded = DecodedSpeech(frame_ms, 20, told.append)
    for packet in packets:
        decoded.add(packet)
        _settle([decoded])
    endpointer = Endpointer(SILENCE_MS)
    endpointer.hangover_ms = HANGOVER_MS
    return _found(endpointer, [(flags, True) for flags in told])


def _found(endpointer: Endpointer, flags: Iterable[tuple[tuple[bool, ...], bool]]) -> Found:
    found: Found = []
    for told, voiced in flags:
        decision = endpointer.feed(told, voiced)
        if decision is Decision.END:
            found.append((endpointer.speech_begin_ms, endpointer.now_ms))
    return [*found, (endpointer.speech_begin_ms, None)] if endpointer.speaking else found


def recordings_table(folder: Path) -> list[str]:
    """A line for every recording of ``folder``'s index."""
    lines = ["| recording | speech, true | begins | ends behind the truth | by |", "| --- | --- | --- | --- | --- |"]
    for recording in json.loads((folder / "index.json").read_text())["recordings"]:
        packets, frame_ms = read_opusp(folder / recording["file"]), recording["frame_duration_ms"]
        is_told = speech_flags(packets[0]) is not None
        found = found_by_flags(packets) if is_told else found_by_decoding(packets, frame_ms)
        spoken = [tuple(span) for span in recording["speech_ms"]]
        lines.append(_line(recording["file"], spoken, found, "flags" if is_told else "decoding"))
        if is_told and frame_ms == CELT_FRAME_MS:
            lines.append(_line(recording["file"], spoken, found_by_decoding(packets, frame_ms), "decoding"))
    return lines


def _line(name: str, spoken: list[tuple[int, int]], found: Found, way: str) -> str:
    true = ", ".join(f"{begin} to {end}" for begin, end in spoken) or "none"
    if len(found) != len(spoken):
        return f"| {name} | {true} | **{len(found)} utterances** | | {way} |"
    begins = ", ".join(f"{begin - true_begin:+}" for (begin, _), (true_begin, _) in zip(found, spoken, strict=True))
    ends = ", ".join(
        "never" if end is None else f"{end - true_end}" for (_, end), (_, true_end) in zip(found, spoken, strict=True)
    )
    return f"| {name} | {true} | {begins or 'none'} | {ends or 'none'} | {way} |"


@dataclass(slots=True)
class Tally:
    """How clips of one kind fared. ``early``, ``late``: the begin, by more than 120 ms; ``long``: the end, likewise, or never."""

    clips: int = 0
    right: int = 0
    missed: int = 0
    cut: int = 0
    early: int = 0
    late: int = 0
    long: int = 0

    def add(self, truth: tuple[int, int], found: Found) -> None:
        self.clips += 1
        if not found:
            self.missed += 1
            return
        begin, end = found[0][0] - truth[0], found[-1][1]
        faults = (
            len(found) > 1,
            begin < -TOLERANCE_MS,
            begin > TOLERANCE_MS,
            end is None or end - truth[1] > SILENCE_MS + TOLERANCE_MS,
        )
        self.cut, self.early = self.cut + faults[0], self.early + faults[1]
        self.late, self.long = self.late + faults[2], self.long + faults[3]
        self.right += not any(faults)


def noise_tables(made: Sequence[Clip]) -> list[str]:
    """How the made-up recordings fared, and what was found in noise alone."""
    lines = ["| noise, SNR | clips | right | missed | cut up | begin early | late | end late | right by decoding |"]
    lines.append("| --- |" + " --- |" * 8)
    tallies: dict[tuple[str, int | None], tuple[Tally, Tally]] = defaultdict(lambda: (Tally(), Tally()))
    alone: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for clip in made:
        flags, decoding = found_by_flags(clip.packets), found_by_decoding(clip.packets, FRAME_MS)
        if clip.speech is None:
            alone[clip.noise][0] += len(flags)
            alone[clip.noise][1] += len(decoding)
            continue
        for tally, found in zip(tallies[clip.noise, clip.snr], (flags, decoding), strict=True):
            tally.add(clip.speech, found)
    for (noise, snr), (own, decoded) in tallies.items():
        name = noise if snr is None else f"{noise}, {snr} dB"
        counts = (own.clips, own.right, own.missed, own.cut, own.early, own.late, own.long, decoded.right)
        lines.append(f"| {name} | " + " | ".join(map(str, counts)) + " |")
    lines += ["", "| a minute of noise alone | utterances found | by decoding |", "| --- | --- | --- |"]
    return lines + [f"| {noise} | {own} | {decoded} |" for noise, (own, decoded) in alone.items()]


def main() -> int:
    """Measures all, and writes the tables into the page."""
    folder = next((TOP / folder for folder in FOLDERS if (TOP / folder / "index.json").is_file()), None)
    if folder is None:
        print("The recordings are not here: put them and their index.json into tests/audio.", file=sys.stderr)
        return 1
    packets, _ = speech()
    silk, celt = _cpu_ms(packets, FRAME_MS, SECONDS), _cpu_ms(_as_celt(packets), CELT_FRAME_MS, SECONDS // 4)
    cost = f"CPU of a second of listened speech, a device of {DEVICES}: SILK {silk:.2f} ms, CELT {celt:.1f} ms."
    measured = [BEGIN, "", *recordings_table(folder), "", *noise_tables(list(clips())), "", cost, "", END]
    before, rest = PAGE.read_text("utf-8").split(BEGIN)
    PAGE.write_text(before + "\n".join(measured) + rest.split(END)[1], "utf-8")
    print("\n".join(measured[1:-1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
