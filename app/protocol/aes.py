"""AES of counter blocks into memory that is kept: pycryptodome's ECB, without the Python around its C function where that can be.

For every call `EcbMode.encrypt` checks its arguments and takes hold of their memory anew: 1.8 of the 2.2 µs of an audio packet,
and more when the caches are cold. Here the memory is ours and stays, so the C function is called as `encrypt` calls it. Its name
is pycryptodome's own affair: where it is not the one we know, or cffi is missing, or a known block comes out wrong, `encrypt`
is called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from Crypto.Cipher import AES

BLOCK = 16
KEPT_BLOCKS = 80
"""A 1,275-byte Opus frame, the longest there is (RFC 6716, 3.2.1), has so many."""


@dataclass(frozen=True, slots=True)
class Engine:
    """``encrypt(schedule, blocks, place, size)`` writes ``size`` bytes to ``place`` and returns 0, or else has failed.

    ``schedule_of(ecb)`` and ``place_of(buffer)`` make its arguments; they are good as long as ``ecb`` and ``buffer`` live.
    """

    encrypt: Callable[[Any, bytes, Any, int], int]
    schedule_of: Callable[[Any], Any]
    place_of: Callable[[bytearray], Any]

    def is_right(self) -> bool:
        """Whether it passes the example of FIPS 197, C.1."""
        ecb, buffer = AES.new(bytes(range(16)), AES.MODE_ECB), bytearray(BLOCK)
        block = bytes.fromhex("00112233445566778899aabbccddeeff")
        failed = self.encrypt(self.schedule_of(ecb), block, self.place_of(buffer), BLOCK)
        return not failed and buffer.hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"


def _wrapped(ecb: Any, blocks: bytes, buffer: bytearray, _size: int) -> int:
    ecb.encrypt(blocks, buffer)
    return 0


WRAPPED = Engine(_wrapped, lambda ecb: ecb, lambda buffer: buffer)
"""pycryptodome as it is documented."""


def _direct() -> Engine | None:
    try:
        from Crypto.Cipher._mode_ecb import raw_ecb_lib
        from Crypto.Util._raw_api import ffi

        engine = Engine(
            raw_ecb_lib.ECB_encrypt, lambda ecb: ecb._state.get(), lambda buffer: ffi.from_buffer("uint8_t[]", buffer)
        )
        return engine if engine.is_right() else None
    except (ImportError, AttributeError, TypeError):
        return None


DIRECT = _direct()
"""Its C function; None where that cannot be had."""


class Scratch(dict[int, tuple[bytearray, Any]]):
    """Where the keystream of one packet is made: by the number of its blocks, a buffer of that size, and its place.

    Several ciphers may share one, but not two threads: the C function lets other threads run while it writes.
    """

    __slots__ = ("engine",)

    def __init__(self, engine: Engine = DIRECT or WRAPPED) -> None:
        self.engine = engine

    def __missing__(self, blocks: int) -> tuple[bytearray, Any]:
        buffer = bytearray(blocks * BLOCK)
        made = buffer, self.engine.place_of(buffer)
        if blocks <= KEPT_BLOCKS:  # longer ones are rare, or sent to fill our memory
            self[blocks] = made
        return made
