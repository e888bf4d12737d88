"""Opus in Ogg, as recognizers read it and speech services send it: written at one go, read as it comes (RFC 3533, RFC 7845).

A page's checksum is the CRC of polynomial 0x04c11db7 with its bits in the order of the wire; zlib's has the same polynomial with
the bits of every byte and of the result reversed, so it is asked about reversed bytes: microseconds a page, not milliseconds.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from app.opus.packet import duration_us, silent_packet
from app.protocol.malformed import Malformed

PRE_SKIP = 312
"""Samples at 48 kHz by which libopus's encoder lags at 16 kHz: 6.5 ms (RFC 7845, 4.2)."""
GRANULES_PER_MS = 48
PAGE_MS = 1_000
"""A page holds no more than a second (RFC 7845, 4 asks for pages of limited delay)."""
MAX_SEGMENTS = 255
MAX_PACKET = 61_440
"""Bytes of the longest packet worth reading (RFC 7845, 6)."""

_CONTINUED, _BEGIN, _END = 1, 2, 4
_PAGE = struct.Struct("<4sBBqIIIB")
_NO_GRANULE = -1
_VENDOR = b"xiaozhi voice server"
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_opus(
    frames: Sequence[bytes | None],
    frame_duration_ms: int,
    *,
    input_rate: int = 16_000,
    pre_skip: int = PRE_SKIP,
    channels: int = 1,
    serial: int = 1,
) -> bytes:
    """A whole Ogg Opus stream of these packets as they are.

    None stands for a lost packet of ``frame_duration_ms``, and what is no Opus packet for another one: each becomes a packet that
    the decoder conceals, so that time stays right; those before the first true packet are left out. ``input_rate``: Hz of what
    was encoded, said in the header; ``pre_skip``: samples at 48 kHz that the decoder drops at the beginning.
    """
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, pre_skip, input_rate, 0, 0)
    tags = struct.pack("<8sI", b"OpusTags", len(_VENDOR)) + _VENDOR + bytes(4)
    pages = [_page(_BEGIN, 0, serial, 0, [head]), _page(0, 0, serial, 1, [tags])]
    page_granules = PAGE_MS * GRANULES_PER_MS
    gathered: list[bytes] = []
    segments = granule = page_began = 0
    for packet, length_us in _timed(frames, frame_duration_ms):
        granules = length_us * GRANULES_PER_MS // 1000
        needed = len(packet) // 255 + 1
        if gathered and (segments + needed > MAX_SEGMENTS or granule + granules - page_began > page_granules):
            pages.append(_page(0, granule, serial, len(pages), gathered))
            gathered, segments, page_began = [], 0, granule
        gathered.append(packet)
        segments += needed
        granule += granules
    pages.append(_page(_END, granule, serial, len(pages), gathered))
    return b"".join(pages)


class OggReader:
    """Reads the packets out of an Ogg Opus stream that comes in pieces of any size; holds one page and one packet at most.

    Links of a chained stream are read one after another; other streams between the pages are passed over.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._serial: int | None = None
        self._partial = bytearray()
        self._headers_to_come = 0
        self._drops_first = False
        self._next_page = 0
        self.is_complete = False
        """Whether the stream's last page has been read (its writer may have left the mark out)."""

    def feed(self, data: bytes) -> list[bytes]:
        """The Opus packets that are complete now. Raises Malformed for what is no Ogg Opus; the reader is of no use then."""
        self._buffer += data
        packets: list[bytes] = []
        offset = 0
        while (size := self._page_size(offset)) is not None:
            self._read_page(bytes(self._buffer[offset : offset + size]), packets)
            offset += size
        del self._buffer[:offset]
        return packets

    def _page_size(self, offset: int) -> int | None:
        """Bytes of the page at ``offset``; None when not all of it is here yet."""
        buffer = self._buffer
        here = len(buffer) - offset
        if here and not b"OggS\0".startswith(bytes(buffer[offset : offset + 5])):
            raise Malformed("this is no Ogg: a page does not begin with OggS, version 0")
        if here < _PAGE.size or here < _PAGE.size + buffer[offset + 26]:
            return None
        body = offset + _PAGE.size + buffer[offset + 26]
        end = body + sum(buffer[offset + _PAGE.size : body])
        return None if end > len(buffer) else end - offset

    def _read_page(self, page: bytes, packets: list[bytes]) -> None:
        _, _, flags, _, serial, number, checksum, count = _PAGE.unpack_from(page)
        if _checksum(page[:22] + bytes(4) + page[26:]) != checksum:
            raise Malformed("an Ogg page whose checksum is wrong")
        lacing, body = page[_PAGE.size : _PAGE.size + count], page[_PAGE.size + count :]
        if flags & _BEGIN:
            self._begin(serial, body)
            return
        if self._serial is None:
            raise Malformed("an Ogg stream without Opus in it")
        if serial != self._serial:
            return
        is_in_sequence, self._next_page = number == self._next_page, number + 1 & 0xFFFFFFFF
        if not flags & _CONTINUED or not is_in_sequence or not self._partial:
            self._partial.clear()  # a page between is missing, and with it a part of a packet
            self._drops_first = bool(flags & _CONTINUED)
        self._read_segments(lacing, body, packets)
        self.is_complete = bool(flags & _END)

    def _begin(self, serial: int, body: bytes) -> None:
        """The first page of a logical stream: ours, when it is Opus and we are not about to begin with another."""
        if self._headers_to_come or not body.startswith(b"OpusHead"):
            return
        _check_head(body)
        self._serial = serial
        self._headers_to_come = 1
        self._next_page = 1
        self._drops_first = self.is_complete = False
        self._partial.clear()

    def _read_segments(self, lacing: bytes, body: bytes, packets: list[bytes]) -> None:
        offset = begun = 0
        for segment in lacing:
            offset += segment
            if segment == 255:
                continue
            self._partial += body[begun:offset]
            begun = offset
            self._end_packet(packets)
        self._partial += body[begun:offset]
        if self._headers_to_come or self._drops_first:
            del self._partial[8:]  # comments may hold a picture of megabytes
        elif len(self._partial) > MAX_PACKET:
            raise Malformed(f"an Opus packet of more than {MAX_PACKET} bytes in an Ogg stream")

    def _end_packet(self, packets: list[bytes]) -> None:
        packet = bytes(self._partial)
        self._partial.clear()
        if self._drops_first:
            self._drops_first = False
        elif self._headers_to_come:
            if not packet.startswith(b"OpusTags"):
                raise Malformed("an Ogg Opus stream without OpusTags behind its OpusHead")
            self._headers_to_come = 0
        elif len(packet) > MAX_PACKET:
            raise Malformed(f"an Opus packet of {len(packet)} bytes in an Ogg stream; {MAX_PACKET} at most")
        elif packet:
            packets.append(packet)


def _check_head(head: bytes) -> None:
    """RFC 7845, 5.1. Raises Malformed when its packets are not of one plain Opus stream."""
    if len(head) < 19 or head[8] & 0xF0:
        raise Malformed("an OpusHead that is too short, or of a version that is not known")
    channels, family = head[9], head[18]
    is_plain = 1 <= channels <= 2 if not family else len(head) >= 21 and head[19] == 1
    if not is_plain:
        raise Malformed(f"an Ogg Opus stream of {channels} channels in mapping family {family}: mono and stereo are read")


def _timed(frames: Sequence[bytes | None], frame_duration_ms: int) -> list[tuple[bytes, int]]:
    """What goes into the stream, each packet with its duration in µs."""
    timed = []
    configuration = None
    for frame in frames:
        packet = frame
        length_us = _duration(packet)
        if not length_us or packet is None:
            if configuration is None:
                continue
            packet = silent_packet(configuration, frame_duration_ms)
            length_us = duration_us(packet)
        else:
            configuration = packet[0]
        timed.append((packet, length_us))
    return timed


def _duration(packet: bytes | None) -> int:
    """In µs; 0 when it was lost, or cannot go into a stream."""
    if packet is None or len(packet) > MAX_PACKET:
        return 0
    try:
        return duration_us(packet)
    except Malformed:
        return 0


def _page(flags: int, granule: int, serial: int, number: int, packets: Sequence[bytes]) -> bytes:
    """A page of whole packets, of 255 segments at most."""
    lacing = b"".join([b"\xff" * (len(packet) // 255) + bytes((len(packet) % 255,)) for packet in packets])
    position = granule if packets or flags & _END else _NO_GRANULE
    header = _PAGE.pack(b"OggS", 0, flags, position, serial, number, 0, len(lacing))
    page = header + lacing + b"".join(packets)
    return page[:22] + struct.pack("<I", _checksum(page)) + page[26:]


def _checksum(page: bytes) -> int:
    """Of a page whose checksum field is zero (RFC 3533, 6)."""
    crc = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")
