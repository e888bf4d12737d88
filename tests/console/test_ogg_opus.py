"""The Ogg that the page writes, read by the repository's own reader and by the browser (RFC 3533, RFC 7845)."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Error, Page

from app.opus.ogg import OggReader
from app.opus.packet import duration_us
from tests.shared import packets_of

WRITE = """async ([packets, options]) => {
    const { oggOpus } = await import("/console/static/ogg_opus.js");
    return [...oggOpus(packets.map((packet) => Uint8Array.from(packet)), options)];
}"""
DECODE = """async (bytes) => {
    const context = new OfflineAudioContext(1, 1, 48000);
    const sound = await context.decodeAudioData(Uint8Array.from(bytes).buffer);
    return {seconds: sound.duration, peak: sound.getChannelData(0).reduce((peak, value) => Math.max(peak, Math.abs(value)), 0)};
}"""


def written(page: Page, packets: list[bytes], **options: Any) -> bytes:
    return bytes(page.evaluate(WRITE, [[list(packet) for packet in packets], options]))


def test_packets_come_out_as_they_went_in(page: Page) -> None:
    packets = packets_of("lamp.opusp") + packets_of("celt_20ms.opusp")
    reader = OggReader()
    assert reader.feed(written(page, packets)) == packets
    assert reader.is_complete


def test_a_packet_of_a_whole_number_of_segments_is_ended(page: Page) -> None:
    packets = [b"\x58" + bytes(254), b"\x58" + bytes(509), b"\x58"]
    assert OggReader().feed(written(page, packets)) == packets


def test_pages_last_a_second_at_most(page: Page) -> None:
    packets = packets_of("weather.opusp")
    stream = written(page, packets)
    pages = stream.count(b"OggS") - 2
    assert pages >= sum(map(duration_us, packets)) / 1_000_000


def test_header_says_rate_and_pre_skip(page: Page) -> None:
    stream = written(page, packets_of("lamp.opusp"), preSkip=5760, inputRate=24000)
    head = stream[stream.index(b"OpusHead") :]
    assert (int.from_bytes(head[10:12], "little"), int.from_bytes(head[12:16], "little")) == (5760, 24000)


def test_the_browser_decodes_it_and_drops_the_run_up(page: Page) -> None:
    packets = packets_of("lamp.opusp")
    decoded = page.evaluate(DECODE, list(written(page, packets, preSkip=5760)))
    assert decoded["seconds"] == pytest.approx(len(packets) * 0.06 - 0.12, abs=0.001)
    assert decoded["peak"] > 0.05


@pytest.mark.parametrize("packet", [b"", b"\x5b", b"\x5b\x3f"], ids=["empty", "no count", "longer than Opus allows"])
def test_what_is_no_packet_is_refused(page: Page, packet: bytes) -> None:
    with pytest.raises(Error, match="no Opus packet"):
        written(page, [packet])
