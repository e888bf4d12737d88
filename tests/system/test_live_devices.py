"""What a running server knows of a device that talks, whose audio does not arrive, that is idle, that is on a WebSocket."""

from __future__ import annotations

import http.client
import json
from typing import Any

from app.client.device import Device
from tests.system.devices import SHORT, one_device
from tests.system.running_server import RunningServer, wait_for
from tests.talk.talker import one_talker

PATIENCE = 30.0


def ask(server: RunningServer, device: Device, what: str = "live") -> dict[str, Any]:
    token = json.loads((server.state_dir / "secrets.json").read_text())["api_token"]
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
    try:
        path = f"/api/v1/devices/{device.identity.mac}/{what}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    assert response.status == 200, body
    document: dict[str, Any] = json.loads(body)
    return document


def legs(document: dict[str, Any]) -> dict[str, str]:
    return {step["leg"]: step["code"] for step in document["way_in"]}


def leg(server: RunningServer, device: Device, name: str) -> dict[str, Any]:
    return next(step for step in ask(server, device)["way_in"] if step["leg"] == name)


def test_a_device_that_talks_is_seen_on_every_leg(server: RunningServer) -> None:
    with one_device(server) as device:
        device.hello()
        device.speak(SHORT)
        live = ask(server, device)
        assert legs(live) == {
            "ota": "ota_mqtt",
            "control": "mqtt_connected",
            "hello": "hello_answered",
            "audio_up": "audio_up",
            "audio_down": "audio_down",
        }
        session = live["session"]
        assert (session["id"], session["transport"], session["address"]) == (device.open.offer.session_id, "udp", "127.0.0.1")
        assert (session["packets"], session["sent"], session["loss"]) == (len(SHORT), len(SHORT), 0)
        assert session["jitter_ms"] is not None
        assert session["answer_ms"] > 0
        said = [(line["kind"], line["text"]) for line in ask(server, device, "conversation")["lines"]]
        assert said[:2] == [("event", "listen_start manual"), ("event", "listen_stop")]
    over = wait_for(lambda: (seen := ask(server, device))["session"] is None and seen, PATIENCE, "its session is over")
    assert legs(over)["audio_up"] == "no_session"


def test_its_quality_is_sampled_while_it_is_in_a_session(server: RunningServer) -> None:
    with one_device(server) as device:
        device.hello()
        device.speak(SHORT)

        def measured(name: str) -> list[float]:
            return [sample[name] for sample in ask(server, device)["vitals"] if sample[name] is not None]

        (answer,) = wait_for(lambda: measured("answer_ms"), PATIENCE, "its answer is in a sample")
        assert answer > 0
        assert set(measured("loss")) == {0}
        assert measured("jitter_ms")


def test_a_device_whose_udp_is_blocked_is_stuck_there(server: RunningServer) -> None:
    with one_device(server) as device:
        device.hello()
        device.start_listening("auto")  # and not one packet comes
        stuck = wait_for(
            lambda: (step := leg(server, device, "audio_up"))["state"] == "stuck" and step, PATIENCE, "the leg is stuck"
        )
        assert stuck["code"] == "udp_closed"
        assert stuck["values"]["host"] == "127.0.0.1"
        assert stuck["values"]["port"] == str(server.udp_port)
        assert leg(server, device, "audio_down")["code"] == "after_audio_up"


def test_an_idle_device_is_connected_until_it_goes(server: RunningServer) -> None:
    with one_device(server) as device:
        device.connect(patient=True)
        idle = wait_for(lambda: (seen := ask(server, device))["connected"] == "yes" and seen, PATIENCE, "it is connected")
        assert legs(idle)["hello"] == "idle"
    gone = wait_for(lambda: (seen := ask(server, device))["connected"] == "no" and seen, PATIENCE, "it is gone")
    assert legs(gone)["control"] == "mqtt_offline"


def test_a_device_that_only_asked_ota_is_expected(server: RunningServer) -> None:
    with one_device(server) as device:
        device.boot()
        assert leg(server, device, "control")["code"] == "mqtt_expected"
        assert leg(server, device, "control")["values"]["port"] == str(server.mqtt_port)


def test_a_device_on_a_websocket_is_seen_there(server: RunningServer) -> None:
    with one_talker(server, websocket=True) as device:
        device.speak(SHORT)
        live = ask(server, device)
        assert (live["over"], live["session"]["transport"]) == ("websocket", "websocket")
        assert legs(live)["control"] == "websocket_connected"
        assert (live["session"]["packets"], live["session"]["loss"]) == (len(SHORT), 0)
    wait_for(lambda: ask(server, device)["session"] is None, PATIENCE, "its session is over")
