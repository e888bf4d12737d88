"""One question and its reply: what the command line, the tests and the load generator ask of a device."""

from __future__ import annotations

from collections.abc import Sequence

from app.client.audio_path import AudioPath
from app.client.device import Device
from app.client.leg import Leg, LegFailed
from app.client.microphone import Microphone, silence_after
from app.client.reply import Reply
from app.protocol.messages import ListenMode

REPLY_SECONDS = 10.0


def say(device: Device, packets: Sequence[bytes], mode: ListenMode, seconds: float = REPLY_SECONDS) -> Reply:
    """Sends ``packets`` in real time on the device's open channel and returns the reply when its ``tts stop`` has come.

    Manual: the button is held while the recording lasts. Auto: the microphone is on until ``tts start``, with DTX silence behind
    the recording. Realtime: it stays on through the reply. ``seconds``: how long the server may be silent: from the recording's
    end to ``tts start``, and from the last frame's play-out to ``tts stop``.

    Raises LegFailed of the leg ``reply``, ``udp`` or ``websocket``.
    """
    channel = device.channel
    if channel is None:
        raise LegFailed(Leg.REPLY, "there is no session: say hello first (open_channel).")
    reply = device.next_reply()
    tail = None if mode == "manual" else silence_after(packets)
    microphone = Microphone(device.send_audio, packets, device.audio.frame_duration, tail, device.clock)
    recording_seconds = len(packets) * device.audio.frame_duration / 1000
    device.start_listening(mode)
    microphone.start()
    try:
        if mode == "manual":
            microphone.wait()
            device.stop_listening()
        patience = seconds if mode == "manual" else recording_seconds + seconds
        device.change.wait_until(lambda: reply.started_at is not None or device.channel is not channel, device.clock() + patience)
        if reply.started_at is not None:
            _wait_for_stop(device, channel, reply, seconds)
    finally:
        microphone.stop()
        reply.sent = microphone.sent
        reply.asked_at = microphone.finished_at
    _check(device, channel, reply, seconds)
    return reply


def _wait_for_stop(device: Device, channel: AudioPath, reply: Reply, seconds: float) -> None:
    while not reply.complete and device.channel is channel:
        deadline = max(reply.started_at or 0.0, reply.playback.ends_at) + seconds
        if device.clock() >= deadline:
            return
        device.change.wait_until(lambda: reply.complete or device.channel is not channel, deadline)


def _check(device: Device, channel: AudioPath, reply: Reply, seconds: float) -> None:
    """Raises LegFailed unless there is a whole reply with audio in it."""
    where = channel.where
    if channel.unreachable and not reply.frames:
        raise LegFailed(
            channel.leg, f"nobody listens on {where}: check udp.external_host, udp.external_port and any port mapping."
        )
    if not reply.complete and device.channel is not channel:
        raise LegFailed(Leg.REPLY, "the session ended before the reply did: did the server restart? Its log says why.")
    if reply.started_at is None:
        heard = "nothing came back" if not reply.frames else "audio came, but not its tts start"
        raise LegFailed(
            Leg.REPLY,
            f"no reply within {seconds:g} s of the recording's end: {heard}: is there speech in the recording, and is "
            f"{where} open from here to the server?",
        )
    if not reply.heard:
        raise LegFailed(
            channel.leg,
            f"no audio came back: {len(reply.sent)} packets were sent to {where}, and the reply held none: is that port open "
            "in both directions, and does udp.external_host name the server?",
        )
    if not reply.complete:
        raise LegFailed(Leg.REPLY, f"no tts stop within {seconds:g} s of the reply's last frame: see the server's log.")
