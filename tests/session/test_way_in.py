"""Every place at which a device can be on its way in, and the sentence for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from string import Formatter

import pytest

from app.session.session import Session
from app.session.state import Event
from app.session.trails import Trails
from app.session.way_in import RECENT_SECONDS, Leg, Progress
from app.transport.hybrid import HybridChannel
from tests.session.live_house import LiveHouse
from tests.session.reachable_house import EPOCH, MAC, OTHER

SENTENCES = Path(__file__).resolve().parents[2] / "app" / "web" / "console" / "words" / "way_in.json"
ENDPOINT, URL = "192.168.1.5:2883", "ws://192.168.1.5:8989/xiaozhi/v1/"

Scene = Callable[[LiveHouse], None]


@pytest.fixture
def house(tmp_path: Path) -> LiveHouse:
    return LiveHouse(tmp_path)


def asked_ota(house: LiveHouse, endpoint: str = ENDPOINT) -> None:
    house.trails.asked_ota(MAC, endpoint=endpoint, websocket_url=URL)


def asked_ota_after_the_broker_spoke(house: LiveHouse, endpoint: str = ENDPOINT) -> None:
    house.status()
    asked_ota(house, endpoint)


def online(house: LiveHouse) -> None:
    asked_ota_after_the_broker_spoke(house)
    house.pass_time(1)
    house.lifecycle("online")


def in_session(house: LiveHouse) -> None:
    online(house)
    house.hello()


def listening(house: LiveHouse) -> None:
    in_session(house)
    house.publish({"type": "listen", "state": "start", "mode": "auto"})


def heard(house: LiveHouse) -> None:
    listening(house)
    house.hears(session_of(house), packets=3)


def on_websocket(house: LiveHouse) -> None:
    house.trails.asked_ota(MAC, websocket_url=URL)
    house.trails.websocket_opened(MAC)


def in_websocket_session(house: LiveHouse) -> None:
    on_websocket(house)
    house.websocket_session()
    house.listens(session_of(house))


def session_of(house: LiveHouse) -> Session:
    session = house.registry.of_device(MAC)
    assert session is not None
    return session


# One function a scene


def nothing(house: LiveHouse) -> None:
    pass


def not_seen_at_ota(house: LiveHouse) -> None:
    house.status()
    house.lifecycle("online")


def not_activated(house: LiveHouse) -> None:
    house.trails.asked_ota(MAC, is_pending=True)
    house.refusal = "This device is not activated."


def activated_since(house: LiveHouse) -> None:
    house.trails.asked_ota(MAC, is_pending=True)


def told_a_closed_port(house: LiveHouse) -> None:
    asked_ota_after_the_broker_spoke(house)
    house.pass_time(21)


def told_no_port(house: LiveHouse) -> None:
    asked_ota_after_the_broker_spoke(house, "voice.example.org")
    house.pass_time(21)


def with_a_foreign_key(house: LiveHouse) -> None:
    asked_ota_after_the_broker_spoke(house)
    house.pass_time(5)
    house.refusals = 3


def without_a_broker(house: LiveHouse) -> None:
    asked_ota(house)
    house.broker_is_ready = False


def behind_a_silent_broker(house: LiveHouse) -> None:
    asked_ota(house)
    house.pass_time(60)


def from_before_our_start(house: LiveHouse) -> None:
    house.publish({"type": "listen", "state": "stop"})  # its topic is known from then on
    house.connects += 1


def switched_off(house: LiveHouse) -> None:
    online(house)
    house.pass_time(60)
    house.lifecycle("offline")


def lost_in_session(house: LiveHouse) -> None:
    in_session(house)
    house.pass_time(1)
    house.lifecycle("offline")


def offered_websocket(house: LiveHouse) -> None:
    house.trails.asked_ota(MAC, websocket_url=URL)


def websocket_left(house: LiveHouse) -> None:
    on_websocket(house)
    house.pass_time(1)
    house.trails.websocket_closed(MAC, 1006)


def said_goodbye(house: LiveHouse) -> None:
    in_session(house)
    session_of(house).end(Event.GOODBYE)


def hello_nobody_takes(house: LiveHouse) -> None:
    in_session(house)
    house.pass_time(11)


def closed_udp(house: LiveHouse) -> None:
    listening(house)
    house.pass_time(4)


def wrong_key(house: LiveHouse) -> None:
    listening(house)
    next(iter(house.udp._legs.values())).implausible = 4


def wrong_frames(house: LiveHouse) -> None:
    on_websocket(house)
    channel = house.websocket_session()
    channel.implausible = 2


def microphone_off(house: LiveHouse) -> None:
    in_websocket_session(house)
    house.pass_time(4)


def went_quiet(house: LiveHouse) -> None:
    heard(house)
    house.conversations[-1].turn = "listening"
    house.pass_time(7)


def spoken_to(house: LiveHouse) -> None:
    heard(house)
    session_of(house).timings.asked(house.clock())


def slow_mind(house: LiveHouse) -> None:
    spoken_to(house)
    house.pass_time(12)


def answered(house: LiveHouse) -> None:
    spoken_to(house)
    house.pass_time(1)
    session = session_of(house)
    session.timings.speaks(house.clock())
    assert isinstance(session.channel, HybridChannel)
    session.channel.sent = 1


def came_by_websocket_though_offered_mqtt(house: LiveHouse) -> None:
    asked_ota_after_the_broker_spoke(house)
    house.pass_time(1)
    house.trails.websocket_opened(MAC)
    house.trails.websocket_closed(MAC, 1000)
    house.pass_time(60)


def over_after(scene: Scene) -> Scene:
    def after(house: LiveHouse) -> None:
        scene(house)
        house.pass_time(4)
        session_of(house).end(Event.IDLE)

    return after


def refused(result: str) -> Scene:
    def scene(house: LiveHouse) -> None:
        online(house)
        house.refusal = "This device is not activated." if result == "refused_inactive" else None
        house.trails.hello_refused(MAC, result, "a reason")

    return scene


DONE, WAITING, STUCK, NOT_YET = Progress.DONE, Progress.WAITING, Progress.STUCK, Progress.NOT_YET
SCENES: list[tuple[Scene, Leg, Progress, str]] = [
    (nothing, Leg.OTA, WAITING, "no_ota"),
    (not_seen_at_ota, Leg.OTA, NOT_YET, "ota_not_seen"),
    (online, Leg.OTA, DONE, "ota_mqtt"),
    (offered_websocket, Leg.OTA, DONE, "ota_websocket"),
    (not_activated, Leg.OTA, WAITING, "activation_pending"),
    (activated_since, Leg.OTA, WAITING, "activated"),
    (nothing, Leg.CONTROL, NOT_YET, "after_ota"),
    (not_activated, Leg.CONTROL, NOT_YET, "after_ota"),
    (online, Leg.CONTROL, DONE, "mqtt_connected"),
    (asked_ota_after_the_broker_spoke, Leg.CONTROL, WAITING, "mqtt_expected"),
    (told_a_closed_port, Leg.CONTROL, STUCK, "mqtt_never_came"),
    (told_no_port, Leg.CONTROL, STUCK, "mqtt_never_came_tls"),
    (with_a_foreign_key, Leg.CONTROL, STUCK, "mqtt_refused"),
    (without_a_broker, Leg.CONTROL, STUCK, "broker_not_ready"),
    (behind_a_silent_broker, Leg.CONTROL, WAITING, "mqtt_not_heard"),
    (from_before_our_start, Leg.CONTROL, WAITING, "mqtt_not_heard"),
    (switched_off, Leg.CONTROL, WAITING, "mqtt_offline"),
    (lost_in_session, Leg.CONTROL, WAITING, "mqtt_lost"),
    (on_websocket, Leg.CONTROL, DONE, "websocket_connected"),
    (in_websocket_session, Leg.CONTROL, DONE, "websocket_connected"),
    (offered_websocket, Leg.CONTROL, NOT_YET, "websocket_idle"),
    (websocket_left, Leg.CONTROL, NOT_YET, "websocket_closed"),
    (came_by_websocket_though_offered_mqtt, Leg.CONTROL, NOT_YET, "websocket_closed"),
    (nothing, Leg.HELLO, NOT_YET, "after_control"),
    (online, Leg.HELLO, NOT_YET, "idle"),
    (in_session, Leg.HELLO, DONE, "hello_answered"),
    (on_websocket, Leg.HELLO, WAITING, "hello_expected"),
    (said_goodbye, Leg.HELLO, NOT_YET, "session_over"),
    (refused("refused_full"), Leg.HELLO, STUCK, "hello_refused_full"),
    (refused("refused_rate"), Leg.HELLO, STUCK, "hello_refused_rate"),
    (refused("refused_malformed"), Leg.HELLO, STUCK, "hello_refused_malformed"),
    (refused("refused_transport"), Leg.HELLO, STUCK, "hello_refused_transport"),
    (refused("refused_inactive"), Leg.HELLO, STUCK, "hello_refused_inactive"),
    (refused("failed"), Leg.HELLO, STUCK, "hello_refused_by_fault"),
    (online, Leg.AUDIO_UP, NOT_YET, "no_session"),
    (in_session, Leg.AUDIO_UP, WAITING, "not_listening"),
    (hello_nobody_takes, Leg.AUDIO_UP, STUCK, "hello_not_taken"),
    (listening, Leg.AUDIO_UP, WAITING, "audio_expected"),
    (closed_udp, Leg.AUDIO_UP, STUCK, "udp_closed"),
    (wrong_key, Leg.AUDIO_UP, STUCK, "audio_garbled"),
    (wrong_frames, Leg.AUDIO_UP, STUCK, "frames_garbled"),
    (microphone_off, Leg.AUDIO_UP, STUCK, "no_frames"),
    (heard, Leg.AUDIO_UP, DONE, "audio_up"),
    (went_quiet, Leg.AUDIO_UP, WAITING, "audio_stopped"),
    (over_after(heard), Leg.AUDIO_UP, NOT_YET, "no_session"),
    (over_after(in_session), Leg.AUDIO_UP, NOT_YET, "no_session"),
    (over_after(listening), Leg.AUDIO_UP, STUCK, "last_udp_closed"),
    (over_after(wrong_key), Leg.AUDIO_UP, STUCK, "last_audio_garbled"),
    (over_after(in_websocket_session), Leg.AUDIO_UP, STUCK, "last_no_frames"),
    (over_after(wrong_frames), Leg.AUDIO_UP, STUCK, "last_frames_garbled"),
    (online, Leg.AUDIO_DOWN, NOT_YET, "no_session"),
    (listening, Leg.AUDIO_DOWN, NOT_YET, "after_audio_up"),
    (heard, Leg.AUDIO_DOWN, NOT_YET, "nothing_said_yet"),
    (spoken_to, Leg.AUDIO_DOWN, WAITING, "reply_expected"),
    (slow_mind, Leg.AUDIO_DOWN, STUCK, "no_reply_yet"),
    (answered, Leg.AUDIO_DOWN, DONE, "audio_down"),
]


@pytest.mark.parametrize(("scene", "leg", "state", "code"), SCENES, ids=[f"{leg.value}-{code}" for _, leg, _, code in SCENES])
def test_a_device_is_found_where_it_is(house: LiveHouse, scene: Scene, leg: Leg, state: Progress, code: str) -> None:
    scene(house)
    step = house.step(leg)
    assert (step.state, step.code) == (state, code)
    for language, text in json.loads(SENTENCES.read_text("utf-8"))[f"way_in.{code}"].items():
        assert text.format_map(step.values), language


def test_every_sentence_belongs_to_a_place_and_has_the_same_values_in_each_language() -> None:
    sentences = json.loads(SENTENCES.read_text("utf-8"))
    assert set(sentences) == {f"way_in.{code}" for _, _, _, code in SCENES}
    for key, by_language in sentences.items():
        places = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in by_language.values()]
        assert places[0] == places[1], key


def test_the_legs_come_in_their_order(house: LiveHouse) -> None:
    assert [step.leg for step in house.way_in.of(MAC)] == list(Leg)


def test_the_sentence_of_a_closed_port_names_it(house: LiveHouse) -> None:
    told_a_closed_port(house)
    assert house.step(Leg.CONTROL).values == {"host": "192.168.1.5", "port": "2883", "seconds": "21"}
    assert house.step(Leg.CONTROL).at == EPOCH


def test_without_a_port_it_is_that_of_mqtt_over_tls(house: LiveHouse) -> None:
    told_no_port(house)
    assert house.step(Leg.CONTROL).values["host"] == "voice.example.org"
    assert house.step(Leg.CONTROL).values["port"] == "8883"


@pytest.mark.parametrize(
    ("endpoint", "host", "port"),
    [("[fd00::1]:2883", "[fd00::1]", "2883"), ("[fd00::1]", "[fd00::1]", "8883"), ("fd00::1", "fd00::1", "8883")],
)
def test_an_ipv6_endpoint_is_read(house: LiveHouse, endpoint: str, host: str, port: str) -> None:
    asked_ota_after_the_broker_spoke(house, endpoint)
    values = house.step(Leg.CONTROL).values
    assert (values["host"], values["port"]) == (host, port)


def test_the_sentence_of_closed_udp_names_the_address_that_the_device_was_told(house: LiveHouse) -> None:
    closed_udp(house)
    assert house.step(Leg.AUDIO_UP).values == {"host": "192.168.1.5", "port": "8990", "seconds": "4"}


def test_times_are_those_of_people(house: LiveHouse) -> None:
    heard(house)
    hello, up = house.step(Leg.HELLO), house.step(Leg.AUDIO_UP)
    assert (hello.at, up.at) == (EPOCH + 1, EPOCH + 1.06)
    house.pass_time(100.123456)
    assert (house.step(Leg.HELLO).at, house.step(Leg.AUDIO_UP).at) == (hello.at, up.at)


def test_an_ota_request_after_the_device_went_offline_is_a_new_beginning(house: LiveHouse) -> None:
    switched_off(house)
    house.pass_time(10)
    asked_ota(house)
    assert house.told(Leg.CONTROL) == ("waiting", "mqtt_expected")


def test_a_refused_hello_is_forgotten_when_one_is_answered(house: LiveHouse) -> None:
    refused("refused_rate")(house)
    house.hello()
    assert house.told(Leg.HELLO) == ("done", "hello_answered")
    session_of(house).end(Event.GOODBYE)
    assert house.told(Leg.HELLO) == ("not_yet", "session_over")


def test_a_refusal_for_want_of_activation_is_over_with_the_activation(house: LiveHouse) -> None:
    refused("refused_inactive")(house)
    house.refusal = None
    assert house.told(Leg.HELLO) == ("not_yet", "idle")


def test_what_went_wrong_long_ago_keeps_nobody_up(house: LiveHouse) -> None:
    over_after(listening)(house)
    house.trails.hello_refused(MAC, "refused_full", "a reason")
    house.pass_time(RECENT_SECONDS + 1)
    assert house.told(Leg.AUDIO_UP) == ("not_yet", "no_session")
    assert house.told(Leg.HELLO) == ("not_yet", "hello_refused_full")


def test_a_session_of_a_moment_proves_nothing(house: LiveHouse) -> None:
    listening(house)
    house.pass_time(1)
    session_of(house).end(Event.GOODBYE)
    assert house.told(Leg.AUDIO_UP) == ("not_yet", "no_session")


def test_a_hello_that_a_transport_refuses_is_noted(house: LiveHouse) -> None:
    house.publish({"type": "hello", "transport": "websocket"})
    assert house.told(Leg.HELLO) == ("stuck", "hello_refused_transport")


def test_a_hello_that_cannot_be_read_is_noted_with_its_reason(house: LiveHouse) -> None:
    house.publish({"type": "hello", "audio_params": {"frame_duration": 7}})
    assert house.told(Leg.HELLO) == ("stuck", "hello_refused_malformed")
    assert "frame_duration" in house.step(Leg.HELLO).values["reason"]


def test_of_another_device_nothing_is_said(house: LiveHouse) -> None:
    heard(house)
    assert house.told(Leg.OTA, OTHER) == ("waiting", "no_ota")


def test_the_device_noted_least_recently_is_forgotten() -> None:
    trails = Trails(lambda: EPOCH, most=2)
    trails.asked_ota("one", endpoint=ENDPOINT)
    trails.asked_ota("two", endpoint=ENDPOINT)
    trails.hello_answered("one")
    trails.asked_ota("three", endpoint=ENDPOINT)
    assert len(trails) == 2
    assert [trails.of(name).asked_ota is None for name in ("one", "two", "three")] == [False, True, False]
