"""The page of all devices: who is here now, who has been, and how the next one gets in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, request

from app.devices.database import DatabaseUnavailable
from app.devices.directory import MAX_AMONG, MAX_TEXT, Question
from app.devices.models import Device
from app.web import live_rows
from app.web.caller import Caller, CallerReader, parse_address
from app.web.census import Counting
from app.web.console.rendering import Pages
from app.web.console.times import ago
from app.web.console.words import Words
from app.web.guard import see_other
from app.web.node import Node

PAGE, NOW = 40, 10
"""Rows of the list, and, where that is longer than a page, of the section above it with those in a session. Together they are as
many as an event stream follows."""
MAX_PAGE = 10_000
SHOWS = ("all", "session", "connected", "inactive")
COLOURS = {
    **dict.fromkeys(("idle", "listening", "thinking", "speaking", "connected"), "ok"),
    "stuck": "bad",
    "inactive": "warn",
}
"""Of a state's badge; the others have none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address asks for."""

    show: str
    text: str
    page: int

    @classmethod
    def read(cls) -> Wanted:
        """Of the present request; what makes no sense is not there."""
        show, page = request.args.get("show", ""), request.args.get("page", "")
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 1
        text = "".join(character for character in request.args.get("q", "") if character.isprintable())
        return cls(show if show in SHOWS else "all", text.strip()[:MAX_TEXT], min(max(1, number), MAX_PAGE))

    @property
    def is_plain(self) -> bool:
        """Whether it is what the console begins with."""
        return self == Wanted("all", "", 1)

    def link(self, **changes: Any) -> str:
        """The address of a page like this one."""
        values = {"show": self.show, "q": self.text, "page": self.page, **changes}
        defaults = {"show": "all", "q": "", "page": 1}
        query = urlencode({name: value for name, value in values.items() if value != defaults[name]})
        return f"/?{query}" if query else "/"


@dataclass(frozen=True, slots=True)
class Listed:
    """``count``: of all pages, None when the database does not answer; ``cut``: how many were looked through, 0 for all."""

    now: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    count: int | None
    cut: int = 0


class DevicesPage:
    """The page at ``/``."""

    def __init__(self, node: Node, pages: Pages) -> None:
        self._node = node
        self._pages = pages
        self._counting = Counting(node)
        self._callers = CallerReader.of(node.settings)

    def show(self) -> Response:
        """One page of the list, or how to get the first device onto it."""
        wanted, caller = Wanted.read(), self._callers.read(request.environ)
        try:
            listed = self._list(wanted)
        except DatabaseUnavailable:
            ids = self._node.live.in_session()[:PAGE]
            listed = Listed([], [self._row(device_id, None) for device_id in ids], None)
        if wanted.page > 1 and listed.count is not None and not listed.rows:
            return see_other(wanted.link(page=max(1, -(-listed.count // PAGE))))  # there are fewer devices than there were
        first = (wanted.page - 1) * PAGE + 1
        census = self._counting.census()
        return self._pages.render(
            "devices.html",
            here="devices",
            script_words=("devices.",),
            census=census.as_document(),
            in_session=census.in_session,
            activation=self._node.settings.auth.enable,
            shows=SHOWS if self._node.settings.auth.enable else SHOWS[:-1],
            show=wanted.show,
            q=wanted.text,
            page=wanted.page,
            link=wanted.link,
            now_rows=listed.now,
            rows=listed.rows,
            count=listed.count,
            cut=listed.cut,
            first=first,
            last=first + len(listed.rows) - 1,
            database_away=listed.count is None,
            is_empty=wanted.is_plain and listed.count == 0 and not listed.rows,
            **_address(caller),
        )

    def _list(self, wanted: Wanted) -> Listed:
        """Raises DatabaseUnavailable."""
        live, first = self._node.live, (wanted.page - 1) * PAGE
        if wanted.show in ("session", "connected"):
            known = live.in_session() if wanted.show == "session" else live.connected(MAX_AMONG + 1)
            found = self._node.directory.find(Question(wanted.text, among=known[:MAX_AMONG]), first, PAGE)
            return Listed([], self._rows(found.devices), found.count, MAX_AMONG if len(known) > MAX_AMONG else 0)
        active = False if wanted.show == "inactive" else None
        if not wanted.is_plain:
            found = self._node.directory.find(Question(wanted.text, active), first, PAGE)
            return Listed([], self._rows(found.devices), found.count)
        talking = live.in_session()[:NOW]
        found = self._node.directory.find(Question(), 0, PAGE)
        if found.count <= PAGE:
            strangers = [device_id for device_id in talking if all(device_id != one.device_id for one in found.devices)]
            rows = [self._row(device_id, None) for device_id in strangers] + self._rows(found.devices)
            return Listed([], sorted(rows, key=lambda row: row["rank"]), found.count)
        by_id = {device.device_id: device for device in self._node.directory.find(Question(among=talking), 0, NOW).devices}
        now = [self._row(device_id, by_id.get(device_id)) for device_id in talking]
        rest = [device for device in found.devices if device.device_id not in talking]
        return Listed(now, self._rows(rest), found.count)

    def _rows(self, devices: list[Device]) -> list[dict[str, Any]]:
        t = self._pages.words()
        return [row_of(self._node, device.device_id, device, t) for device in devices]

    def _row(self, device_id: str, device: Device | None) -> dict[str, Any]:
        return row_of(self._node, device_id, device, self._pages.words())


def row_of(node: Node, device_id: str, device: Device | None, t: Words) -> dict[str, Any]:
    """What a page shows of a device beside its plots. ``device``: None for one that is not remembered."""
    now, live = time.time(), node.live.of(device_id)
    row = live_rows.row(live, node.devices)
    times = [at for at in (row["seen"], None if device is None else device.last_seen / 1000) if at is not None]
    seen = None if row["is_here"] or not times else max(times)
    return row | {
        "name": "" if device is None else device.name,
        "board": "" if device is None else device.board,
        "version": "" if device is None else device.version,
        "colour": COLOURS.get(row["state"], ""),
        "seen": seen,
        "seen_text": t("common.now") if row["is_here"] else ago(t, seen, now),
        "rank": 0 if live.session is not None else 1 if row["is_here"] else 2,
    }


def _address(caller: Caller) -> dict[str, Any]:
    """Where this browser reached the server, as a device's OTA URL."""
    host = caller.reached.host
    address = parse_address(host)
    is_loopback = host == "localhost" or (address is not None and address.is_loopback)
    return {"ota_url": f"{caller.origin}/xiaozhi/ota/", "ota_host": host, "is_loopback": is_loopback}


def blueprint(node: Node, pages: Pages) -> Blueprint:
    """The route."""
    routes = Blueprint("devices_page", __name__)
    page = DevicesPage(node, pages)
    routes.add_url_rule("/", "show", page.show, methods=["GET"], provide_automatic_options=False)
    return routes
