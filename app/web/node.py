"""What the HTTP routes need to know of the node they belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from app.devices.activation import Activations
from app.devices.directory import Directory
from app.devices.firmware import FirmwareShelf
from app.devices.known import KnownDevices
from app.devices.reached import ReachedAddresses
from app.devices.rollout import Rollouts
from app.devices.store import DeviceStore
from app.figures import Figures
from app.operators import Operators
from app.secrets import Secrets
from app.session.caller import WebSocketCaller
from app.session.live import Live
from app.session.reach import Reach
from app.settings import Settings
from app.voice.trial import Trials
from app.web.streams import Streams


class Part(Protocol):
    """One part of a node that may or may not be ready to serve."""

    @property
    def name(self) -> str:
        """One word: ``broker``, ``mqtt``, ``udp``."""
        ...

    def readiness(self) -> str | None:
        """None when ready, else a sentence that says why not."""
        ...


class WebSocketDoor(Protocol):
    """Where connections go whose handshake is done."""

    refused: Counter[str]

    def room(self) -> str | None:
        """None when one more can come in, else the name among the refusals of why not."""
        ...

    def accept(self, descriptor: int, greeting: bytes, caller: WebSocketCaller) -> None:
        """A socket, from now on not ours, and what is to be sent on it first."""
        ...


class Look(Protocol):
    """A model that sees."""

    def __call__(self, jpeg: bytes, question: str, /) -> str:
        """What it says to the question, which may be empty, about the picture (JPEG, PNG or WebP).

        Blocks its greenlet. Raises ProviderFault.
        """
        ...


class Memories(Protocol):
    """What is remembered of the conversations with each device."""

    def reread(self, device_id: str) -> None:
        """An operator changed the device's name or prompt."""
        ...

    def forget(self, device_id: str) -> bool:
        """Nothing was ever said with this device; False when nothing was. Raises DatabaseUnavailable."""
        ...


class Node(Protocol):
    """One node, as far as the web is concerned."""

    @property
    def settings(self) -> Settings: ...

    @property
    def secrets(self) -> Secrets: ...

    @property
    def operators(self) -> Operators: ...

    @property
    def reached(self) -> ReachedAddresses: ...

    @property
    def devices(self) -> KnownDevices: ...

    @property
    def device_store(self) -> DeviceStore: ...

    @property
    def directory(self) -> Directory: ...

    @property
    def memory(self) -> Memories: ...

    @property
    def activations(self) -> Activations: ...

    @property
    def firmware(self) -> FirmwareShelf: ...

    @property
    def rollouts(self) -> Rollouts: ...

    @property
    def websocket(self) -> WebSocketDoor: ...

    @property
    def reach(self) -> Reach: ...

    @property
    def live(self) -> Live: ...

    @property
    def streams(self) -> Streams: ...

    @property
    def trials(self) -> Trials: ...

    @property
    def vision(self) -> Look | None:
        """None where no model is configured to look at pictures."""
        ...

    def parts(self) -> Sequence[Part]:
        """What has to be ready for a device to be served."""
        ...

    def figures(self) -> Figures:
        """What has been counted up to now."""
        ...
