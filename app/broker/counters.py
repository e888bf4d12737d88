"""What the front counts; the announcer publishes it in the broker status."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass(slots=True)
class Connects:
    """How connections to the devices' port began."""

    accepted: int = 0
    refused_credentials: int = 0
    refused_client_id: int = 0
    refused_protocol: int = 0
    refused_full: int = 0
    refused_upstream: int = 0
    """Mosquitto, or the upstream broker, could not be reached in time."""
    timeout: int = 0
    malformed: int = 0
    operator: int = 0


@dataclass(slots=True)
class Dropped:
    """What did not reach its receiver, or came late (``throttled``), or ended a connection."""

    publish_refused: int = 0
    """Device packets to a topic that is not the device's."""
    uplink_overflow: int = 0
    """Device packets given up while the broker was away: more than the queue holds."""
    downlink_foreign: int = 0
    """Messages from the broker that were not for this device."""
    downlink_too_large: int = 0
    lifecycle_overflow: int = 0
    """Announcements given up while the broker was away."""
    throttled: int = 0
    """Times a device above its rate was not read for a while."""
    too_large: int = 0
    """Connections ended by a packet above the limit."""
    slow_reader: int = 0
    """Connections ended because the device did not read."""
    taken_over: int = 0
    """Connections ended because the same client connected again."""


@dataclass(slots=True)
class Counters:
    """All of them."""

    connects: Connects = field(default_factory=Connects)
    dropped: Dropped = field(default_factory=Dropped)

    def as_dict(self) -> dict[str, dict[str, int]]:
        """For the status message."""
        return asdict(self)
