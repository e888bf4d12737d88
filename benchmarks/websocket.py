"""WebSocket devices: what an idle one costs in memory, and hundreds that speak and hear at once."""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import time
from dataclasses import dataclass, field

from app.protocol.ws_frames import BINARY, TEXT, FrameReader, encode_masked
from benchmarks import machine
from benchmarks.figures import Scrape, quantile, quantile_bound
from benchmarks.load import Child
from benchmarks.playback import HEAD_START_FRAMES, UPLOAD_RATE
from benchmarks.recordings import FRAME_MS, repeated
from benchmarks.report import Report, Row
from benchmarks.scale import Scale
from benchmarks.server import HOST, BenchServer, ServerError

SETTLED_SECONDS = 1.5
PAUSE_SECONDS = 0.15
"""After ``listen stop``: what came sooner would still be of the utterance (app/voice/conversation.py)."""
WARM_UP = 50
FRAME_SECONDS = FRAME_MS / 1000


@dataclass(slots=True)
class Device:
    """One connection. ``heard``: frames of the reply so far; ``epoch``: when its first one came."""

    number: int
    sock: socket.socket
    reader: FrameReader = field(default_factory=lambda: FrameReader(masked=False))
    utterance: list[bytes] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    session_id: str = ""
    heard: int = 0
    epoch: float = 0.0

    def tell(self, message: dict[str, object]) -> None:
        self.sock.sendall(encode_masked(TEXT, json.dumps(message).encode(), os.urandom(4)))

    def say_hello(self) -> None:
        self.tell({"type": "hello", "version": 1, "transport": "websocket", "audio_params": {"frame_duration": FRAME_MS}})

    def await_hello(self) -> None:
        while True:
            for opcode, payload in self.reader.feed(self.sock.recv(4096)):
                if opcode == TEXT:
                    answer = json.loads(payload)
                    if answer["type"] != "hello":
                        raise ServerError(f"a hello was answered with {answer}")
                    self.session_id = answer["session_id"]
                    return


@dataclass(frozen=True, slots=True)
class Echo:
    """What the devices found. ``wrong``: frames not as they were sent; ``late_ms``: sorted; ``behind_ms``: of the load itself."""

    heard: int
    sent: int
    devices: int
    wrong: int
    late_ms: list[float]
    behind_ms: float


def connect(server: BenchServer, count: int, first: int = 0) -> list[Device]:
    """So many connections, their handshakes done."""
    devices = []
    for number in range(first, first + count):
        sock = socket.create_connection((HOST, server.http_port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        mac = "02:bf:" + ":".join(f"{byte:02x}" for byte in number.to_bytes(4, "big"))
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET /xiaozhi/v1/ HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nDevice-Id: {mac}\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nProtocol-Version: 1\r\n\r\n".encode()
        )
        devices.append(Device(number, sock))
        if len(devices) % 32 == 0:
            _await_handshakes(devices[-32:])
    _await_handshakes(devices[len(devices) // 32 * 32 :])
    return devices


def _await_handshakes(devices: list[Device]) -> None:
    for device in devices:
        answer = device.sock.recv(4096)
        if not answer.startswith(b"HTTP/1.1 101 ") or not answer.endswith(b"\r\n\r\n"):
            raise ServerError(f"a handshake was answered with {answer!r}")


def measure_memory(server: BenchServer, scale: Scale, report: Report) -> None:
    """An idle connection, and one in a session."""
    early = connect(server, WARM_UP)
    _hellos(early)
    _close(early)
    count = scale.idle_connections
    report.section(f"Memory of WebSockets ({count:,} devices)")
    before = machine.resident_bytes(server.worker)
    devices = connect(server, count, WARM_UP)
    connected = machine.resident_bytes(server.worker)
    _hellos(devices)
    in_session = machine.resident_bytes(server.worker)
    report.add(Row("websocket_kib", "an idle WebSocket", (connected - before) / count / 1024, "KiB", "of the worker"))
    report.add(Row("websocket_session_kib", "and its session", (in_session - connected) / count / 1024, "KiB", "of the worker"))
    _close(devices)


def measure(server: BenchServer, packets: list[bytes], scale: Scale, report: Report) -> None:
    """Everybody speaks, then everybody hears it again and goes on speaking meanwhile."""
    devices = connect(server, scale.playing)
    _hellos(devices)
    seconds = scale.playing_frames * FRAME_SECONDS
    report.section(f"WebSocket: {len(devices)} devices play {seconds:.1f} s at once, and send as much meanwhile")
    for index, device in enumerate(devices):
        device.utterance = repeated(packets, scale.playing_frames, 7 * index % len(packets))
        device.frames = [encode_masked(BINARY, packet, os.urandom(4)) for packet in device.utterance]
        device.tell({"type": "listen", "state": "start", "mode": "manual", "session_id": device.session_id})
    time.sleep(0.2)
    before = Scrape.of(server)
    generator = Child(lambda: _echo(devices, seconds), server.cores.load)
    upload = len(devices) * scale.playing_frames / UPLOAD_RATE
    time.sleep(upload + min(SETTLED_SECONDS, seconds / 2))
    first, cpu = Scrape.of(server), machine.cpu_seconds(server.worker)
    time.sleep(max(0.3, seconds - SETTLED_SECONDS - 1.0))
    cpu = machine.cpu_seconds(server.worker) - cpu
    second = Scrape.of(server)
    echo: Echo = generator.result(seconds + upload + 30)
    after = Scrape.of(server)
    frames = second.since(first, "websocket_received_total") + second.since(first, "websocket_sent_total")
    _report(report, echo, len(devices) * scale.playing_frames, cpu / max(1, frames) * 1e6, after.late_buckets(before))
    _close(devices)


def _hellos(devices: list[Device]) -> None:
    for device in devices:
        device.say_hello()
    for device in devices:
        device.await_hello()


def _close(devices: list[Device]) -> None:
    for device in devices:
        device.sock.close()


def _echo(devices: list[Device], seconds: float) -> Echo:
    """Runs in a process of its own: uploads, then sends in real time and takes what comes, by one poll."""
    _upload(devices)
    poll = select.epoll()
    by_descriptor = {}
    for device in devices:
        device.sock.setblocking(False)
        by_descriptor[device.sock.fileno()] = device
        poll.register(device.sock, select.EPOLLIN)
    late: list[float] = []
    wrong = sent = 0
    behind = 0.0
    clock = time.monotonic
    begun = clock() + PAUSE_SECONDS
    count = len(devices)
    step = FRAME_SECONDS / count
    wanted = count * len(devices[0].utterance)
    most = int(seconds / step)
    while len(late) < wanted and clock() - begun < seconds + 6:
        due = begun + sent * step
        now = clock()
        if sent < most and now >= due:
            behind = max(behind, now - due)
            device = devices[sent % count]
            device.sock.send(device.frames[sent // count % len(device.frames)])
            sent += 1
            if sent % 8:
                continue
        for descriptor, _ in poll.poll(0 if sent < most else 0.01):
            now = clock()
            device = by_descriptor[descriptor]
            for opcode, payload in device.reader.feed(device.sock.recv(16_384)):
                if opcode == BINARY:
                    wrong += payload != device.utterance[min(device.heard, len(device.utterance) - 1)]
                    device.epoch = device.epoch or now
                    ahead = max(0, device.heard - HEAD_START_FRAMES) * FRAME_SECONDS
                    late.append((now - device.epoch - ahead) * 1000)
                    device.heard += 1
    heard = sum(device.heard > 0 for device in devices)
    return Echo(len(late), sent, heard, wrong, sorted(late), behind * 1000)


def _upload(devices: list[Device]) -> None:
    """All utterances, one frame of each device in turn, and the end of all of them."""
    begun, sent = time.monotonic(), 0
    for turn in range(len(devices[0].frames)):
        for device in devices:
            device.sock.send(device.frames[turn])
            sent += 1
        pause = begun + sent / UPLOAD_RATE - time.monotonic()
        if pause > 0:
            time.sleep(pause)
    for device in devices:
        device.tell({"type": "listen", "state": "stop", "session_id": device.session_id})


def _report(report: Report, echo: Echo, expected: int, cpu_us: float, buckets: list[tuple[float, int]]) -> None:
    note = f"{echo.heard:,} of {expected:,} arrived at {echo.devices} devices; {echo.sent:,} sent meanwhile"
    report.add(Row("websocket_frames", "frames heard", echo.heard, "frames", note))
    report.add(Row("websocket_wrong", "of them not as they were sent", echo.wrong, "frames"))
    report.add(Row("websocket_us", "CPU of a frame, either way, while all play and send", cpu_us, "µs"))
    for key, share, goal in (("p50", 0.5, ""), ("p99", 0.99, "20"), ("max", 1.0, "")):
        value = quantile(echo.late_ms, share)
        report.add(
            Row(f"websocket_late_{key}_ms", f"lateness at the device, {key}", value, "ms", "against its first frame", goal)
        )
    for key, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        bound = quantile_bound(buckets, share)
        report.add(Row(f"websocket_server_late_{key}_ms", f"lateness by the server's own count, {key}: at most", bound, "ms"))
    report.add(Row("websocket_load_behind_ms", "the load's own lateness, at most", echo.behind_ms, "ms"))
