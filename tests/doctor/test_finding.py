"""How the doctor writes its sentences."""

from __future__ import annotations

from app.doctor.finding import sentence_of


def test_a_reason_becomes_a_sentence() -> None:
    assert sentence_of("nobody listens on UDP 192.168.1.5:8990") == "Nobody listens on UDP 192.168.1.5:8990"


def test_an_address_at_its_beginning_stays_as_it_is_written() -> None:
    for reason in ("ws://192.168.1.5:8989/xiaozhi/v1/ cannot be reached", "emqx.example.com:1883 cannot be reached"):
        assert sentence_of(reason) == reason
