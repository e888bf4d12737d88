"""The golden bytes and recordings that stand beside the checkout."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"


def vectors(name: str) -> dict[str, Any]:
    """The document ``vectors/<name>.json``."""
    document: dict[str, Any] = json.loads((SHARED / "vectors" / f"{name}.json").read_text())
    return document


def recordings() -> list[dict[str, Any]]:
    """What the index says of every recording."""
    return list(json.loads((SHARED / "audio" / "index.json").read_text())["recordings"])


def packets_of(file: str) -> list[bytes]:
    """The Opus packets of a recording."""
    data = (SHARED / "audio" / file).read_bytes()
    packets, offset = [], 0
    while offset < len(data):
        (size,) = struct.unpack_from(">H", data, offset)
        packets.append(data[offset + 2 : offset + 2 + size])
        offset += 2 + size
    return packets
