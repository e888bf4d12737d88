"""Who a software device says it is (PROTOCOL.md 1, step 1)."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from app.protocol.malformed import Malformed
from app.protocol.topics import check_uuid, device_id

_SERIAL = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Identity:
    """``mac``: any spelling of a MAC, held as ``aa:bb:cc:dd:ee:ff``. Raises Malformed when it or ``uuid`` is none.

    ``serial`` and ``key``: what a device signs its activation with, 8 to 64 bytes; both or neither.
    """

    mac: str
    uuid: str
    board: str = "software-device"
    version: str = "1.0.0"
    language: str = "en-US"
    serial: str = ""
    key: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mac", device_id(self.mac))
        check_uuid(self.uuid)
        if bool(self.serial) != bool(self.key):
            raise Malformed("a serial number and its key belong together: give both or neither")
        if self.serial and not _SERIAL.fullmatch(self.serial):
            raise Malformed("a serial number has 1 to 64 letters, digits, dots, colons, - and _")
        if self.key and not 8 <= len(self.key) <= 64:
            raise Malformed("the key of a serial number has 16 to 128 hex digits")

    @classmethod
    def fresh(cls, random_bytes: Callable[[int], bytes] = os.urandom) -> Identity:
        """A device nobody has seen: a random MAC that is locally administered and unicast, and a random UUID."""
        first, *rest = random_bytes(6)
        octets = [first & 0xFC | 0x02, *rest]
        return cls(":".join(f"{octet:02x}" for octet in octets), str(uuid.UUID(bytes=random_bytes(16), version=4)))
