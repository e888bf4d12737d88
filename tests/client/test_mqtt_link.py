from __future__ import annotations

from pathlib import Path

import pytest

from app.client.device import Device
from app.client.identity import Identity
from app.client.leg import LegFailed
from app.client.mqtt_settings import Endpoint, MqttSettings
from app.protocol.malformed import Malformed
from tests.client.scripted_server import Mosquitto
from tests.ports import free_port


@pytest.mark.parametrize(
    ("text", "host", "port", "tls"),
    [
        ("mqtt.example.com", "mqtt.example.com", 8883, True),
        ("mqtt.example.com:8883", "mqtt.example.com", 8883, True),
        ("192.168.1.5:2883", "192.168.1.5", 2883, False),
        ("[::1]:1883", "::1", 1883, False),
        ("[fe80::1]", "fe80::1", 8883, True),
    ],
)
def test_an_endpoint_without_a_port_means_tls_on_8883(text: str, host: str, port: int, tls: bool) -> None:
    endpoint = Endpoint.parse(text)
    assert (endpoint.host, endpoint.port, endpoint.tls) == (host, port, tls)


@pytest.mark.parametrize("text", ["", "host:", "host:0", "host:70000", "::1", "a b:1", "mqtt://host:1883", "[::1"])
def test_what_is_no_endpoint_is_malformed(text: str) -> None:
    with pytest.raises(Malformed, match="endpoint"):
        Endpoint.parse(text)


@pytest.mark.parametrize(("endpoint", "sentence"), [("::1", "check mqtt.endpoint"), ("127.0.0.1:{port}", "nothing listens on")])
def test_a_broker_that_is_not_there_names_the_mqtt_leg(endpoint: str, sentence: str) -> None:
    device = Device(Identity.fresh(), mqtt=MqttSettings(endpoint.format(port=free_port()), "client"))
    with pytest.raises(LegFailed, match=f"^mqtt: .*{sentence}"):
        device.connect(2)
    device.shutdown()
    device.shutdown()


def test_a_broker_that_refuses_the_credentials_says_what_to_compare(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, anonymous=False)
    device = Device(Identity.fresh(), mqtt=MqttSettings(f"127.0.0.1:{broker.port}", "client", "u", "secret"))
    try:
        with pytest.raises(LegFailed, match=r"refused this device.*signature key") as failed:
            device.connect(5)
    finally:
        device.shutdown()
        broker.stop()
    assert "secret" not in str(failed.value)
