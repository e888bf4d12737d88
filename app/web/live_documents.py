"""What is known of a device at this moment, as the API shows it (docs/api.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from app.session.live import Live, LiveDevice, LiveSession
from app.session.transcript import Line
from app.session.vitals import Sample
from app.session.way_in import Step


def of_device(live: Live, device_id: str) -> dict[str, Any]:
    """The field ``live`` of a device in a list."""
    glance = live.glance(device_id)
    session = None if glance.transport is None else live.of(device_id).session
    return _presence(glance.connected.value, glance.since, glance.over, session)


def in_full(device: LiveDevice, samples: Sequence[Sample], sentence: Callable[[Step], str]) -> dict[str, Any]:
    """Everything but what is said. ``sentence``: of a step on the way in."""
    return {
        **_presence(device.connected.value, device.since, device.over, device.session),
        "way_in": [
            {
                "leg": step.leg.value,
                "state": step.state.value,
                "at": iso(step.at),
                "code": step.code,
                "sentence": sentence(step),
                "values": step.values,
            }
            for step in device.way_in
        ],
        "vitals": [
            {
                "at": iso(sample.at),
                "loss": _rounded(sample.loss, 4),
                "jitter_ms": _rounded(sample.jitter_ms),
                "latency_ms": _rounded(sample.latency_ms),
                "answer_ms": _rounded(sample.answer_ms),
            }
            for sample in samples
        ],
    }


def of_line(line: Line) -> dict[str, Any]:
    """A line of the conversation."""
    return {"number": line.number, "at": iso(line.at), "kind": line.kind.value, "text": line.text}


def iso(seconds: float | None) -> str | None:
    """A moment in seconds since the epoch, to the millisecond."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _presence(connected: str, since: float | None, over: str | None, session: LiveSession | None) -> dict[str, Any]:
    return {
        "connected": connected,
        "since": iso(since),
        "over": over,
        "session": None if session is None else _session(session),
    }


def _session(session: LiveSession) -> dict[str, Any]:
    expected = session.packets + session.lost
    return {
        "id": session.id,
        "transport": session.transport,
        "address": session.address,
        "state": session.state,
        "turn": session.turn,
        "mode": session.mode,
        "since": iso(session.started_at),
        "packets": session.packets,
        "sent": session.sent,
        "loss": round(session.lost / expected, 4) if expected else None,
        "jitter_ms": _rounded(session.jitter_ms),
        "latency_ms": _rounded(session.latency_ms),
        "answer_ms": _rounded(session.answer_ms),
    }


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)
