"""The address at which each device reached this server: what it is told where the configuration says ``auto`` (DESIGN.md)."""

from __future__ import annotations

from app.journal import Journal

MAX_DEVICES = 100_000


class ReachedAddresses:
    """By device id: the host its last OTA request named, the local address its MQTT connection came in on, and where its last
    request over HTTP reached us.

    Kept in ``journal``, so that a restarted worker still knows them; its bound is that of the journal (MAX_DEVICES is meant), and
    over it the device that was heard of least recently is forgotten.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __len__(self) -> int:
        return len(self._journal)

    @property
    def dropped(self) -> int:
        """Devices forgotten because there were too many."""
        return self._journal.dropped

    @property
    def write_errors(self) -> int:
        """Writes of the journal that failed."""
        return self._journal.write_errors

    def ota(self, device_id: str, host: str) -> None:
        """The device asked OTA for its settings at ``host`` (a name or an IP address, without brackets)."""
        self._put(device_id, "ota", host)

    def mqtt(self, device_id: str, host: str) -> None:
        """The device's MQTT connection came in on the local address ``host``."""
        self._put(device_id, "mqtt", host)

    def web(self, device_id: str, origin: str) -> None:
        """A request of the device came in at ``origin``: scheme, host and port as it spelled them, like ``https://voice.local``."""
        self._put(device_id, "web", origin)

    def origin_for(self, device_id: str) -> str | None:
        """Where the device reaches our HTTP routes, as `web` was told; else None."""
        return self._known(device_id).get("web")

    def address_for(self, device_id: str) -> str | None:
        """Where the device reached us: by OTA, else by MQTT, else None."""
        known = self._known(device_id)
        return known.get("ota") or known.get("mqtt")

    def _put(self, device_id: str, way: str, host: str) -> None:
        self._journal.put(device_id, {**self._known(device_id), way: host})

    def _known(self, device_id: str) -> dict[str, str]:
        known = self._journal.get(device_id)
        return known if isinstance(known, dict) else {}
