"""What the database holds: tables, and the values that are made of their rows. Times are ms since the epoch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import BigInteger, Boolean, Column, Index, MetaData, String, Table, Text, false

METADATA = MetaData()


class Transport(StrEnum):
    """Which transport a device is told of: both, one only."""

    AUTO = "auto"
    UDP = "udp"
    WEBSOCKET = "websocket"


DEVICES = Table(
    "devices",
    METADATA,
    Column("device_id", String(17), primary_key=True),
    Column("client_id", String(64), nullable=False, server_default=""),
    Column("board", String(64), nullable=False, server_default=""),
    Column("version", String(64), nullable=False, server_default=""),
    Column("chip", String(64), nullable=False, server_default=""),
    Column("language", String(64), nullable=False, server_default=""),
    Column("group_name", String(64), nullable=False, server_default=""),
    Column("reached", String(255), nullable=False, server_default=""),
    Column("first_seen", BigInteger, nullable=False),
    Column("last_seen", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False, server_default=false()),
    Column("transport", String(16), nullable=False, server_default=Transport.AUTO.value),
    Column("name", String(64), nullable=False, server_default=""),
    Column("serial", String(64), nullable=False, server_default=""),
    Column("changed_at", BigInteger, nullable=False, server_default="0"),
    Column("prompt", Text, nullable=False, server_default=""),
    Column("voice", String(64), nullable=False, server_default=""),
    Index("devices_changed_at", "changed_at"),
    Index("devices_last_seen", "last_seen"),
    Index("devices_board", "board", "device_id"),
)
"""``changed_at``: when an operator last changed something, so that other processes can find out. ``prompt``: who the assistant is
on this device; ``voice``: with which it speaks there. Empty: as on all of them."""

HISTORIES = Table(
    "histories",
    METADATA,
    Column("device_id", String(17), primary_key=True),
    Column("messages", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("histories_updated_at", "updated_at"),
)
"""``messages``: JSON, which app/voice/history.py writes and reads."""

ACTIVATIONS = Table(
    "activations",
    METADATA,
    Column("code", String(6), primary_key=True),
    Column("device_id", String(17), nullable=False, unique=True),
    Column("challenge", String(36), nullable=False),
    Column("serial", String(64), nullable=False, server_default=""),
    Column("bound", Boolean, nullable=False, server_default=false()),
    Column("expires_at", BigInteger, nullable=False),
    Index("activations_expires_at", "expires_at"),
)
"""Devices that wait. ``serial``: of a version 2 device, which has to prove it."""

SERIALS = Table(
    "serials",
    METADATA,
    Column("serial", String(64), primary_key=True),
    Column("key_hex", String(128), nullable=False),
)
"""The HMAC key that was burnt into the device of each serial number."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one OTA request said of its device. ``reached``: the host it asked."""

    device_id: str
    client_id: str
    board: str
    version: str
    chip: str
    language: str
    group_name: str
    reached: str
    at: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What the operator decided about a device."""

    active: bool = False
    transport: Transport = Transport.AUTO


STRANGER = Standing()
"""Of a device about which nothing was decided."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device, as it is remembered."""

    device_id: str
    client_id: str
    board: str
    version: str
    chip: str
    language: str
    group_name: str
    reached: str
    first_seen: int
    last_seen: int
    active: bool
    transport: Transport
    name: str
    serial: str
    prompt: str
    voice: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a conversation needs to know of its device. ``messages``: JSON, empty for none."""

    name: str = ""
    language: str = ""
    prompt: str = ""
    voice: str = ""
    messages: str = ""
