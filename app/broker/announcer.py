"""The front's own word to the server: which device came and went, and how the broker process is.

Both go out under ``/p2p/device_public/_server/``, where no device can publish (PROTOCOL.md 3), QoS 0 and not retained.
"""

from __future__ import annotations

import json
import logging
import random
import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
from gevent.event import Event

from app.broker.counters import Counters
from app.broker.limits import PatientLog
from app.broker.outlet import SEND_SECONDS
from app.broker.upstream import Upstream, UpstreamConnection, UpstreamError
from app.protocol.mqtt import Publish, Version
from app.protocol.topics import BROKER_STATUS_TOPIC, LIFECYCLE_TOPIC

log = logging.getLogger(__name__)
patient_log = PatientLog(log)

LEAST_QUEUE = 1000
STATUS_SECONDS = 5
"""Between two status messages at most; one second when something was counted since."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0


class Announcer:
    """Keeps announcements in order in a queue and publishes them; when it is full the oldest is given up and counted.

    The queue has room for every one of ``most_devices`` to go and come once: Mosquitto takes one packet of a connection per turn,
    and in the rush after a network failure it takes them more slowly than they are made.
    """

    def __init__(self, upstream: Upstream, counters: Counters, status: Callable[[], dict[str, Any]], most_devices: int) -> None:
        self._upstream = upstream
        self._counters = counters
        self._status = status
        self._waiting: deque[bytes] = deque()
        self._most_waiting = max(LEAST_QUEUE, 2 * most_devices)
        self._wake = Event()
        self._status_due = True
        self._connection: UpstreamConnection | None = None
        self._greenlets: list[gevent.Greenlet] = []

    def start(self) -> None:
        """Begins to publish. Twice is fine."""
        if not self._greenlets:
            self._greenlets = [gevent.spawn(self._run), gevent.spawn(self._tick)]

    def stop(self, seconds: float = 0.5) -> None:
        """Publishes what still waits if that works within ``seconds``, and ends. Twice is fine."""
        deadline = time.monotonic() + seconds
        while self._greenlets and self._waiting and self._connection is not None and time.monotonic() < deadline:
            gevent.sleep(0.01)
        gevent.killall(self._greenlets)
        self._greenlets = []
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def lifecycle(self, *, device_id: str, state: str, client_id: str, server_host: str, address: str) -> None:
        """Announces that a device is online or offline."""
        message = {
            "type": "mqtt_lifecycle",
            "device_id": device_id,
            "state": state,
            "client_id": client_id,
            "ts": time.time_ns() // 1_000_000,
            "server_host": server_host,
            "address": address,
        }
        self._waiting.append(_packet(LIFECYCLE_TOPIC, message))
        if len(self._waiting) > self._most_waiting:
            self._waiting.popleft()
            self._counters.dropped.lifecycle_overflow += 1
        self._wake.set()

    def status(self) -> None:
        """Publishes the status now instead of in its turn."""
        self._status_due = True
        self._wake.set()

    def _tick(self) -> None:
        seen: dict[str, dict[str, int]] = {}
        seconds = 0
        while True:
            gevent.sleep(1)
            seconds += 1
            counted = self._counters.as_dict()
            if counted != seen or seconds >= STATUS_SECONDS:
                seen, seconds = counted, 0
                self.status()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                self._connection = self._upstream.log_in(f"xiaozhi_front_{secrets.token_hex(6)}")
                pause = FIRST_PAUSE
                self._status_due = True
                self._publish_while_connected(self._connection)
            except (UpstreamError, OSError) as error:
                patient_log.warning("the announcements' connection to the broker failed and will be made again: %s", error)
            finally:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None
            gevent.sleep(pause * random.uniform(0.75, 1.25))
            pause = min(pause * 2, LONGEST_PAUSE)

    def _publish_while_connected(self, connection: UpstreamConnection) -> None:
        listener = gevent.spawn(self._notice_end, connection)
        try:
            while not listener.dead:
                self._wake.clear()
                connection.socket.settimeout(SEND_SECONDS)
                while self._waiting and not listener.dead:
                    connection.socket.sendall(self._waiting[0])
                    self._waiting.popleft()
                if self._status_due:
                    self._status_due = False
                    # Retained: a server that connects later knows at once that there is a broker process.
                    connection.socket.sendall(_packet(BROKER_STATUS_TOPIC, self._status(), retain=True))
                self._wake.wait()
        finally:
            listener.kill()

    def _notice_end(self, connection: UpstreamConnection) -> None:
        """Nothing is expected from the broker, so all that can be received is the connection's end."""
        try:
            while True:
                connection.receive()
        except UpstreamError:
            self._wake.set()


def _packet(topic: str, message: dict[str, Any], retain: bool = False) -> bytes:
    payload = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    return Publish(topic, payload, retain=retain).encode(Version.V311)
