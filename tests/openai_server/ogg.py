"""Ogg Opus, written and read strictly (RFC 3533, RFC 7845): the stand-in's own, so that two readings of them meet."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from app.opus.packet import duration_us
from app.protocol.malformed import Malformed

_HEADER = struct.Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4
PRE_SKIP = 312
SERIAL = 0x5EED


class BadOgg(Exception):
    """This is no well-formed Ogg Opus stream; the text says where it is not."""


@dataclass(slots=True)
class OggOpus:
    """``granule``: of the last page, in samples at 48 kHz; ``samples``: what the packets last, at 48 kHz."""

    channels: int
    pre_skip: int
    input_rate: int
    packets: list[bytes] = field(default_factory=list)
    granule: int = 0
    samples: int = 0


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        remainder = value << 24
        for _ in range(8):
            remainder = (remainder << 1 ^ (0x04C11DB7 if remainder & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(remainder)
    return tuple(table)


_CRC = _crc_table()


def checksum(page: bytes) -> int:
    """RFC 3533, 6, item 7: polynomial 0x04c11db7, no reflection, over the page with its own field zero."""
    value = 0
    for byte in page:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC[value >> 24 ^ byte]
    return value


def page(packets: Sequence[bytes], granule: int, number: int, flags: int = 0) -> bytes:
    """One page of whole packets."""
    lacing = bytearray()
    for packet in packets:
        whole, rest = divmod(len(packet), 255)
        lacing += b"\xff" * whole + bytes([rest])
    head = _HEADER.pack(b"OggS", 0, flags, granule, SERIAL, number, 0, len(lacing))
    bare = head + bytes(lacing) + b"".join(packets)
    return bare[:22] + struct.pack("<I", checksum(bare)) + bare[26:]


def write(packets: Sequence[bytes], packets_a_page: int = 10) -> list[bytes]:
    """Pages of a mono stream: the two of the headers, then ``packets_a_page`` packets in each."""
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, PRE_SKIP, 24_000, 0, 0)
    vendor = b"stand-in"
    tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)
    pages = [page([head], 0, 0, _FIRST), page([tags], 0, 1)]
    granule = 0
    for start in range(0, len(packets), packets_a_page):
        some = packets[start : start + packets_a_page]
        granule += sum(duration_us(packet) * 48 // 1000 for packet in some)
        last = _LAST if start + packets_a_page >= len(packets) else 0
        pages.append(page(some, granule, len(pages), last))
    return pages


def read(data: bytes) -> OggOpus:
    """The whole stream. Raises BadOgg for whatever RFC 3533 or RFC 7845 do not allow in it."""
    packets: list[bytes] = []
    granule = 0
    for position, some in _pages(data):
        packets += some
        granule = position
    if len(packets) < 2:
        raise BadOgg(f"{len(packets)} packets; OpusHead and OpusTags come first")
    stream = _head(packets[0])
    if not packets[1].startswith(b"OpusTags"):
        raise BadOgg("the second packet is no OpusTags")
    stream.packets, stream.granule = packets[2:], granule
    try:
        stream.samples = sum(duration_us(packet) * 48 // 1000 for packet in stream.packets)
    except Malformed as fault:
        raise BadOgg(f"a packet that is no Opus: {fault}") from None
    if not 0 <= stream.samples - granule < 120 * 48:
        raise BadOgg(f"the last granule position is {granule}, the packets last {stream.samples} samples")
    return stream


def _head(packet: bytes) -> OggOpus:
    if len(packet) != 19 or not packet.startswith(b"OpusHead"):
        raise BadOgg("the first packet is no OpusHead of mapping family 0")
    _, version, channels, pre_skip, rate, _, family = struct.unpack("<8sBBHIhB", packet)
    if version != 1 or channels not in (1, 2) or family:
        raise BadOgg(f"OpusHead of version {version}, {channels} channels, mapping family {family}")
    return OggOpus(channels, pre_skip, rate)


def _pages(data: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Granule position and complete packets of each page; the headers have to end their pages (RFC 7845, 3)."""
    offset = number = 0
    serial: int | None = None
    begun = b""
    last_granule, flags = 0, 0
    while offset < len(data):
        if len(data) - offset < _HEADER.size:
            raise BadOgg(f"{len(data) - offset} bytes behind the last page")
        mark, version, flags, granule, its_serial, its_number, crc, segments = _HEADER.unpack_from(data, offset)
        if mark != b"OggS" or version:
            raise BadOgg(f"no page at byte {offset}")
        table = data[offset + _HEADER.size : offset + _HEADER.size + segments]
        end = offset + _HEADER.size + segments + sum(table)
        if len(table) != segments or end > len(data):
            raise BadOgg(f"page {number} ends early")
        whole = data[offset:end]
        if checksum(whole[:22] + bytes(4) + whole[26:]) != crc:
            raise BadOgg(f"page {number} has a wrong checksum")
        serial = its_serial if serial is None else serial
        if its_number != number or its_serial != serial:
            raise BadOgg(f"page {its_number} of stream {its_serial:x} where page {number} of {serial:x} is due")
        if bool(flags & _FIRST) != (number == 0) or bool(flags & _CONTINUED) != bool(begun):
            raise BadOgg(f"page {number} has the flags {flags}")
        packets, begun = _packets(begun, table, whole[_HEADER.size + segments :])
        if number < 2 and (len(packets) != 1 or begun or granule):
            raise BadOgg(f"page {number} has to hold one header, and granule position 0")
        if granule != -1 and granule < last_granule:
            raise BadOgg(f"page {number}: the granule position goes back")
        last_granule = granule if granule != -1 else last_granule
        yield last_granule, packets
        offset, number = end, number + 1
    if begun or not flags & _LAST:
        raise BadOgg("the stream does not end: its last page has no end-of-stream flag, or an unfinished packet")


def _packets(begun: bytes, table: bytes, body: bytes) -> tuple[list[bytes], bytes]:
    packets, offset = [], 0
    for length in table:
        begun += body[offset : offset + length]
        offset += length
        if length < 255:
            packets.append(begun)
            begun = b""
    return packets, begun
