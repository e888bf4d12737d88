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

log = logging.getLogger(__name__)

READ = 1
FAIR_SHARE = 64
"""Connections served before others than this module get their turn."""
COALESCE_SECONDS = 0.001
"""Connections that become ready within this time are served together."""


class WebSocketLoop:
    """Serves all connections. ``not_reading`` counts those closed because the device did not read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.links: dict[WebSocketLink, None] = {}
        self.unconfirmed: dict[WebSocketLink, None] = {}
        """Those to whom something was written of which it is not known that it arrived."""
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
        for kept in (self.links, self.unconfirmed, self.closing):
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
        by_descriptor = self._by_descriptor
        try:
            while True:
                ready = epoll.poll(0, FAIR_SHARE)
                if not ready:
                    hub.wait(readable)
                    continue
                now = self.clock()
                for descriptor, events in ready:
                    link = by_descriptor.get(descriptor)
                    if link is None:
                        continue
                    try:
                        link.serve(events, now)
                    except Exception:
                        log.exception("a WebSocket message's handler failed")
                gevent.sleep(0 if len(ready) == FAIR_SHARE else COALESCE_SECONDS)
        finally:
            readable.close()
