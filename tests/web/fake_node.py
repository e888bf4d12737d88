"""A node whose parts and figures are what a test says, for the routes and for a worker of gunicorn."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.devices.activation import Activations
from app.devices.database import Database, read_url
from app.devices.directory import Directory
from app.devices.firmware import FirmwareShelf
from app.devices.history import HistoryStore
from app.devices.known import KnownDevices
from app.devices.reached import ReachedAddresses
from app.devices.rollout import Rollouts
from app.devices.store import DeviceStore
from app.figures import Figures
from app.journal import Journal
from app.operators import Operators
from app.passwords import Cost
from app.secrets import Secrets
from app.session.caller import WebSocketCaller
from app.settings import Settings
from app.voice.memory import Memory
from app.voice.trial import Trials
from app.web.application import create_web
from app.web.node import Look
from app.web.streams import Streams
from tests.session.live_house import LiveHouse

KEY = "a-signature-key"
PASSWORD = "correct-horse-battery"
CHEAP = Cost(n=2, r=1, p=1)


class FakeDoor:
    """Where no handshake leads anywhere."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.closed_for: str | None = None

    def room(self) -> str | None:
        return self.closed_for

    def accept(self, descriptor: int, greeting: bytes, caller: WebSocketCaller) -> None:
        raise AssertionError("no connection is expected here")


@dataclass(frozen=True)
class FakePart:
    name: str
    fault: str | None = None

    def readiness(self) -> str | None:
        return self.fault


@dataclass
class FakeNode:
    settings: Settings
    reached: ReachedAddresses
    secrets: Secrets = field(default_factory=lambda: Secrets(KEY, "operator", "operator-password"))
    ready: list[FakePart] = field(default_factory=lambda: [FakePart("broker"), FakePart("mqtt"), FakePart("udp")])
    counted: Figures = field(default_factory=Figures)
    websocket: FakeDoor = field(default_factory=FakeDoor)
    vision: Look | None = None
    trials: Trials = field(default_factory=lambda: Trials(None))
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp()))

    def __post_init__(self) -> None:
        """Devices that nobody opened the database for, until a test starts them."""
        self.database = Database(read_url(self.settings.database.url, self.folder), self.folder / "database.lock")
        self.device_store = DeviceStore(self.database)
        self.operators = Operators(self.folder, cost=CHEAP, look_seconds=0)
        self.operators.set_password(PASSWORD)
        self.devices = KnownDevices(self.device_store, self.database.migrate, enforce=self.settings.auth.enable)
        self.memory = Memory(HistoryStore(self.database), self.devices.readiness, most=20)
        self.activations = Activations(self.database, self.settings.auth.code_minutes, self.device_store.now)
        self.firmware = FirmwareShelf(self.folder / "firmware")
        self.rollouts = Rollouts(self.database, self.device_store.now)

        self.house = LiveHouse(self.folder / "house")
        self.live = self.house.live
        self.reach = self.house.reach
        self.directory = Directory(self.database)
        self.streams = Streams()

    def parts(self) -> Sequence[FakePart]:
        return self.ready

    def figures(self) -> Figures:
        return self.counted


def make_node(folder: Path, **sections: Any) -> FakeNode:
    """A node with these sections of the configuration."""
    return FakeNode(Settings(**sections), ReachedAddresses(Journal(folder / "reached.jsonl", 1000)), folder=folder)


def wsgi() -> Any:
    """What gunicorn serves in tests: `gunicorn 'tests.web.fake_node:wsgi()'`."""
    folder = Path(os.environ.get("FAKE_NODE_DIR") or tempfile.mkdtemp())
    node = make_node(folder)
    node.vision = lambda jpeg, question: f"{len(jpeg)} bytes: {question}"
    return create_web(node)
