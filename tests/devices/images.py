"""ESP-IDF application images, as small as they can be."""

from __future__ import annotations

import hashlib
import struct


def image(version: str = "1.2.3", project: str = "xiaozhi", size: int = 1024, hashed: bool = True) -> bytes:
    """One segment that begins with the description."""
    description = struct.pack("<III4x", 0xABCD5432, 0, 0) + version.encode().ljust(32, b"\0") + project.encode().ljust(32, b"\0")
    segment = description.ljust(size, b"\xa5")
    header = bytes([0xE9, 1, 2, 0x4F]) + bytes(19) + bytes([hashed])
    content = header + struct.pack("<II", 0x3C000020, len(segment)) + segment
    content = content.ljust(len(content) // 16 * 16 + 16, b"\0")
    return content + hashlib.sha256(content).digest() if hashed else content
