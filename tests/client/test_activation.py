"""The software device waits to be activated, at a scripted server."""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.client import activation, command
from app.client.activation import Patience, activate_url, proof
from app.client.device import Device
from app.client.event import Event
from app.client.identity import Identity
from app.client.leg import Leg, LegFailed
from app.client.mqtt_settings import MqttSettings
from app.protocol.malformed import Malformed
from tests.client.ota_peer import CHALLENGE, CODE, LET_IN, MQTT, TOLD, WAITS, Peer

OTHER_CODE = "738134"
SERIAL, KEY = "SN-0001", bytes(range(32))
SOON = Patience(seconds=5.0, interval=0.01)


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.close()


def waiting_device(url: str, patience: Patience = SOON, serial: bool = False, **how: Any) -> tuple[Device, list[Event]]:
    events: list[Event] = []
    fresh = Identity.fresh()
    identity = Identity(fresh.mac, fresh.uuid, serial=SERIAL, key=KEY) if serial else fresh
    return Device(identity, ota_url=url, on_event=events.append, patience=patience, **how), events


def refused(peer: Peer, patience: Patience = SOON) -> str:
    """The sentence with which a device gives up."""
    device, _ = waiting_device(peer.url, patience)
    with pytest.raises(LegFailed) as failure:
        device.boot(2.0)
    assert failure.value.leg is Leg.ACTIVATION
    sentence = failure.value.sentence
    assert CODE in sentence
    assert f"`python -m app devices activate {CODE}`" in sentence
    assert "\n" not in sentence
    return sentence


# At a scripted server


def test_a_device_shows_its_code_polls_and_takes_what_ota_says_then(peer: Peer) -> None:
    peer.answers["activate"] = [(202, {}), (202, {}), (200, {})]
    device, events = waiting_device(peer.url)
    assert isinstance(device.boot(), MqttSettings)
    assert [event.name for event in events] == ["activation", "activated", "ota"]
    assert dict(events[0].data) == {"code": CODE, "message": f"Activate\n{CODE}"}
    assert [body for _, _, body in peer.polls()] == [{}, {}, {}]
    assert {headers["Activation-Version"] for _, headers, _ in peer.requests} == {"1"}
    assert not any("Serial-Number" in headers for _, headers, _ in peer.requests)
    assert command._legs(device, None) == "ota activation mqtt hello"


def test_it_activates_first_where_ota_offers_a_transport_as_well(peer: Peer) -> None:
    peer.answers["ota"] = [(200, {"activation": TOLD, "mqtt": MQTT | {"endpoint": "early:1"}}), LET_IN]
    device, _ = waiting_device(peer.url)
    settings = device.boot()
    assert isinstance(settings, MqttSettings)
    assert settings.endpoint == "h:2883"
    assert len(peer.polls()) == 1


def test_a_device_with_a_serial_number_signs_the_challenge(peer: Peer) -> None:
    device, events = waiting_device(peer.url, serial=True)
    device.boot()
    for _, headers, _ in peer.requests:
        assert (headers["Activation-Version"], headers["Serial-Number"]) == ("2", SERIAL)
    signed = hmac.new(KEY, CHALLENGE.encode(), hashlib.sha256).hexdigest()
    expected = {"algorithm": "hmac-sha256", "serial_number": SERIAL, "challenge": CHALLENGE, "hmac": signed}
    assert peer.polls()[0][2] == expected
    assert "key" not in repr(device.identity)
    assert not any(secret in str(events) for secret in (signed, KEY.hex(), CHALLENGE))


def test_without_a_challenge_there_is_nothing_to_sign() -> None:
    fresh = Identity.fresh()
    assert proof(Identity(fresh.mac, fresh.uuid, serial=SERIAL, key=KEY), "") == {}


def test_an_answer_without_a_code_asks_for_no_activation(peer: Peer) -> None:
    peer.answers["ota"] = [(200, {"activation": {"message": "hello"}, "mqtt": MQTT})]
    device, events = waiting_device(peer.url)
    device.boot()
    assert [event.name for event in events] == ["ota"]
    assert not peer.polls()


@pytest.mark.parametrize(
    ("ota_url", "expected"),
    [
        ("http://h/xiaozhi/ota/", "http://h/xiaozhi/ota/activate"),
        ("http://h/xiaozhi/ota", "http://h/xiaozhi/ota/activate"),
        ("https://h:8989", "https://h:8989/activate"),
        ("http://h/ota/?room=1", "http://h/ota/activate?room=1"),
    ],
)
def test_the_address_of_the_poll_follows_from_that_of_ota(ota_url: str, expected: str) -> None:
    assert activate_url(ota_url) == expected


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (403, {"error": "the challenge is not signed."}, "answered 403 to .*: the challenge is not signed; put"),
        (500, b"<html>\noops</html>", "answered 500 to .*: <html> oops</html>; put"),
        (404, b"", "answered 404 to .*: an empty body; put"),
        (503, {"error": None}, "answered 503"),
    ],
)
def test_a_refusal_is_a_failed_leg_with_what_the_server_says(peer: Peer, status: int, body: Any, sentence: str) -> None:
    peer.answers["activate"] = [(202, {}), (status, body)]
    with pytest.raises(LegFailed, match=f"^activation: .*{sentence}"):
        waiting_device(peer.url)[0].boot()
    peer.answers |= {"ota": [WAITS], "activate": [(status, body)]}
    refused(peer)


def test_a_code_that_nobody_enters_is_a_failed_leg(peer: Peer) -> None:
    peer.answers |= {"ota": [WAITS], "activate": [(202, {})]}
    assert refused(peer, Patience(0.1, 0.02)).startswith(f"nobody has entered the code {CODE} within 0.1 s")
    assert len(peer.polls()) > 1


def test_an_activated_device_that_ota_does_not_let_in_says_so(peer: Peer) -> None:
    peer.answers["ota"] = [WAITS]
    assert "do both lead to the same server?" in refused(peer, Patience(0.1, 0.02))


def test_a_poll_takes_no_longer_than_ota_says(peer: Peer) -> None:
    peer.answers["ota"] = [(200, {"activation": TOLD | {"timeout_ms": 100}})]
    peer.answers_polls.clear()
    assert "did not answer within 0.1 s" in refused(peer)


def test_a_code_that_runs_out_is_followed_by_the_next_one(peer: Peer) -> None:
    renewed = (200, {"activation": TOLD | {"code": OTHER_CODE}})
    peer.answers |= {"ota": [WAITS, renewed, LET_IN], "activate": [(202, {})] * (activation.POLLS + 1) + [(200, {})]}
    device, events = waiting_device(peer.url)
    device.boot()
    assert [event.data["code"] for event in events if event.name == "activation"] == [CODE, OTHER_CODE]


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"code": 738133}, r"activation\.code"),
        ({"code": "1" * 65}, r"activation\.code"),
        ({"code": CODE, "timeout_ms": "soon"}, r"activation\.timeout_ms"),
        ("738133", "activation"),
    ],
)
def test_an_activation_that_cannot_be_read_fails_the_leg_ota(peer: Peer, told: Any, sentence: str) -> None:
    peer.answers["ota"] = [(200, {"activation": told})]
    with pytest.raises(LegFailed, match=f"^ota: .*did not answer as OTA does: {sentence}"):
        waiting_device(peer.url)[0].boot()


def test_what_the_poll_answers_is_not_read_but_ota_is(peer: Peer) -> None:
    peer.answers |= {"ota": [WAITS, (200, b"<html>")], "activate": [(200, b"no json")]}
    with pytest.raises(LegFailed, match=r"^ota: .*did not answer as OTA does"):
        waiting_device(peer.url)[0].boot()


# The command line


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args(arguments))


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command_shows_the_code_and_says_in_one_line_that_nobody_entered_it(
    peer: Peer, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    peer.answers |= {"ota": [WAITS], "activate": [(202, {})]}
    arguments = ["--ota", peer.url, "--activation-timeout", "0.1", *(["--json"] if as_json else [])]
    assert run(*arguments) == command.FAILED
    out, err = capsys.readouterr()
    first, last = out.splitlines()[0], out.splitlines()[-1]
    if as_json:
        assert json.loads(first)["code"] == CODE
        assert json.loads(last)["leg"] == "activation"
    else:
        assert f"activation       code={CODE}" in first
    assert err.startswith(f"activation: nobody has entered the code {CODE} within 0.1 s")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--serial-number", SERIAL), "belong together"),
        (("--serial-key", "00" * 8), "belong together"),
        (("--serial-number", SERIAL, "--serial-key", "5ecret"), "16 to 128 hex digits"),
        (("--serial-number", SERIAL, "--serial-key", "0011"), "16 to 128 hex digits"),
        (("--serial-number", "S N", "--serial-key", "00" * 8), "a serial number has"),
    ],
)
def test_a_serial_number_that_cannot_be_used_is_said_before_anything_is_tried(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--ota", "http://127.0.0.1:1/", *arguments) == command.UNUSABLE
    out, err = capsys.readouterr()
    assert sentence in err
    assert "5ecret" not in err
    assert not out


def test_a_serial_number_and_its_key_belong_together() -> None:
    fresh = Identity.fresh()
    with pytest.raises(Malformed, match="belong together"):
        Identity(fresh.mac, fresh.uuid, serial=SERIAL)
