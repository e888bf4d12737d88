"""The event streams of the API: what changes on the devices, as it does (docs/api.md).

Each begins with the whole present state. A list's rows are looked at by glances, and wholly when a glance has changed, when a
sample was taken, and every LOOK_SECONDS.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from flask import Blueprint, Response, request

from app.protocol import topics
from app.protocol.malformed import Malformed
from app.session.live import Glance
from app.web import live_rows
from app.web.census import Census, Counting
from app.web.guard import Guard
from app.web.node import Node
from app.web.streams import Event

PATH = "/api/v1"
MAX_DEVICES = 50
"""Of one stream: as many as a page shows."""
LOOK_SECONDS = 5.0


class ListLook:
    """What is new of a list of devices: ``figures`` and ``rows``."""

    def __init__(
        self, node: Node, counting: Counting, device_ids: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._node = node
        self._counting = counting
        self._ids = device_ids
        self._clock = clock
        self._census: Census | None = None
        self._looked_at = float("-inf")
        self._glances: dict[str, Glance] = {}
        self._rows: dict[str, dict[str, Any]] = {}
        self._sampled_at: dict[str, float] = {}

    def __call__(self) -> Iterator[Event]:
        """What has changed since the last call."""
        census = self._counting.census()
        if census != self._census:
            self._census = census
            yield Event("figures", census.as_document())
        is_due = self._clock() - self._looked_at >= LOOK_SECONDS
        if is_due:
            self._looked_at = self._clock()
        rows = [row for device_id in self._ids if (row := self._changed(device_id, is_due)) is not None]
        if rows:
            yield Event("rows", {"rows": rows})

    def _changed(self, device_id: str, is_due: bool) -> dict[str, Any] | None:
        live, known = self._node.live, self._rows.get(device_id)
        glance, sampled_at = live.glance(device_id), self._sampled_at.get(device_id, 0.0)
        samples = live.vitals(device_id, sampled_at)
        if known is not None and not is_due and not samples and glance == self._glances[device_id]:
            return None
        self._glances[device_id] = glance
        row = live_rows.row(live.of(device_id), self._node.devices)
        if row == known and not samples:
            return None
        self._rows[device_id] = row
        if samples:
            self._sampled_at[device_id] = samples[-1].at
        return row | {"whole": known is None, "samples": live_rows.row_samples(samples)}


class DeviceLook:
    """What is new of one device: ``way_in``, ``session``, ``vitals`` and ``lines``."""

    def __init__(self, node: Node, device_id: str) -> None:
        self._node = node
        self._id = device_id
        self._way_in: list[dict[str, Any]] | None = None
        self._session: dict[str, Any] | None = None
        self._sampled_at: float | None = None
        self._number: int | None = None

    def __call__(self) -> Iterator[Event]:
        """What has changed since the last call."""
        live = self._node.live
        device = live.of(self._id)
        steps = [live_rows.step(step) for step in device.way_in]
        if steps != self._way_in:
            self._way_in = steps
            yield Event("way_in", {"steps": steps})
        state = live_rows.row(device, self._node.devices)
        session = state | {"session": None if device.session is None else live_rows.session(device.session)}
        if session != self._session:
            self._session = session
            yield Event("session", session)
        samples = live.vitals(self._id, self._sampled_at or 0.0)
        if samples or self._sampled_at is None:
            yield Event("vitals", {"whole": self._sampled_at is None, "samples": live_rows.samples_of(samples)})
            self._sampled_at = samples[-1].at if samples else 0.0
        lines = live.transcript(self._id, self._number or 0)
        if lines or self._number is None:
            yield Event("lines", {"whole": self._number is None, "lines": [live_rows.line(line) for line in lines]})
            self._number = lines[-1].number if lines else 0


class EventsApi:
    """The routes' answers."""

    def __init__(self, node: Node, guard: Guard) -> None:
        self._node = node
        self._guard = guard
        self._counting = Counting(node)

    def of_list(self) -> Response:
        """The stream of up to MAX_DEVICES devices. Raises Malformed, TryLater."""
        written = [text for text in request.args.get("devices", "").split(",") if text]
        if len(written) > MAX_DEVICES:
            raise Malformed(f"devices has to name at most {MAX_DEVICES} devices")
        ids = list(dict.fromkeys(topics.device_id(text) for text in written))
        return self._node.streams.follow(ListLook(self._node, self._counting, ids), self._guard.watch())

    def of_device(self, device_id: str) -> Response:
        """The stream of one device, seen or not. Raises Malformed, TryLater."""
        return self._node.streams.follow(DeviceLook(self._node, topics.device_id(device_id)), self._guard.watch())


def blueprint(node: Node, guard: Guard) -> Blueprint:
    """The routes."""
    routes = Blueprint("api_events", __name__, url_prefix=PATH)
    api = EventsApi(node, guard)
    for rule, handler in (("/events", api.of_list), ("/devices/<device_id>/events", api.of_device)):
        routes.add_url_rule(rule, handler.__name__, handler, methods=["GET"], provide_automatic_options=False)
    return routes
