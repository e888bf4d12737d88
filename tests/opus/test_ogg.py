"""RFC 3533 and RFC 7845: Opus in Ogg, written and read."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.opus.codec import Decoder
from app.opus.ogg import OggReader, ogg_opus
from app.opus.packet import duration_us
from app.protocol.malformed import Malformed
from tests.shared import packets_of

LAMP = packets_of("lamp.opusp")


def crc(page: bytes) -> int:
    """The checksum as RFC 3533, 6 describes it, bit by bit."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value


def page(body: bytes, lacing: bytes, flags: int = 0, number: int = 0, serial: int = 1, granule: int = 0) -> bytes:
    header = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, number, 0, len(lacing)) + lacing
    made = header + body
    return made[:22] + struct.pack("<I", crc(made)) + made[26:]


HEAD = struct.pack("<8sBBHIhB", b"OpusHead", 1, 1, 312, 16_000, 0, 0)
TAGS = b"OpusTags" + struct.pack("<I", 4) + b"test" + bytes(4)
BEGIN = page(HEAD, bytes((len(HEAD),)), flags=2)
HEADERS = BEGIN + page(TAGS, bytes((len(TAGS),)), number=1)


def pages_of(stream: bytes) -> list[tuple[int, int, int, bytes]]:
    """(flags, granule position, page number, lacing) of every page, its checksum verified bit by bit."""
    pages, offset = [], 0
    while offset < len(stream):
        capture, version, flags, granule, _, number, checksum, count = struct.unpack_from("<4sBBqIIIB", stream, offset)
        assert (capture, version) == (b"OggS", 0)
        lacing = stream[offset + 27 : offset + 27 + count]
        end = offset + 27 + count + sum(lacing)
        assert crc(stream[offset : offset + 22] + bytes(4) + stream[offset + 26 : end]) == checksum
        pages.append((flags, granule, number, lacing))
        offset = end
    return pages


def read(stream: bytes) -> list[bytes]:
    return OggReader().feed(stream)


# Written


def test_a_stream_has_its_headers_its_order_and_its_end() -> None:
    pages = pages_of(ogg_opus(LAMP, 60))
    assert [flags for flags, *_ in pages] == [2, 0] + [0] * (len(pages) - 3) + [4]
    assert [number for _, _, number, _ in pages] == list(range(len(pages)))
    assert [len(lacing) for *_, lacing in pages[:2]] == [1, 1]
    assert sum(1 for *_, lacing in pages[2:] for length in lacing if length < 255) == len(LAMP)


def test_the_head_says_mono_16_khz_and_the_encoders_delay() -> None:
    stream = ogg_opus(LAMP, 60)
    assert struct.unpack_from("<8sBBHIhB", stream, 28) == (b"OpusHead", 1, 1, 312, 16_000, 0, 0)


def test_granule_positions_count_samples_of_48_khz() -> None:
    granules = [granule for _, granule, *_ in pages_of(ogg_opus(LAMP, 60))]
    assert granules[:2] == [0, 0]
    assert granules[-1] == len(LAMP) * 60 * 48
    assert all(0 < after - before <= 48_000 for before, after in itertools.pairwise(granules[1:]))


def test_what_is_written_is_read() -> None:
    assert read(ogg_opus(LAMP, 60)) == LAMP


def test_a_lost_packet_is_concealed_by_one_of_the_same_configuration() -> None:
    frames: list[bytes | None] = [*LAMP[:20], None, None, *LAMP[22:]]
    packets = read(ogg_opus(frames, 60))
    assert packets[20:22] == [b"\x58", b"\x58"]
    decoder = Decoder(16_000)
    assert sum(len(decoder.decode(packet)) for packet in packets) == len(LAMP) * 960 * 2


@pytest.mark.parametrize(
    ("before", "duration_ms"), [("48aa", 20), ("49aabb", 40), ("4b03aabbcc", 60), ("b8aa", 60), ("58aa", 20), ("e0aa", 120)]
)
def test_a_lost_packet_lasts_what_a_packet_lasts(before: str, duration_ms: int) -> None:
    lost = read(ogg_opus([bytes.fromhex(before), None], duration_ms))[1]
    assert duration_us(lost) == max(duration_ms * 1000, duration_us(bytes.fromhex(before)) if before == "58aa" else 0)


def test_what_is_no_opus_packet_is_taken_for_lost() -> None:
    assert read(ogg_opus([LAMP[20], b"\x5b", b"", LAMP[21]], 60)) == [LAMP[20], b"\x58", b"\x58", LAMP[21]]


def test_a_stream_may_be_empty() -> None:
    pages = pages_of(ogg_opus([], 60))
    assert [(flags, granule) for flags, granule, *_ in pages] == [(2, 0), (0, 0), (4, 0)]
    assert read(ogg_opus([None], 60)) == []


@pytest.mark.parametrize("size", [253, 254, 255, 256, 509, 510, 511, 1276])
def test_a_packet_of_any_length_is_laced(size: int) -> None:
    packets = [b"\x58" + bytes(size - 1), b"\x58\1", b"\x58" + bytes(size - 1)]
    assert read(ogg_opus(packets, 60)) == packets


# Read


@settings(max_examples=150)
@given(
    packets=st.lists(st.binary(max_size=600).map(lambda body: b"\x58" + body), max_size=40),
    cuts=st.lists(st.integers(1, 400), min_size=1, max_size=30),
)
def test_a_stream_may_come_in_pieces_of_any_size(packets: list[bytes], cuts: list[int]) -> None:
    stream, reader, found = ogg_opus(packets, 60), OggReader(), []
    for cut in cuts:
        found += reader.feed(stream[:cut])
        stream = stream[cut:]
    found += reader.feed(stream)
    assert found == packets
    assert reader.is_complete


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_stream_is_malformed_or_gives_packets_of_the_stream(data: st.DataObject) -> None:
    stream = bytearray(ogg_opus(LAMP, 60))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert set(read(bytes(stream))) <= set(LAMP)
    except Malformed:
        return


@given(st.binary(min_size=5, max_size=300).filter(lambda data: not data.startswith(b"OggS\0")))
def test_what_is_no_ogg_is_malformed(garbage: bytes) -> None:
    with pytest.raises(Malformed):
        read(garbage)


def test_a_wrong_checksum_is_malformed() -> None:
    stream = bytearray(ogg_opus(LAMP, 60))
    stream[-1] ^= 1
    with pytest.raises(Malformed, match="checksum"):
        read(bytes(stream))


def test_a_packet_may_span_pages() -> None:
    packet = b"\x58" + bytes(range(250)) * 5
    stream = HEADERS + page(packet[:510], b"\xff\xff", number=2, granule=-1)
    stream += page(packet[510:] + b"\x58", bytes((255, 255, len(packet) - 1020, 1)), flags=1, number=3)
    assert read(stream) == [packet, b"\x58"]


def test_a_packet_whose_first_page_is_missing_is_left_out() -> None:
    stream = HEADERS + page(bytes(255), b"\xff", number=2) + page(bytes(10) + b"\x58", b"\x0a\1", flags=1, number=4)
    assert read(stream) == [b"\x58"]


def test_a_packet_that_is_not_gone_on_with_is_left_out() -> None:
    stream = HEADERS + page(bytes(255), b"\xff", number=2) + page(b"\x58", b"\1", number=3)
    assert read(stream) == [b"\x58"]


def test_comments_may_be_long_and_are_not_kept() -> None:
    reader = OggReader()
    reader.feed(BEGIN + page(b"OpusTags" + bytes(65_017), b"\xff" * 255, number=1))
    for number in range(2, 6):
        reader.feed(page(bytes(65_025), b"\xff" * 255, flags=1, number=number))
        assert len(reader._partial) + len(reader._buffer) < 1_000
    assert reader.feed(page(b"\0", b"\1", flags=1, number=6) + page(b"\x58", b"\1", number=7)) == [b"\x58"]


def test_a_packet_without_end_is_malformed() -> None:
    reader = OggReader()
    reader.feed(HEADERS)
    with pytest.raises(Malformed, match="more than"):
        reader.feed(page(bytes(65_025), b"\xff" * 255, number=2))


def test_links_of_a_chain_are_read_one_after_another() -> None:
    assert read(ogg_opus(LAMP[:30], 60, serial=7) + ogg_opus(LAMP[30:], 60, serial=8)) == LAMP


def test_other_streams_between_the_pages_are_passed_over() -> None:
    other = page(b"fishead\0", b"\x08", flags=2, serial=9)
    stream = BEGIN + other + HEADERS[len(BEGIN) :] + page(b"x", b"\1", serial=9, number=1) + page(b"\x58", b"\1", number=2)
    assert read(stream) == [b"\x58"]


@pytest.mark.parametrize(
    "stream",
    [
        page(b"x", b"\1"),
        page(b"\x01vorbis", b"\7", flags=2) + page(b"x", b"\1", number=1),
        BEGIN + page(b"OpusBags", b"\x08", number=1),
        page(HEAD[:12], b"\x0c", flags=2),
        page(HEAD[:8] + b"\x10" + HEAD[9:], b"\x13", flags=2),
        page(HEAD[:9] + b"\3" + HEAD[10:], b"\x13", flags=2),
        page(HEAD[:18] + b"\1\2\0" + b"\0\1", b"\x17", flags=2),
        b"OggS\1",
    ],
    ids=["no first page", "Vorbis", "no tags", "short head", "version", "three channels", "two streams in one", "Ogg 1"],
)
def test_what_is_no_plain_opus_is_malformed(stream: bytes) -> None:
    with pytest.raises(Malformed):
        read(stream)
