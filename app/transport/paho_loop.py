"""One paho client driven by one greenlet through paho's own loop functions, without paho's thread.

Everything paho does happens in the greenlet that calls `run`: other greenlets, and callbacks in the hub, only `post` a message
and wake it. Nothing is read that is not handled at once, so that the kernel's socket buffer, and behind it the broker, is the
inbound queue; the outbound one is bounded and drops its oldest message when full.
"""

from __future__ import annotations

import fcntl
import logging
import struct
import termios
import time
from collections import deque
from collections.abc import Sequence

import gevent
from gevent.event import Event
from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode

from app.turn import give_way

log = logging.getLogger(__name__)

READ, WRITE = 1, 2
FAIR_SHARE = 64
"""Messages handed to paho between two writes."""
FAIR_SECONDS = 0.005
"""How long packets are handled, and how long messages are written, before others get their turn: one packet costs a hundred
times as much as another."""
MISC_SECONDS = 1.0
"""How often paho looks at its keep-alive."""


class GreenletLoop:
    """Serves ``client`` while its connection lasts; its outbox outlives the connection.

    ``outbox_size``: messages kept while they cannot be sent. ``dropped`` counts those lost because more came.
    """

    def __init__(self, client: Client, outbox_size: int = 10_000) -> None:
        self._client = client
        self._outbox: deque[tuple[str, bytes]] = deque()
        self._outbox_size = outbox_size
        self._wake = Event()
        self._leaving: list[str] | None = None
        self._has_left = False
        self.dropped = 0
        self.sent = 0
        # With a callback here paho leaves writing to its owner, instead of writing inside publish().
        client.on_socket_register_write = lambda *_: None
        client.on_unsubscribe = self._left

    def post(self, topic: str, payload: bytes) -> None:
        """Queues a message (QoS 0); never blocks. The oldest one makes room when the queue is full."""
        if len(self._outbox) >= self._outbox_size:
            self._outbox.popleft()
            self.dropped += 1
        self._outbox.append((topic, payload))
        self._wake.set()

    def stop(self, topics: Sequence[str] = ()) -> None:
        """Makes `run` send what is queued, unsubscribe from ``topics`` if any, disconnect and return; for good.

        The broker handles packets in order: once it has confirmed the end of the subscription, all that was sent before has been
        handed on to the devices.
        """
        self._leaving = list(topics)
        self._has_left = not topics
        self._wake.set()

    def run(self) -> None:
        """Serves the connection that ``client.connect`` has just opened; returns when it has ended, for whatever reason."""
        socket = self._client.socket()
        if socket is None:
            return
        loop = gevent.get_hub().loop
        readable, writable = loop.io(socket.fileno(), READ), loop.io(socket.fileno(), WRITE)
        next_misc = time.monotonic() + MISC_SECONDS
        try:
            while self._client.socket() is not None:
                self._wake.clear()
                more_to_read, more_to_write = self._read(), self._write()
                if self._leaving is not None and not more_to_write and not self._client.want_write():
                    if self._has_left:
                        self._client.disconnect()
                        self._client.loop_write()
                        return
                    if self._leaving:
                        self._client.unsubscribe(self._leaving)
                        self._leaving = []
                if time.monotonic() >= next_misc:
                    next_misc = time.monotonic() + MISC_SECONDS
                    self._client.loop_misc()
                if more_to_read or more_to_write:
                    give_way()
                elif self._client.socket() is not None:
                    readable.start(self._wake.set)
                    if self._client.want_write():
                        writable.start(self._wake.set)
                    self._wake.wait(MISC_SECONDS)
                    readable.stop()
                    writable.stop()
        finally:
            readable.close()
            writable.close()

    def _left(self, *_: object) -> None:
        self._has_left = True

    def _read(self) -> bool:
        """Handles what has arrived, for a fair time; True when there is more."""
        until = time.monotonic() + FAIR_SECONDS
        while True:
            if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return False
            if not self._has_arrived():
                return False
            if time.monotonic() >= until:
                return True

    def _has_arrived(self) -> bool:
        socket = self._client.socket()
        if socket is None:
            return False
        pending = getattr(socket, "pending", None)  # bytes that TLS has already taken off the wire
        if pending is not None and pending():
            return True
        (waiting,) = struct.unpack("i", fcntl.ioctl(socket.fileno(), termios.FIONREAD, b"\0\0\0\0"))
        return bool(waiting)

    def _write(self) -> bool:
        """Sends what waits, for a fair time; True when there is more and it would be taken."""
        until = time.monotonic() + FAIR_SECONDS
        while True:
            if self._client.want_write() and self._client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return False
            if self._client.want_write() or not self._outbox or not self._client.is_connected():
                return False
            if time.monotonic() >= until:
                return True
            for _ in range(min(FAIR_SHARE, len(self._outbox))):
                topic, payload = self._outbox.popleft()
                self._client.publish(topic, payload)
                self.sent += 1
