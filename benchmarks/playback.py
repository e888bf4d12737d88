"""Hundreds of devices that hear a reply at once: what a frame costs, and how late it is."""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.protocol.audio_packet import HEADER, HEADER_SIZE
from benchmarks import machine
from benchmarks.figures import Scrape, quantile, quantile_bound
from benchmarks.fleet import Device, Fleet
from benchmarks.load import Child, audio_socket, await_empty, collect, pace
from benchmarks.mmsg import Train
from benchmarks.recordings import FRAME_MS, repeated
from benchmarks.report import Report, Row
from benchmarks.scale import Scale
from benchmarks.server import BenchServer, ServerError

HEAD_START_FRAMES = 3
"""Sent ahead of real time: frames 0 to 3 leave together (app/voice/playback.py)."""
UPLOAD_RATE = 20_000
SETTLED_SECONDS = 1.5
"""After ``listen stop`` of all: every reply is under way, its beginning is over."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came to the devices' socket. ``late_ms``: sorted, of all frames; ``steady_frames`` came while CPU was measured."""

    frames: int
    late_ms: list[float]
    steady_frames: int
    devices: int


def measure(server: BenchServer, fleet: Fleet, packets: list[bytes], scale: Scale, report: Report) -> None:
    """Figures 3 and 4."""
    devices = fleet.connect(scale.playing)
    report.section(f"Playback: {scale.playing} devices play {scale.playing_frames * FRAME_MS / 1000:.1f} s at once")
    fleet.open_sessions(devices)
    fleet.tell(devices, {"type": "listen", "state": "start", "mode": "manual"})
    fleet.settle(devices)
    utterances = [repeated(packets, scale.playing_frames, 7 * index % len(packets)) for index in range(len(devices))]
    with audio_socket(server.udp_port) as sock:
        train = Train(
            [
                device.datagram(utterance[turn])
                for turn in range(scale.playing_frames)
                for device, utterance in zip(devices, utterances, strict=True)
            ]
        )
        Child(lambda: pace(sock, train, UPLOAD_RATE), server.cores.load).result(30)
        await_empty(server.udp_port)
        before = Scrape.of(server)
        seconds = scale.playing_frames * FRAME_MS / 1000
        receiver = Child(lambda: collect(sock, len(train), seconds + 6), server.cores.load)
        cpu_begin = machine.cpu_seconds(server.worker)
        fleet.tell(devices, {"type": "listen", "state": "stop"})
        time.sleep(SETTLED_SECONDS)
        window = (time.time_ns(), machine.cpu_seconds(server.worker))
        time.sleep(max(0.3, seconds - SETTLED_SECONDS - 0.8))
        window_end = (time.time_ns(), machine.cpu_seconds(server.worker))
        arrivals = receiver.result(seconds + 20)
        cpu_all = machine.cpu_seconds(server.worker) - cpu_begin
    after = Scrape.of(server)
    heard = _judge(arrivals, devices, utterances, (window[0], window_end[0]))
    _report(report, heard, len(train), (window_end[1] - window[1], cpu_all), after.late_buckets(before))


def _judge(
    arrivals: list[tuple[int, bytes]], devices: list[Device], utterances: list[list[bytes]], window: tuple[int, int]
) -> Heard:
    """Each frame against its device's schedule, and its payload against what that device had said."""
    by_ssrc = {device.ssrc: (device, utterance) for device, utterance in zip(devices, utterances, strict=True)}
    epochs: dict[int, int] = {}
    late, steady, last = [], 0, dict.fromkeys(by_ssrc, 0)
    for at, datagram in arrivals:
        _, _, _, ssrc, _, sequence = HEADER.unpack_from(datagram)
        device, utterance = by_ssrc[ssrc]
        assert device.cipher is not None
        payload = device.cipher.apply(datagram[:HEADER_SIZE], datagram[HEADER_SIZE:])
        if sequence != last[ssrc] + 1 or payload != utterance[sequence - 1]:
            raise ServerError(f"frame {sequence} after {last[ssrc]} of a device is not what it said")
        last[ssrc] = sequence
        epoch = epochs.setdefault(ssrc, at)
        due = epoch + max(0, sequence - 1 - HEAD_START_FRAMES) * FRAME_MS * 1_000_000
        late.append((at - due) / 1e6)
        steady += window[0] <= at < window[1]
    return Heard(len(arrivals), sorted(late), steady, len(epochs))


def _report(report: Report, heard: Heard, expected: int, cpu: tuple[float, float], buckets: list[tuple[float, int]]) -> None:
    every = f"{heard.frames:,} of {expected:,} frames arrived, at {heard.devices} devices, each as it was sent"
    report.add(Row("downlink_frames", "frames heard", heard.frames, "frames", every))
    steady_us = cpu[0] / max(1, heard.steady_frames) * 1e6
    report.add(Row("downlink_us", "CPU of a downlink packet, while all play", steady_us, "µs", f"{heard.steady_frames:,} frames"))
    whole = cpu[1] / max(1, heard.frames) * 1e6
    report.add(Row("downlink_us_whole", "the same, with the replies' begin and end", whole, "µs", "from listen stop to the last"))
    for key, share, goal in (("p50", 0.5, ""), ("p99", 0.99, "20"), ("max", 1.0, "")):
        value = quantile(heard.late_ms, share)
        report.add(Row(f"late_{key}_ms", f"lateness at the device, {key}", value, "ms", "against its first frame", goal))
    for key, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        bound = quantile_bound(buckets, share)
        report.add(Row(f"server_late_{key}_ms", f"lateness by the server's own count, {key}: at most", bound, "ms"))
