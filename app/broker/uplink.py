"""One device's connection to the broker behind the front: it comes back by itself, and keeps packets while it is away."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Iterator

import gevent

from app.broker.counters import Counters
from app.broker.limits import PatientLog
from app.broker.outlet import SEND_SECONDS
from app.broker.upstream import Upstream, UpstreamConnection, UpstreamError
from app.logs import about
from app.protocol.mqtt import Frame, Kind
from app.protocol.topics import device_named_in

log = PatientLog(logging.getLogger(__name__))

MOST_KEPT = 64
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
DUP = 0x08


class Uplink:
    """Logs in as the device and subscribes to its topic, again and again.

    While the broker is away QoS 0 packets wait in a queue of 64, the oldest is given up for a new one. Packets of QoS 1 and 2
    are kept until their flow has ended and sent again after a reconnect, with the DUP flag: the new broker knows nothing of
    them. A message may so arrive twice; it is not lost, and the device's flow always ends.
    """

    __slots__ = ("_client_id", "_connection", "_counters", "_finishing", "_kept", "_topic", "_unfinished", "_upstream")

    def __init__(self, upstream: Upstream, client_id: str, topic: str, counters: Counters) -> None:
        self._upstream = upstream
        self._client_id = client_id
        self._topic = topic
        self._counters = counters
        self._connection: UpstreamConnection | None = None
        self._finishing = False
        self._kept: deque[bytes] | None = None
        self._unfinished: dict[int, bytes] | None = None

    def open(self, seconds: float) -> None:
        """The first connection. Raises UpstreamError when there is none within about ``seconds``."""
        deadline = time.monotonic() + seconds
        pause = FIRST_PAUSE
        while True:
            try:
                self._connection = self._upstream.log_in(self._client_id, self._topic)
                return
            except UpstreamError:
                if time.monotonic() + pause > deadline:
                    raise
            gevent.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(pause * 2, LONGEST_PAUSE)

    def finish(self) -> None:
        """Tells the broker that we go: ``frames`` ends when everything that it had sent has been read."""
        self._finishing = True
        if self._connection is not None:
            self._connection.finish()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def send(self, data: bytes) -> None:
        """Sends a packet of QoS 0, or keeps it until the broker is back."""
        if self._transmit(data):
            return
        if self._kept is None:
            self._kept = deque()
        self._kept.append(data)
        if len(self._kept) > MOST_KEPT:
            self._kept.popleft()
            self._counters.dropped.uplink_overflow += 1

    def send_flow(self, packet_id: int, data: bytes) -> None:
        """Sends a step of a QoS 1 or 2 flow (PUBLISH, PUBREL) and keeps it until ``settle``."""
        if self._unfinished is None:
            self._unfinished = {}
        self._unfinished.pop(packet_id, None)
        self._unfinished[packet_id] = data
        if len(self._unfinished) > MOST_KEPT:
            del self._unfinished[next(iter(self._unfinished))]
            self._counters.dropped.uplink_overflow += 1
        self._transmit(data)

    def settle(self, packet_id: int) -> None:
        """The broker has ended the flow (PUBACK, PUBCOMP)."""
        if self._unfinished is not None:
            self._unfinished.pop(packet_id, None)
            if not self._unfinished:
                self._unfinished = None

    def frames(self) -> Iterator[Frame]:
        """What the broker sends, up to ``finish``: when it goes away before, this waits until it is back."""
        while True:
            connection = self._connection
            try:
                while connection is not None:
                    yield connection.receive()
            except UpstreamError as error:
                if self._finishing:
                    return
                log.warning(
                    "the broker's connection of %s is lost and will be made again: %s",
                    self._client_id,
                    error,
                    extra=about(device_named_in(self._client_id)),
                )
                self._lose(connection)
            self._reconnect()

    def _transmit(self, data: bytes) -> bool:
        connection = self._connection
        if connection is None:
            return False
        try:
            connection.socket.settimeout(SEND_SECONDS)
            connection.socket.sendall(data)
        except OSError:
            # Closing it wakes the greenlet in ``frames``, which makes a new one.
            self._lose(connection)
            return False
        return True

    def _lose(self, connection: UpstreamConnection | None) -> None:
        if connection is not None:
            connection.close()
            if self._connection is connection:
                self._connection = None

    def _reconnect(self) -> None:
        pause = FIRST_PAUSE
        while True:
            gevent.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(pause * 2, LONGEST_PAUSE)
            try:
                connection = self._upstream.log_in(self._client_id, self._topic)
            except UpstreamError:
                continue
            # Until all that was kept is on its way ``_connection`` stays None, so that newer packets queue up behind it.
            with contextlib.suppress(OSError):
                self._send_kept(connection)
                self._connection = connection
                return
            connection.close()

    def _send_kept(self, connection: UpstreamConnection) -> None:
        connection.socket.settimeout(SEND_SECONDS)
        sent: dict[int, bytes] = {}
        while True:
            # The device goes on while we send; what it adds has to leave as well.
            flows = [(key, data) for key, data in (self._unfinished or {}).items() if sent.get(key) is not data]
            for key, data in flows:
                again = bytes((data[0] | DUP,)) + data[1:] if data[0] >> 4 == Kind.PUBLISH else data
                connection.socket.sendall(again)
                sent[key] = data
            if self._kept:
                connection.socket.sendall(self._kept[0])
                self._kept.popleft()
            elif not flows:
                break
        self._kept = None
