"""The page of one device: how it came in or where it is stuck, what is being said, what it can do, what is decided about it."""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response

from app.devices.database import DatabaseUnavailable
from app.devices.models import Device
from app.protocol import topics
from app.protocol.malformed import Malformed
from app.session.live import LiveDevice
from app.session.transcript import Kind, Line
from app.session.way_in import Leg, Progress
from app.voice.emotion import EMOTIONS
from app.web import live_rows
from app.web.console.devices import row_of
from app.web.console.rendering import Pages
from app.web.console.times import ago
from app.web.console.words import Words
from app.web.node import Node

PATH = "/devices/<device_id>"
COLOURS = {Progress.STUCK: "bad", Progress.WAITING: "warn"}
"""Of a leg's sentence; the others have none."""
EVENTS = frozenset({"listen_start", "listen_stop", "wake_word", "abort", "alert", "goodbye"})
"""The lines of a conversation that have words of their own."""


class DevicePage:
    """One page for all devices."""

    def __init__(self, node: Node, pages: Pages) -> None:
        self._node = node
        self._pages = pages

    def show(self, device_id: str) -> Response:
        """The device, remembered or only here; 404 for a stranger."""
        try:
            device_id = topics.device_id(device_id)
        except Malformed:
            return self._missing(device_id)
        is_answered, device = True, None
        try:
            device = self._node.device_store.get(device_id)
        except DatabaseUnavailable:
            is_answered = False
        live, t, now = self._node.live.of(device_id), self._pages.words(), time.time()
        row = row_of(self._node, device_id, device, t)
        if device is None and is_answered and not row["is_here"] and not _was_seen(live):
            return self._missing(device_id)
        return self._pages.render(
            "device.html",
            here="devices",
            script_words=("device.", "devices.state.", "way_in.", "said."),
            device_id=device_id,
            title=row["name"] or device_id,
            row=row,
            device=device,
            not_remembered=_why_not_remembered(live, is_answered),
            session=None if live.session is None else live_rows.session(live.session),
            way_in=_way_in(t, live, now),
            lines=[_line(t, line) for line in self._node.live.transcript(device_id)],
            facts=[] if device is None else _facts(device),
            times=[] if device is None else _times(t, device, now),
            emotions=[emotion.name for emotion in EMOTIONS],
            activation=self._node.settings.auth.enable,
        )

    def _missing(self, device_id: str) -> Response:
        return self._pages.render("no_device.html", 404, here="devices", device_id=device_id[:64])


def _was_seen(live: LiveDevice) -> bool:
    """Whether this process has seen anything of it: what is remembered is written a moment later."""
    return any(step.at is not None for step in live.way_in)


def _why_not_remembered(live: LiveDevice, is_answered: bool) -> str:
    """The key of the sentence in place of what is remembered of the device, where nothing is."""
    if not is_answered:
        return "database_away"
    has_asked = any(step.leg is Leg.OTA and step.state is Progress.DONE for step in live.way_in)
    return "just_came" if has_asked else "never_asked"  # what asked is written within seconds


def _way_in(t: Words, live: LiveDevice, now: float) -> list[dict[str, Any]]:
    """Its legs. Sentences are shown of those that something is to be done or waited for, else of the first that is not its turn;
    static/device.js does the same."""
    open_ones = [step for step in live.way_in if step.state is not Progress.DONE]
    shown = [step for step in open_ones if step.state is not Progress.NOT_YET] or open_ones[:1]
    return [
        live_rows.step(step)
        | {
            "ago": ago(t, step.at, now),
            "is_shown": step in shown,
            "sentence": t(f"way_in.{step.code}", **step.values),
            "colour": COLOURS.get(step.state, ""),
        }
        for step in live.way_in
    ]


def _line(t: Words, line: Line) -> dict[str, Any]:
    document = live_rows.line(line)
    if line.kind is Kind.EVENT:
        document["text"] = _event(t, line.text)
    return document


def _event(t: Words, text: str) -> str:
    """In words; static/device.js does the same."""
    name, _, rest = text.partition(" ")
    if name not in EVENTS:
        return text
    if f"device.event.{text}" in t:
        return t(f"device.event.{text}")
    event = t(f"device.event.{name}")
    return t("device.event.said", event=event, rest=rest) if rest else event


def _facts(device: Device) -> list[tuple[str, str]]:
    return [
        ("board", device.board),
        ("chip", device.chip),
        ("version", device.version),
        ("language", device.language),
        ("serial", device.serial),
        ("group", device.group_name),
        ("client_id", device.client_id),
        ("reached", device.reached),
    ]


def _times(t: Words, device: Device, now: float) -> list[tuple[str, float, str]]:
    seen = (("first_seen", device.first_seen / 1000), ("last_seen", device.last_seen / 1000))
    return [(name, at, ago(t, at, now)) for name, at in seen]


def blueprint(node: Node, pages: Pages) -> Blueprint:
    """The route."""
    routes = Blueprint("device_page", __name__)
    page = DevicePage(node, pages)
    routes.add_url_rule(PATH, "show", page.show, methods=["GET"], provide_automatic_options=False)
    return routes
