"""``python -m app device``: one device from the command line, from OTA to goodbye."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from app.client.activation import Patience
from app.client.device import TRANSPORTS, Device
from app.client.event import Event
from app.client.identity import Identity
from app.client.leg import LegFailed
from app.client.printer import Printer
from app.client.reply import Reply
from app.client.say import say
from app.opus.codec import MICROPHONE_SAMPLE_RATE, Decoder, Encoder, OpusMissing
from app.opus.recording import RecordingError, frame_duration_ms, read_opusp, read_wav, write_opusp, write_wav
from app.protocol.malformed import Malformed
from app.protocol.messages import FRAME_DURATIONS_MS, AudioParams, Features
from app.protocol.websocket import VERSIONS

FAILED = 1
UNUSABLE = 2
"""The exit status when an argument or a file cannot be used: nothing was tried."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``device``."""
    parser.add_argument("--ota", required=True, metavar="URL", help="the OTA route, http://HOST:8989/xiaozhi/ota/")
    parser.add_argument("--say", type=Path, metavar="FILE", help=".wav or .opusp; without it only the connection is checked")
    parser.add_argument("--mode", choices=("auto", "manual", "realtime"), default="auto", help="how it listens")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the reply: .wav decoded, .opusp as it came")
    parser.add_argument(
        "--transport", choices=TRANSPORTS, default="auto", help="auto: MQTT with UDP where OTA offers it, else WebSocket"
    )
    parser.add_argument("--ws-version", type=int, choices=VERSIONS, help="of the WebSocket's binary frames (default: 1)")
    parser.add_argument("--json", action="store_true", help="one JSON line per event")
    parser.add_argument("--device-id", metavar="MAC", help="the device's MAC; without it a random one")
    parser.add_argument("--client-id", metavar="UUID", help="the device's UUID; without it a random one")
    parser.add_argument("--serial-number", metavar="S", help="the device's serial number, proved with --serial-key")
    parser.add_argument("--serial-key", metavar="HEX", help="the HMAC key that is registered for the serial number")
    parser.add_argument(
        "--activation-timeout",
        type=_seconds,
        default=Patience().seconds,
        metavar="S",
        help=f"how long it shows its code where it has to be activated (default {Patience().seconds:g})",
    )
    parser.add_argument("--cafile", type=Path, metavar="FILE", help="CA certificates for HTTPS and for MQTT on port 8883")
    parser.add_argument("--timeout", type=_seconds, default=10.0, metavar="S", help="for each leg (default 10)")
    parser.add_argument("--frame-duration", type=int, choices=(20, 60), default=60, help="ms of a packet, of a .wav (default 60)")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError("it has to be more than 0 and at most 3600 seconds")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Runs the command. 0: all legs went; otherwise one sentence on stderr says which did not."""
    printer = Printer(sys.stdout, arguments.json)
    try:
        identity = _identity(arguments)
        packets, duration = _recording(arguments)
    except (Malformed, RecordingError, OpusMissing, ValueError) as error:
        print(error, file=sys.stderr)
        return UNUSABLE
    device = Device(
        identity,
        ota_url=arguments.ota,
        audio=AudioParams(sample_rate=MICROPHONE_SAMPLE_RATE, frame_duration=duration),
        features=Features(mcp=True, aec=arguments.mode == "realtime"),
        cafile=arguments.cafile,
        on_event=printer,
        transport=arguments.transport,
        ws_version=arguments.ws_version,
        patience=Patience(arguments.activation_timeout),
    )
    try:
        reply = _go(device, packets, arguments)
        summary = reply.summary() if reply else {"audio": "not tested: give a recording with --say"}
        called: dict[str, object] = {"tools_called": [call.name for call in device.tools.calls]} if device.tools.calls else {}
        printer(Event("summary", time.monotonic(), {"legs": _legs(device, reply), **summary, **called}))
        if reply is not None and arguments.save is not None:
            save(reply, arguments.save)
    except LegFailed as failure:
        printer(Event("leg_failed", time.monotonic(), {"leg": failure.leg.value, "reason": failure.sentence}))
        print(failure, file=sys.stderr)
        return FAILED
    except (RecordingError, OpusMissing, Malformed) as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    finally:
        device.shutdown()
    return 0


def _legs(device: Device, reply: Reply | None) -> str:
    start = "ota activation" if device.activated else "ota"
    if device.uses_websocket:
        return f"{start} websocket hello" + (" reply" if reply else "")
    return f"{start} mqtt hello" + (" udp reply" if reply else "")


def _go(device: Device, packets: Sequence[bytes], arguments: argparse.Namespace) -> Reply | None:
    device.boot(arguments.timeout)
    device.connect(arguments.timeout)
    device.open_channel(arguments.timeout)
    reply = say(device, packets, arguments.mode, arguments.timeout) if packets else None
    device.close_channel()
    return reply


def _identity(arguments: argparse.Namespace) -> Identity:
    fresh = Identity.fresh()
    try:
        key = bytes.fromhex(arguments.serial_key or "")
    except ValueError:
        raise Malformed("--serial-key is not hex: write the key as 16 to 128 hex digits.") from None
    if bool(arguments.serial_number) != bool(key):
        raise Malformed("--serial-number and --serial-key belong together: give both or neither.")
    return Identity(
        arguments.device_id or fresh.mac, arguments.client_id or fresh.uuid, serial=arguments.serial_number or "", key=key
    )


def _recording(arguments: argparse.Namespace) -> tuple[list[bytes], int]:
    """The packets to say, and the duration of each in ms; no packets without ``--say``."""
    path: Path | None = arguments.say
    if path is None:
        return [], arguments.frame_duration
    if path.suffix == ".opusp":
        packets = read_opusp(path)
        duration = frame_duration_ms(packets)
        if duration not in FRAME_DURATIONS_MS:
            raise RecordingError(f"{path}: packets of {duration} ms cannot be announced in a hello: record it with 60 ms.")
        return packets, duration
    if path.suffix.lower() != ".wav":
        raise RecordingError(f"{path} is neither .wav nor .opusp: convert it to a WAV file first.")
    return Encoder(frame_duration_ms=arguments.frame_duration).encode_all(read_wav(path)), arguments.frame_duration


def save(reply: Reply, path: Path) -> None:
    """Writes what was heard: packets as they came (``.opusp``), else decoded as WAV at the rate the server announced.

    Raises RecordingError, OpusMissing, Malformed.
    """
    if path.suffix == ".opusp":
        write_opusp(path, reply.heard)
    else:
        decoder = Decoder(reply.sample_rate)
        write_wav(path, b"".join([decoder.decode(packet) for packet in reply.heard]), reply.sample_rate)
