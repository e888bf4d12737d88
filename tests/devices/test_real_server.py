"""The real server with activation, on a real PostgreSQL: the whole way in, out again, and through an outage."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.devices.images import image
from tests.devices.postgres import Postgres
from tests.system.running_server import TOP, RunningServer, wait_for

MAC, KNOWN, UNKNOWN = (f"02:00:00:00:00:{last}" for last in ("aa", "bb", "cc"))
HELLO = {"type": "hello", "version": 3, "transport": "udp", "audio_params": {"format": "opus", "sample_rate": 16000}}


@pytest.fixture(scope="module")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    environment = {"DATABASE_URL": postgres.new_url("postgres"), "XIAOZHI_AUTH__ENABLE": "true"}
    with RunningServer(tmp_path_factory.mktemp("activation"), environment=environment) as server:
        yield server


def ask(
    server: RunningServer, path: str, body: Any = None, method: str = "POST", **headers: str
) -> tuple[int, Mapping[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=10)
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Device-Id": MAC, **headers})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def ota(server: RunningServer, mac: str = MAC) -> Any:
    info = {"application": {"version": "1.0.0"}, "board": {"type": "bread"}}
    status, _, body = ask(server, "/xiaozhi/ota/", info, **{"Device-Id": mac})
    assert status == 200, body
    return json.loads(body)


def command(server: RunningServer, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "app", *arguments], cwd=TOP, env=server.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def says_hello(settings: Mapping[str, str]) -> dict[str, Any]:
    """What the server answers to a hello over MQTT with these settings of OTA."""
    answers: list[dict[str, Any]] = []
    client = Client(CallbackAPIVersion.VERSION2, settings["client_id"])
    client.username_pw_set(settings["username"], settings["password"])
    client.on_message = lambda _client, _data, message: answers.append(json.loads(message.payload))
    host, _, port = settings["endpoint"].partition(":")
    client.connect(host, int(port))
    client.loop_start()
    try:
        wait_for(client.is_connected)
        client.publish(settings["publish_topic"], json.dumps(HELLO))
        return wait_for(lambda: answers and answers[0], what="an answer to hello") or {}
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_device_is_activated_by_the_command_talks_and_is_refused_once_it_is_deactivated(server: RunningServer) -> None:
    activation = ota(server)["activation"]
    assert ask(server, "/xiaozhi/ota/activate", {})[0] == 202
    assert MAC in command(server, "devices", "activate", activation["code"])
    assert ask(server, "/xiaozhi/ota/activate", {})[0] == 200
    settings = ota(server)["mqtt"]
    assert says_hello(settings)["type"] == "hello"
    wait_for(lambda: "bread" in command(server, "devices", "list"), what="the device is written")
    command(server, "devices", "deactivate", MAC)
    refusal = wait_for(lambda: (answer := says_hello(settings))["type"] == "alert" and answer, what="the refusal")
    assert "not activated" in refusal["message"]
    assert "activation" in ota(server)
    assert server.metrics()['hellos_total{result="refused_inactive"}'] >= 1


def test_an_outage_of_the_database_is_ridden_out(server: RunningServer, postgres: Postgres) -> None:
    command(server, "devices", "activate", ota(server, KNOWN)["activation"]["code"])
    wait_for(lambda: "mqtt" in ota(server, KNOWN))
    postgres.stop()
    try:
        wait_for(lambda: server.get("/readyz")[0] == 503, what="the outage is noticed")
        assert "mqtt" in ota(server, KNOWN), "a known device is served from memory"
        status, headers, body = ask(server, "/xiaozhi/ota/", {}, **{"Device-Id": UNKNOWN})
        assert status == 503
        assert int(headers["Retry-After"]) > 0
        assert "error" in json.loads(body)
        assert server.metrics()["devices_database_up"] == 0
    finally:
        postgres.start()
    wait_for(lambda: server.get("/readyz")[0] == 200, 20, "the database is used again")
    assert server.metrics()["devices_database_up"] == 1
    assert "postgres@" not in server.log()


def test_firmware_is_added_offered_and_downloaded(server: RunningServer, tmp_path: Path) -> None:
    content = image("1.5.0", size=3_000_000)
    (tmp_path / "built.bin").write_bytes(content)
    command(server, "firmware", "add", str(tmp_path / "built.bin"), "--board", "bread")
    url = wait_for(lambda: ota(server)["firmware"]["url"], what="the image is offered")
    assert url == f"http://127.0.0.1:{server.http_port}/xiaozhi/firmware/bread/1.5.0.bin"
    path = "/xiaozhi/firmware/bread/1.5.0.bin"
    status, headers, body = ask(server, path, method="GET")
    assert (status, headers["Content-Length"], body == content) == (200, str(len(content)), True)
    assert "Transfer-Encoding" not in headers
    status, headers, body = ask(server, path, method="GET", Range="bytes=1000000-")
    assert (status, body == content[1_000_000:]) == (206, True)
    status, again, body = ask(server, path, method="HEAD")
    assert (status, again["Content-Length"], body) == (200, str(len(content)), b"")
    assert ask(server, path, method="GET", **{"If-None-Match": headers["ETag"]})[0] == 304
    for outside in ("../../secrets.json", "bread/..%2f..%2f..%2fsecrets.json", "%2e%2e/secrets.json"):
        status, _, body = ask(server, f"/xiaozhi/firmware/{outside}", method="GET")
        assert status == 404
        assert b"signature_key" not in body
