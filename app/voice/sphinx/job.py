"""What goes between the server and a recognizing process: a number and its utterance there, the number and words back.

Both are frames: u32 number, u32 length, that many bytes, big-endian. An utterance is its frame duration in ms (u16), then each of
its frames as u16 length and packet; a lost one has the length 0. Words are UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from app.voice.utterance import Utterance

HEAD = struct.Struct(">II")
_LENGTH = struct.Struct(">H")
LONGEST = 1 << 24
"""Bytes of a frame."""


def utterance_bytes(utterance: Utterance) -> bytes:
    """The utterance as the body of a frame."""
    pieces = [_LENGTH.pack(utterance.frame_duration_ms)]
    for frame in utterance.frames:
        packet = frame or b""
        pieces += (_LENGTH.pack(len(packet)), packet)
    return b"".join(pieces)


def read_utterance(body: bytes) -> Utterance:
    """What `utterance_bytes` made. Raises ValueError."""
    (duration,) = _LENGTH.unpack_from(body)
    frames: list[bytes | None] = []
    offset = _LENGTH.size
    while offset < len(body):
        (length,) = _LENGTH.unpack_from(body, offset)
        offset += _LENGTH.size
        frames.append(body[offset : offset + length] or None)
        offset += length
    return Utterance(tuple(frames), duration)


def frame_of(number: int, body: bytes) -> bytes:
    return HEAD.pack(number, len(body)) + body


def read_frame(read_exactly: Callable[[int], bytes]) -> tuple[int, bytes]:
    """The next frame. Raises ValueError when it is too long, and whatever ``read_exactly`` raises at the end."""
    number, length = HEAD.unpack(read_exactly(HEAD.size))
    if length > LONGEST:
        raise ValueError(f"a frame of {length} bytes")
    return number, read_exactly(length)
