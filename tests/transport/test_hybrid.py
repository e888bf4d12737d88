"""From what devices publish to their sessions, with every answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.journal import Journal
from app.protocol.messages import Stt
from app.protocol.topics import DEVICE_PUBLIC, DEVICE_SUB
from app.sections import Sessions, Udp
from app.session.registry import Registry
from app.session.session import Session
from app.timers import Timers
from app.transport.hybrid import HybridTransport
from app.transport.udp import UdpServer
from tests.session.recording_channel import FakeClock, RecordingConversation

MAC = "aa:bb:cc:dd:ee:ff"
OTHER = "aa:bb:cc:dd:ee:00"
HELLO = {"type": "hello", "version": 3, "transport": "udp", "audio_params": {"frame_duration": 20}}


class Publisher:
    def __init__(self) -> None:
        self.published: list[tuple[str, dict[str, Any]]] = []

    def publish(self, topic: str, payload: bytes) -> None:
        self.published.append((topic, json.loads(payload)))


class House:
    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.mqtt = Publisher()
        self.udp = UdpServer(Udp())
        self.conversations: list[RecordingConversation] = []
        timers = Timers(clock=self.clock)
        limits = Sessions(max=2, hellos_per_minute=5)
        self.registry = Registry(limits, timers, Journal(directory / "sessions.jsonl", 10), self._converse)
        self.transport = HybridTransport(
            self.mqtt,
            self.udp,
            self.registry,
            host_for=lambda device: f"host-of-{device[-2:]}",
            udp_port=lambda: 8990,
            timers=timers,
        )

    def _converse(self, _session: Session) -> RecordingConversation:
        self.conversations.append(RecordingConversation())
        return self.conversations[-1]

    def publish(self, message: dict[str, Any] | bytes, name: str = MAC) -> None:
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.transport.receive(DEVICE_PUBLIC + name, payload)

    def answer(self) -> dict[str, Any]:
        """The newest thing published."""
        return self.mqtt.published[-1][1]

    def hello(self, name: str = MAC) -> dict[str, Any]:
        self.publish(HELLO, name)
        assert self.answer()["type"] == "hello", self.answer()
        return self.answer()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_a_hello_is_answered_with_all_that_a_device_needs(house: House) -> None:
    answer = house.hello()
    assert (answer["transport"], answer["version"]) == ("udp", 3)
    assert len(answer["session_id"]) == 32
    assert answer["audio_params"] == {"format": "opus", "sample_rate": 24_000, "channels": 1, "frame_duration": 20}
    udp = answer["udp"]
    assert (udp["server"], udp["port"], udp["encryption"]) == ("host-of-ff", 8990, "aes-128-ctr")
    key, nonce = bytes.fromhex(udp["key"]), bytes.fromhex(udp["nonce"])
    assert (len(key), len(nonce)) == (16, 16)
    assert nonce[:4] == b"\x01\0\0\0"
    assert nonce[8:] == bytes(8)
    assert house.transport.hellos["accepted"] == 1


def test_keys_and_ssrcs_are_fresh_for_each_hello(house: House) -> None:
    answers = [house.hello() for _ in range(5)]
    assert len({answer["udp"]["key"] for answer in answers}) == 5
    assert len({answer["udp"]["nonce"] for answer in answers}) == 5
    assert len({answer["session_id"] for answer in answers}) == 5
    assert len(house.udp._legs) == 1, "the legs of replaced sessions are gone"


@pytest.mark.parametrize("name", [MAC, "aa_bb_cc_dd_ee_ff", "AA:BB:CC:DD:EE:FF", "GID_x@@@aa_bb_cc_dd_ee_ff@@@uuid"])
def test_a_device_is_answered_in_the_spelling_in_which_it_spoke(house: House, name: str) -> None:
    house.hello(name)
    assert house.mqtt.published[-1][0] == DEVICE_SUB + name
    assert house.registry.of_device(MAC) is not None


def test_a_device_that_changes_its_spelling_is_the_same_device(house: House) -> None:
    house.hello(MAC)
    house.hello("GID_x@@@aa_bb_cc_dd_ee_ff@@@uuid")
    assert len(house.registry) == 1


def test_a_session_is_answered_in_the_spelling_in_which_its_device_spoke_last(house: House) -> None:
    session = house.registry.of_id(house.hello(MAC)["session_id"])
    assert session is not None
    house.publish({"type": "listen", "state": "start", "session_id": session.id}, "aa_bb_cc_dd_ee_ff")
    session.send(Stt(text="hi"))
    assert house.mqtt.published[-1][0] == DEVICE_SUB + "aa_bb_cc_dd_ee_ff"


@pytest.mark.parametrize(
    ("hello", "result"),
    [
        ({"type": "hello", "transport": "websocket"}, "refused_transport"),
        ({"type": "hello", "audio_params": {"frame_duration": 61}}, "refused_malformed"),
        (b'{"type":"hello"', "refused_malformed"),
    ],
)
def test_a_hello_that_cannot_be_accepted_is_answered_and_counted(
    house: House, hello: dict[str, Any] | bytes, result: str
) -> None:
    house.publish(hello)
    assert house.answer().keys() == {"type", "status", "message", "emotion"}
    assert house.answer()["type"] == "alert"
    assert house.transport.hellos[result] == 1
    assert len(house.registry) == 0


def test_a_message_that_only_holds_the_word_is_no_hello(house: House) -> None:
    house.hello()
    house.publish({"type": "listen", "state": "detect", "text": "hello", "mode": "loud"})
    assert house.answer()["type"] == "hello", "nothing was said after the answer to the true one"
    assert house.transport.hellos["refused_malformed"] == 0


def test_the_refusal_of_a_hello_says_in_a_sentence_what_to_write_instead(house: House) -> None:
    house.publish({"type": "hello", "audio_params": {"frame_duration": 61}})
    assert house.answer()["message"] == (
        "This hello cannot be understood: audio_params.frame_duration: 61 is none of 10, 20, 40, 60, 80, 100, 120."
    )


def test_limits_are_said(house: House) -> None:
    house.hello(MAC)
    house.hello(OTHER)
    house.publish(HELLO, "aa:bb:cc:dd:ee:01")
    assert "no room" in house.answer()["message"]
    for _ in range(4):
        house.hello(MAC)
    house.publish(HELLO)
    assert "Too many hellos" in house.answer()["message"]
    assert (house.transport.hellos["refused_full"], house.transport.hellos["refused_rate"]) == (1, 1)


def test_a_hello_that_fails_within_the_server_is_answered_too(house: House) -> None:
    def fail() -> int:
        raise RuntimeError("a test")

    house.transport._udp_port = fail
    house.publish(HELLO)
    assert house.answer()["type"] == "alert"
    assert house.transport.hellos["failed"] == 1
    assert len(house.registry) == 0


def test_messages_go_to_the_session_they_name_or_to_the_device_s_own(house: House) -> None:
    session = house.hello()["session_id"]
    house.publish({"type": "listen", "state": "start", "session_id": session})
    house.publish({"type": "listen", "state": "stop"})
    house.publish({"type": "abort", "session_id": session})
    house.publish({"type": "mcp", "payload": {"id": 1}})
    assert house.conversations[0].events == ["start", "stop", "abort", {"id": 1}]


def test_a_message_for_an_unknown_session_is_answered_with_its_goodbye(house: House) -> None:
    house.hello()
    house.publish({"type": "listen", "state": "start", "session_id": "gone"})
    assert house.answer() == {"type": "goodbye", "session_id": "gone"}
    house.publish({"type": "abort"}, OTHER)
    assert house.answer() == {"type": "goodbye"}


def test_a_session_of_another_device_is_unknown(house: House) -> None:
    session = house.hello()["session_id"]
    house.publish({"type": "goodbye", "session_id": session}, OTHER)
    house.publish({"type": "abort", "session_id": session}, OTHER)
    assert house.answer() == {"type": "goodbye", "session_id": session}
    assert house.mqtt.published[-1][0] == DEVICE_SUB + OTHER
    assert len(house.registry) == 1
    assert house.conversations[0].events == []


def test_goodbye_ends_the_session_and_its_leg_and_is_not_answered(house: House) -> None:
    session = house.hello()["session_id"]
    count = len(house.mqtt.published)
    house.publish({"type": "goodbye", "session_id": session})
    house.publish({"type": "goodbye", "session_id": session})
    assert len(house.mqtt.published) == count
    assert len(house.registry) == 0
    assert house.udp._legs == {}


@pytest.mark.parametrize(
    "payload", [b"", b"null", b'{"type":"listen"}', b'{"type":7}', b"\xff", b"[" * 60_000, b'{"type":"x"}' + b" " * 70_000]
)
def test_what_cannot_be_understood_is_counted(house: House, payload: bytes) -> None:
    house.publish(payload)
    assert house.transport.malformed == 1
    assert house.mqtt.published == []


@pytest.mark.parametrize("topic", ["/p2p/device_public/", "/p2p/device_public/nobody", "/p2p/device_public/a/b", "elsewhere", ""])
def test_topics_that_are_no_device_s_are_counted(house: House, topic: str) -> None:
    house.transport.receive(topic, b"{}")
    assert house.transport.malformed == 1


@pytest.mark.parametrize("message", [{"type": "iot", "descriptors": []}, {"type": "brand new"}])
def test_messages_of_legacy_and_of_future_types_are_ignored(house: House, message: dict[str, Any]) -> None:
    house.publish(message)
    assert house.transport.malformed == 0
    assert house.mqtt.published == []


def test_complaints_about_one_device_are_few(house: House, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(500):
        house.publish(b"{")
    assert len(caplog.records) <= 5
    assert house.transport.malformed == 500


def test_a_key_that_is_used_up_ends_the_session_with_a_goodbye(house: House) -> None:
    session = house.registry.of_id(house.hello()["session_id"])
    assert session is not None
    leg = next(iter(house.udp._legs.values()))
    leg._downlink._sequence = leg._downlink._last_sequence
    assert session.channel.seal_audio([b"\x48a"]) == []
    assert house.answer() == {"type": "goodbye", "session_id": session.id}
    assert house.registry.ended["fault"] == 1
