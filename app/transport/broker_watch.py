"""What the built-in broker's process says of itself and of the devices that come and go (PROTOCOL.md 3)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from app.figures import BrokerFigures
from app.protocol.topics import BROKER_STATUS_TOPIC, LIFECYCLE_TOPIC
from app.session.presence import MqttPresence

STALE_SECONDS = 15.0
"""The broker process speaks every 5 s."""


class BrokerStatus(BaseModel):
    """A message on the status topic; see the front's announcements."""

    started_at: int
    mosquitto_restarts: int = 0
    mosquitto_running: bool = True
    closed_ports: list[int] = []
    """Ports that devices are to connect to and cannot yet."""
    connections: int = 0
    connects: dict[str, int] = {}
    dropped: dict[str, int] = {}


class Lifecycle(BaseModel):
    """A device came or went at ``ts`` (ms since the epoch). ``server_host``: the local address its connection came in on."""

    device_id: Annotated[str, Field(max_length=64)]
    state: str
    client_id: Annotated[str, Field(max_length=256)] = ""
    ts: int = 0
    server_host: Annotated[str, Field(max_length=64)] = ""


class BrokerWatch:
    """``on_online(device_id, server_host)`` is called for every device that connects to the built-in broker; ``presence`` is told
    who comes and goes."""

    def __init__(
        self,
        on_online: Callable[[str, str], None],
        clock: Callable[[], float] = time.monotonic,
        presence: MqttPresence | None = None,
    ) -> None:
        self._on_online = on_online
        self._clock = clock
        self._presence = presence
        self._status: BrokerStatus | None = None
        self._heard_at = 0.0
        self._process_restarts = 0

    def receive(self, topic: str, payload: bytes) -> bool:
        """Takes a message of the reserved topics; False when the topic is none of them."""
        if topic not in (BROKER_STATUS_TOPIC, LIFECYCLE_TOPIC):
            return False
        try:
            document = json.loads(payload)
            if topic == LIFECYCLE_TOPIC:
                self._lifecycle(Lifecycle.model_validate(document))
            else:
                self._take(BrokerStatus.model_validate(document))
        except (ValueError, ValidationError, RecursionError):
            pass  # an operator's tool may publish here too; only what the front says is of use
        return True

    def readiness(self) -> str | None:
        """None while the broker process reports that Mosquitto runs, else why not."""
        if self._status is None:
            return "the broker process has not reported yet"
        silent = self._clock() - self._heard_at
        if silent > STALE_SECONDS:
            return f"the broker process has said nothing for {silent:.0f} s: see its log"
        if not self._status.mosquitto_running:
            return "Mosquitto is down and is being restarted: see the log"
        if self._status.closed_ports:
            ports = ", ".join(map(str, self._status.closed_ports))
            return f"devices cannot connect to the broker's port {ports} yet: is it in use? See the log"
        return None

    @property
    def refusals(self) -> int:
        """How many connections it has refused for wrong credentials, as it last reported."""
        return 0 if self._status is None else self._status.connects.get("refused_credentials", 0)

    def figures(self) -> BrokerFigures | None:
        """What it last reported, None before the first time."""
        if self._status is None:
            return None
        return BrokerFigures(
            process_restarts=self._process_restarts,
            mosquitto_restarts=self._status.mosquitto_restarts,
            connections=self._status.connections,
            connects=self._status.connects,
            dropped=self._status.dropped,
        )

    def _take(self, status: BrokerStatus) -> None:
        if self._status is not None and status.started_at != self._status.started_at:
            self._process_restarts += 1
        self._status = status
        self._heard_at = self._clock()
        if self._presence is not None:
            self._presence.broker_started(status.started_at / 1000)

    def _lifecycle(self, message: Lifecycle) -> None:
        if self._presence is not None and message.state in ("online", "offline"):
            online = message.state == "online"
            self._presence.announced(message.device_id, message.client_id, online=online, at=message.ts / 1000)
        if message.state == "online" and message.server_host:
            self._on_online(message.device_id, message.server_host)
