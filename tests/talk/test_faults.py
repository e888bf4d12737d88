"""Every provider fails in every phase: the device is shown an alert and hears why, and the next turn works.

All of them fail at the same time, each for a device of its own; only a closed port is closed for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.openai_server.process import OpenAiServer
from tests.system.devices import together
from tests.system.running_server import RunningServer, wait_for
from tests.talk.talker import SPEECH, Talker, loudness, spoken, talkers

STAGES = {"recognizer": "transcriptions", "mind": "chat", "voice": "speech"}
FAULTS = ("401", "404", "429", "500", "503", "drop", "hang", "hang in body", "cut", "garbage", "empty", "blank")
MATRIX = [(stage, fault) for stage in STAGES for fault in FAULTS if (stage, fault) != ("recognizer", "blank")]
"""A recognizer that finds no words has not failed."""


@dataclass
class Outcome:
    """What one device saw: in the turn that failed, and in the one after it."""

    alerts: list[str] = field(default_factory=list)
    loudness: float = 0.0
    texts: str = ""
    trouble: str = ""
    next_alerts: int = 0
    next_texts: str = ""


def name_of(stage: str, fault: str) -> str:
    """What the device says whose question meets this fault."""
    return f"question {MATRIX.index((stage, fault)):02d}"


def next_name_of(stage: str, fault: str) -> str:
    """What it says then."""
    return f"again {MATRIX.index((stage, fault)):02d}"


def suffer(talker: Talker, words: list[bytes], more: list[bytes]) -> Outcome:
    outcome = Outcome()
    try:
        reply = talker.ask(words)
        outcome.loudness, outcome.texts = loudness(reply), " ".join(reply.texts)
        outcome.alerts = [f"{event.data['status']}: {event.data['message']}" for event in talker.of("alert")]
        outcome.next_texts = " ".join(talker.ask(more).texts)
        outcome.next_alerts = len(talker.of("alert")) - len(outcome.alerts)
    except AssertionError as failure:
        outcome.trouble = str(failure)
    return outcome


@pytest.fixture(scope="module")
def outcomes(stand_in: OpenAiServer, server: RunningServer) -> dict[tuple[str, str], Outcome]:
    """By stage and fault."""
    stand_in.reset()
    stand_in.script(ms_per_character=15)
    jobs = []
    for stage, fault in MATRIX:
        name = name_of(stage, fault)
        times = 2 if fault in ("drop", "cut") else 1  # the first one is tried again
        stand_in.behave(STAGES[stage], fault, times, when=name)
        jobs.append((spoken(stand_in, name), spoken(stand_in, next_name_of(stage, fault))))
    with talkers(server, len(MATRIX)) as made:
        ended = together(
            [lambda one=one, job=job: suffer(one, *job) for one, job in zip(made, jobs, strict=True)],  # type: ignore[misc]
            seconds=90,
        )
    return dict(zip(MATRIX, ended, strict=True))


@pytest.mark.parametrize(("stage", "fault"), MATRIX)
def test_a_failure_is_shown_and_spoken_and_the_next_turn_works(
    outcomes: dict[tuple[str, str], Outcome], stage: str, fault: str
) -> None:
    outcome = outcomes[stage, fault]
    assert not outcome.trouble
    assert len(outcome.alerts) == 1, outcome
    assert outcome.loudness > SPEECH, outcome
    assert outcome.texts, outcome
    assert outcome.next_alerts == 0, outcome
    assert next_name_of(stage, fault) in outcome.next_texts, outcome


@pytest.mark.parametrize("stage", STAGES)
def test_a_closed_port_is_shown_and_spoken_and_the_next_turn_works(openai: OpenAiServer, talker: Talker, stage: str) -> None:
    openai.behave(STAGES[stage], "refuse")
    talker.tell(spoken(openai, "alpha"))
    talker.wait_for_event("alert")
    talker.wait_for_event("first_audio")
    wait_for(lambda: loudness(talker.reply) > SPEECH, what="some of its words")
    talker.abort()
    openai.behave(STAGES[stage])
    reply = talker.ask(spoken(openai, "beta"))
    assert "beta" in " ".join(reply.texts)
    assert len(talker.of("alert")) == 1


def test_a_connection_that_breaks_once_is_tried_again_and_nobody_notices(openai: OpenAiServer, talker: Talker) -> None:
    for route in STAGES.values():
        openai.behave(route, "drop", times=1)
    reply = talker.ask(spoken(openai, "alpha"))
    assert "alpha" in " ".join(reply.texts)
    assert not talker.of("alert")


def test_no_failure_tells_the_key_or_what_was_said(outcomes: dict[tuple[str, str], Outcome], server: RunningServer) -> None:
    shown = " ".join(" ".join(outcome.alerts) for outcome in outcomes.values())
    assert "sk-stand-in" not in shown + server.log()
    assert "question" not in shown + server.log()
    assert "Traceback" not in server.log()
