"""Which devices are connected: one connection a client id, and online or offline a device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from app.broker.announcer import Announcer


class Connection(Protocol):
    """What presence needs to know of a device's connection."""

    client_id: str
    device_id: str
    server_host: str
    address: str


C = TypeVar("C", bound=Connection)


class Presence(Generic[C]):
    """A device is online from its first connection to the end of its last one.

    An announcement ``online`` is made for every connection, because a new one may come in on another address; ``offline`` only
    when none is left.
    """

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer
        self._by_client: dict[str, C] = {}
        self._connections: dict[str, int] = {}
        self._online: set[str] = set()

    def __len__(self) -> int:
        return len(self._by_client)

    def __iter__(self) -> Iterator[C]:
        return iter(list(self._by_client.values()))

    def __contains__(self, client_id: object) -> bool:
        return client_id in self._by_client

    def enter(self, connection: C) -> C | None:
        """Takes the connection in; gives the older one of the same client, which has to be ended."""
        older = self._by_client.get(connection.client_id)
        self._by_client[connection.client_id] = connection
        self._connections[connection.device_id] = self._connections.get(connection.device_id, 0) + 1
        return older

    def online(self, connection: C) -> None:
        """The connection is ready to be talked to."""
        self._online.add(connection.device_id)
        self._announce(connection, "online")

    def leave(self, connection: C) -> None:
        """The connection has ended."""
        if self._by_client.get(connection.client_id) is connection:
            del self._by_client[connection.client_id]
        left = self._connections[connection.device_id] - 1
        if left:
            self._connections[connection.device_id] = left
            return
        del self._connections[connection.device_id]
        if connection.device_id in self._online:
            self._online.remove(connection.device_id)
            self._announce(connection, "offline")

    def _announce(self, connection: C, state: str) -> None:
        self._announcer.lifecycle(
            device_id=connection.device_id,
            state=state,
            client_id=connection.client_id,
            server_host=connection.server_host,
            address=connection.address,
        )
