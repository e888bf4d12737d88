"""What an Opus packet says of itself, without decoding: its TOC byte and its framing; and how frames are framed (RFC 6716, 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from app.protocol.malformed import Malformed

MAX_FRAME = 1275
"""Bytes of the longest frame (RFC 6716, 3.2.1)."""
MAX_PACKET = 8_000
"""Bytes of what is taken for a packet: six frames of 20 ms at the highest bitrate are 7,650; what is longer is padding."""
MAX_DURATION_US = 120_000
"""A packet lasts 120 ms at most (RFC 6716, 3.2.5, R5)."""


class Mode(Enum):
    """How a packet's frames are coded (RFC 6716, 3.1)."""

    SILK = "silk"
    HYBRID = "hybrid"
    CELT = "celt"


@dataclass(frozen=True, slots=True)
class Toc:
    """A TOC byte, read (RFC 6716, 3.1, table 2). ``frame_us``: the duration of one of the packet's frames, in µs."""

    config: int
    mode: Mode
    frame_us: int
    channels: int
    code: int


def _toc(byte: int) -> Toc:
    config = byte >> 3
    if config < 12:
        mode, frame_us = Mode.SILK, (10_000, 20_000, 40_000, 60_000)[config & 3]
    elif config < 16:
        mode, frame_us = Mode.HYBRID, (10_000, 20_000)[config & 1]
    else:
        mode, frame_us = Mode.CELT, (2_500, 5_000, 10_000, 20_000)[config & 3]
    return Toc(config, mode, frame_us, 2 if byte & 4 else 1, byte & 3)


TOCS = tuple(_toc(byte) for byte in range(256))
"""Every TOC byte there is, by its value."""


def toc(packet: bytes) -> Toc:
    """The packet's TOC. Raises Malformed when the packet is empty."""
    if not packet:
        raise Malformed("an empty Opus packet")
    return TOCS[packet[0]]


def duration_us(packet: bytes) -> int:
    """How long the packet lasts, in µs. Raises Malformed when its framing is not well-formed (RFC 6716, 3.2 and 3.4)."""
    described = toc(packet)
    if described.code == 0:
        if len(packet) - 1 > MAX_FRAME:
            raise Malformed(f"an Opus frame of {len(packet) - 1} bytes; {MAX_FRAME} at most")
        return described.frame_us
    return len(_frame_lengths(packet, described)[0]) * described.frame_us


def frames_of(packet: bytes) -> list[bytes]:
    """The packet's frames, without its padding; an empty one was not sent (DTX). Raises Malformed as `duration_us` does."""
    described = toc(packet)
    if described.code == 0:
        duration_us(packet)
        return [packet[1:]]
    lengths, offset = _frame_lengths(packet, described)
    frames = []
    for length in lengths:
        frames.append(packet[offset : offset + length])
        offset += length
    return frames


def packet_of(frames: Sequence[bytes], configuration: int) -> bytes:
    """The shortest packet of those frames, of which each has 1,275 bytes at most and all together last 120 ms at most.

    ``configuration``: a TOC byte whose upper six bits, configuration and stereo, are those of all frames; its code is ignored.
    """
    toc_byte = configuration & 0xFC
    lengths = [len(frame) for frame in frames]
    is_constant = lengths.count(lengths[0]) == len(lengths)
    if len(frames) == 1:
        header = bytes((toc_byte,))
    elif len(frames) == 2:
        header = bytes((toc_byte | 1,)) if is_constant else bytes((toc_byte | 2,)) + _length_bytes(lengths[0])
    elif is_constant:
        header = bytes((toc_byte | 3, len(frames)))
    else:
        header = bytes((toc_byte | 3, 0x80 | len(frames))) + b"".join(map(_length_bytes, lengths[:-1]))
    return header + b"".join(frames)


def silent_packet(configuration: int, duration_ms: int) -> bytes:
    """A packet of that configuration and about that duration whose frames were not sent: a decoder conceals them.

    It stands in for a lost packet where time must go on. ``configuration``: as in `packet_of`.
    """
    count = duration_ms * 1000 // TOCS[configuration].frame_us
    return packet_of([b""] * max(1, count), configuration)


def is_plausible(packet: bytes, duration_ms: int) -> bool:
    """Whether this is a well-formed Opus packet of that duration: what a packet decrypted with a wrong key seldom is."""
    try:
        return duration_us(packet) == duration_ms * 1000
    except Malformed:
        return False


def _frame_lengths(packet: bytes, described: Toc) -> tuple[list[int], int]:
    """The lengths of the frames of a packet of code 1, 2 or 3, and the offset of the first frame."""
    if described.code == 1:
        return _two_equal_frames(packet)
    if described.code == 2:
        return _two_frames(packet)
    return _many_frames(packet, described)


def _two_equal_frames(packet: bytes) -> tuple[list[int], int]:
    body = len(packet) - 1
    if body % 2 or body // 2 > MAX_FRAME:
        raise Malformed(f"two equal Opus frames do not fill {body} bytes")
    return [body // 2] * 2, 1


def _two_frames(packet: bytes) -> tuple[list[int], int]:
    first, offset = _frame_length(packet, 1)
    if offset + first > len(packet) or len(packet) - offset - first > MAX_FRAME:
        raise Malformed("an Opus packet of two frames whose first length is wrong")
    return [first, len(packet) - offset - first], offset


def _many_frames(packet: bytes, described: Toc) -> tuple[list[int], int]:
    if len(packet) < 2:
        raise Malformed("an Opus packet without its frame count")
    flags = packet[1]
    count = flags & 0x3F
    if not count or count * described.frame_us > MAX_DURATION_US:
        raise Malformed(f"an Opus packet of {count} frames of {described.frame_us} µs")
    offset, padding = (2, 0) if not flags & 0x40 else _padding(packet)
    if not flags & 0x80:
        body = len(packet) - offset - padding
        if body < 0 or body % count or body // count > MAX_FRAME:
            raise Malformed(f"{count} equal Opus frames do not fill {body} bytes")
        return [body // count] * count, offset
    lengths = []
    for _ in range(count - 1):
        length, offset = _frame_length(packet, offset)
        lengths.append(length)
    last = len(packet) - offset - padding - sum(lengths)
    if not 0 <= last <= MAX_FRAME:
        raise Malformed("an Opus packet whose frame lengths do not add up")
    return [*lengths, last], offset


def _length_bytes(length: int) -> bytes:
    """A length as RFC 6716, 3.2.1 writes it."""
    if length < 252:
        return bytes((length,))
    first = 252 + (length & 3)
    return bytes((first, (length - first) >> 2))


def _frame_length(packet: bytes, offset: int) -> tuple[int, int]:
    """One length of RFC 6716, 3.2.1, and the offset behind it."""
    try:
        first = packet[offset]
        if first < 252:
            return first, offset + 1
        return first + 4 * packet[offset + 1], offset + 2
    except IndexError:
        raise Malformed("an Opus packet that ends inside a frame length") from None


def _padding(packet: bytes) -> tuple[int, int]:
    """The offset behind the padding lengths of a code 3 packet, and the bytes of padding at its end (RFC 6716, 3.2.5)."""
    offset, padding = 2, 0
    while True:
        if offset >= len(packet):
            raise Malformed("an Opus packet that ends inside its padding length")
        step = packet[offset]
        offset += 1
        padding += 254 if step == 255 else step
        if step != 255:
            return offset, padding
