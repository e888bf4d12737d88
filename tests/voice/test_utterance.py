"""An utterance, gathered."""

from __future__ import annotations

from app.voice.utterance import MAX_MARKED, UtteranceBuilder


def built(*sequences: int) -> UtteranceBuilder:
    builder = UtteranceBuilder(60)
    for sequence in sequences:
        builder.add(sequence, bytes([sequence & 0xFF]))
    return builder


def test_packets_come_out_in_the_order_in_which_they_were_spoken() -> None:
    utterance = built(3, 5, 4, 8, 6).build()
    assert utterance.packets == (b"\3", b"\4", b"\5", b"\6", b"\x08")


def test_a_lost_packet_has_its_place() -> None:
    utterance = built(3, 5, 4, 8, 6).build()
    assert utterance.frames == (b"\3", b"\4", b"\5", b"\6", None, b"\x08")
    assert utterance.lost == 1
    assert utterance.duration_ms == 360


def test_nothing_is_marked_before_the_first_and_behind_the_last() -> None:
    assert built(1_000_000, 1_000_001).build().frames == (b"\x40", b"\x41")


def test_a_gap_of_thousands_makes_an_utterance_hardly_longer() -> None:
    utterance = built(1, 2, 4_000_000_000).build()
    assert utterance.lost == 3_999_999_997
    assert utterance.frames == (b"\1", b"\2", *[None] * MAX_MARKED, b"\0")


def test_many_gaps_together_at_most_double_an_utterance() -> None:
    utterance = built(*range(0, 20_000, 100)).build()
    assert len(utterance.packets) == 200
    assert len(utterance.frames) == 400
    assert utterance.lost == 199 * 99


def test_an_utterance_may_be_empty() -> None:
    utterance = built().build()
    assert (utterance.frames, utterance.packets, utterance.lost, utterance.duration_ms) == ((), (), 0, 0)


def test_only_the_last_part_is_kept_of_silence() -> None:
    builder = built(*range(1, 11))
    builder.keep_last(3)
    assert len(builder) == 3
    assert builder.build().packets == (b"\x08", b"\x09", b"\x0a")
