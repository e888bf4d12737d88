"""An utterance, gathered."""

from __future__ import annotations

from app.voice.utterance import UtteranceBuilder


def built(*sequences: int) -> UtteranceBuilder:
    builder = UtteranceBuilder(60)
    for sequence in sequences:
        builder.add(sequence, bytes([sequence]))
    return builder


def test_packets_come_out_in_the_order_in_which_they_were_spoken() -> None:
    utterance = built(3, 5, 4, 8, 6).build()
    assert utterance.packets == (b"\3", b"\4", b"\5", b"\6", b"\x08")
    assert utterance.lost == 1
    assert utterance.duration_ms == 300


def test_an_utterance_may_be_empty() -> None:
    utterance = built().build()
    assert (utterance.packets, utterance.lost, utterance.duration_ms) == ((), 0, 0)


def test_only_the_last_part_is_kept_of_silence() -> None:
    builder = built(*range(1, 11))
    builder.keep_last(3)
    assert len(builder) == 3
    assert builder.build().packets == (b"\x08", b"\x09", b"\x0a")
