"""What is shown of a live device: one row of a list, and the parts of its own page, as JSON can hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.devices.known import NOT_ACTIVATED, KnownDevices
from app.session.live import LiveDevice, LiveSession
from app.session.presence import Connected
from app.session.transcript import Line
from app.session.vitals import Sample
from app.session.way_in import Progress, Step

ROW_SAMPLES = 60
"""Of a list's small plots: two minutes."""


def state_of(device: LiveDevice, *, is_let_in: bool) -> str:
    """In one word: ``inactive``, ``stuck``, what it does in its session (``idle``, ``listening``, ``thinking``, ``speaking``),
    ``connected``, ``away`` or ``unknown``. ``is_let_in``: whether it needs no activation."""
    if not is_let_in:
        return "inactive"
    if any(step.state is Progress.STUCK for step in device.way_in):
        return "stuck"
    if device.session is not None:
        return device.session.turn
    return {Connected.YES: "connected", Connected.NO: "away", Connected.UNKNOWN: "unknown"}[device.connected]


def row(device: LiveDevice, known: KnownDevices) -> dict[str, Any]:
    """``transport``: ``udp`` (MQTT and UDP), ``websocket``, or ``mqtt`` of a device in no session; empty without a connection.
    ``seen``: when it left, seconds since the epoch; None while it is here, and when it is not known."""
    is_here = device.session is not None or device.connected is Connected.YES
    transport = device.over if device.session is None else device.session.transport
    return {
        "id": device.device_id,
        "state": state_of(device, is_let_in=known.refusal(device.device_id) != NOT_ACTIVATED),
        "transport": transport or "",
        "address": "" if device.session is None else device.session.address or "",
        "is_here": is_here,
        "seen": None if is_here else device.since,
    }


def row_samples(samples: Sequence[Sample]) -> list[list[float | None]]:
    """Each as time, loss, jitter, latency."""
    return [[*values[:4]] for values in map(_sample, samples[-ROW_SAMPLES:])]


def samples_of(samples: Sequence[Sample]) -> list[list[float | None]]:
    """Each as time, loss, jitter, latency, answer."""
    return [_sample(sample) for sample in samples]


def step(one: Step) -> dict[str, Any]:
    """One leg of the way in."""
    return {"leg": one.leg.value, "state": one.state.value, "at": one.at, "code": one.code, "values": one.values}


def session(one: LiveSession) -> dict[str, Any]:
    """A session, without what `samples_of` tells."""
    return {
        "id": one.id,
        "transport": one.transport,
        "address": one.address or "",
        "state": one.state,
        "turn": one.turn,
        "mode": one.mode,
        "started_at": one.started_at,
        "packets": one.packets,
        "lost": one.lost,
        "sent": one.sent,
    }


def line(one: Line) -> dict[str, Any]:
    """One line of a conversation."""
    return {"number": one.number, "at": one.at, "kind": one.kind.value, "text": one.text}


def _sample(sample: Sample) -> list[float | None]:
    return [
        round(sample.at, 1),
        _rounded(sample.loss, 4),
        _rounded(sample.jitter_ms, 1),
        _rounded(sample.latency_ms, 1),
        _rounded(sample.answer_ms, 0),
    ]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
