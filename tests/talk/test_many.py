"""Many conversations at once: none hears another's words, none waits for another."""

from __future__ import annotations

from tests.openai_server.process import OpenAiServer
from tests.system.devices import check_in_time, together
from tests.system.running_server import RunningServer
from tests.talk.talker import SPEECH, Talker, loudness, said_before, spoken, talkers

COUNT = 10
"""Over each of the two ways."""
TURNS = ("first", "second")


def test_twenty_conversations_at_once_keep_apart(openai: OpenAiServer, server: RunningServer) -> None:
    def talk(talker: Talker, name: str, turns: list[list[bytes]]) -> None:
        for number, packets in enumerate(turns, 1):
            reply = talker.ask(packets, "auto" if number == 1 else "manual")
            told = " ".join(reply.texts)
            assert told == f"You said: {name} {TURNS[number - 1]}. That was number {number}.", told
            assert loudness(reply) > SPEECH
            assert (reply.lost, reply.overflowed, reply.discarded) == (0, 0, 0), reply.summary()
            check_in_time(reply)

    names = [f"speaker {letter}" for letter in "abcdefghijklmnopqrst"]
    words = {name: [spoken(openai, f"{name} {turn}") for turn in TURNS] for name in names}
    with talkers(server, COUNT) as over_udp, talkers(server, COUNT, websocket=True) as over_websocket:
        everybody = zip([*over_udp, *over_websocket], names, strict=True)
        together([lambda one=one, name=name: talk(one, name, words[name]) for one, name in everybody])  # type: ignore[misc]
    for name in names:
        assert said_before(openai, f"{name} second")[0] == ("user", f"{name} first")
    assert {record.status for record in openai.records()} == {200}
    assert "Traceback" not in server.log()
