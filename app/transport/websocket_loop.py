"""All WebSocket connections, served by one greenlet.

A connection has neither a greenlet nor a watcher of its own: all sockets are in one epoll set, of which gevent's loop watches the
descriptor, and one greenlet serves whoever is ready. So an idle connection costs its socket and a few objects, and while that
greenlet lets others have their turn nothing wakes the hub.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.monkey import get_original

from app.protocol.ws_frames import LOST
from app.transport.websocket_link import CLOSING_SECONDS, IN, OnClosed, OnFrame, WebSocketLink
from app.turn import give_way

log = logging.getLogger(__name__)

READ = 1
FAIR_SHARE = 64
"""Connections served in one round."""
FAIR_SECONDS = 0.005
"""After so long others than this module get their turn, be the round over or not."""
COALESCE_SECONDS = 0.001
"""Connections that become ready within this time are served together."""


class WebSocketLoop:
    """Serves all connections. ``not_reading`` counts those closed because the device did not read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.links: dict[WebSocketLink, None] = {}
        self.unconfirmed: dict[WebSocketLink, None] = {}
        """Those to whom something was written of which it is not known that it arrived."""
        self.unfinished: dict[WebSocketLink, None] = {}
        """Those of whom more was read than was handled in their turn."""
        self.closing: dict[WebSocketLink, None] = {}
        self.not_reading = 0
        self._by_descriptor: dict[int, WebSocketLink] = {}
        self._epoll: Any = None
        self._greenlet: gevent.Greenlet | None = None

    def add(self, descriptor: int, on_frame: OnFrame, on_closed: OnClosed) -> WebSocketLink:
        """A connection from now on served; the loop has to be started."""
        link = WebSocketLink(self, descriptor, on_frame, on_closed)
        self.links[link] = None
        self._by_descriptor[descriptor] = link
        self._epoll.register(descriptor, IN)
        return link

    def watch(self, link: WebSocketLink, events: int) -> None:
        """From now on it is served when it is ready for ``events``, or broken."""
        self._epoll.modify(link.descriptor, events)

    def forget(self, link: WebSocketLink) -> None:
        """The link has ended."""
        if self._by_descriptor.pop(link.descriptor, None) is not None:
            self._epoll.unregister(link.descriptor)
        for kept in (self.links, self.unconfirmed, self.unfinished, self.closing):
            kept.pop(link, None)

    def start(self) -> None:
        """Twice is fine."""
        if self._greenlet is None:
            self._epoll = get_original("select", "epoll")()  # gevent takes it away from the module, since it could block
            self._greenlet = gevent.spawn(self._run, self._epoll)

    def stop(self) -> None:
        """Ends every connection; twice is fine."""
        if self._greenlet is None:
            return
        self._greenlet.kill()
        self._greenlet = None
        for link in list(self.links):
            link.end(LOST)
        self._epoll.close()

    def check(self) -> None:
        """Once a second: gives up on devices that do not read, and on those that do not answer a close."""
        now = self.clock()
        for link in list(self.unconfirmed):
            if link.check_taken(now):
                self.unconfirmed.pop(link, None)
        for link in list(self.closing):
            if link.closing_at is not None and now - link.closing_at >= CLOSING_SECONDS:
                link.end(LOST)

    def _run(self, epoll: Any) -> None:
        hub = gevent.get_hub()
        readable = hub.loop.io(epoll.fileno(), READ)
        try:
            while True:
                ready = epoll.poll(0, FAIR_SHARE)
                if not ready and not self.unfinished:
                    hub.wait(readable)
                    continue
                self._serve(ready)
                if self.unfinished or len(ready) == FAIR_SHARE:
                    give_way()
                else:
                    gevent.sleep(COALESCE_SECONDS)
        finally:
            readable.close()

    def _serve(self, ready: list[tuple[int, int]]) -> None:
        """One turn for each of those that are ready, and of those that have not finished the one before."""
        turns = dict.fromkeys(self.unfinished, IN)
        for descriptor, events in ready:
            link = self._by_descriptor.get(descriptor)
            if link is not None:
                turns[link] = events | turns.get(link, 0)
        began = self.clock()
        for link, events in turns.items():
            now = self.clock()
            if now - began >= FAIR_SECONDS:
                give_way()
                began = now = self.clock()
            try:
                link.serve(events, now)
            except Exception:
                log.exception("a WebSocket message's handler failed")
