"""A device's picture: who may send one, what it has to be, and what is answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gevent
import pytest
from flask.testing import FlaskClient
from gevent.event import Event
from werkzeug.test import TestResponse

from app.client.camera import PICTURE
from app.devices.reached import ReachedAddresses
from app.journal import Journal
from app.protocol import tokens
from app.protocol.tokens import Purpose
from app.settings import Settings
from app.voice.provider import ProviderFault
from app.web import vision
from app.web.application import create_web
from app.web.vision_offer import TOKEN_SECONDS, VisionOffer
from tests.web.fake_node import KEY, FakeNode, make_node

MAC = "aa:bb:cc:dd:ee:ff"
FAR = 1 << 40
BOUNDARY = "----ESP32_CAMERA_BOUNDARY"


class Eye:
    """A model that sees what a test says."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, str]] = []
        self.fault: ProviderFault | None = None

    def __call__(self, jpeg: bytes, question: str) -> str:
        self.asked.append((jpeg, question))
        if self.fault is not None:
            raise self.fault
        return "a red cup"


@pytest.fixture
def eye() -> Eye:
    return Eye()


@pytest.fixture
def node(tmp_path: Path, eye: Eye) -> FakeNode:
    made = make_node(tmp_path)
    made.vision = eye
    return made


@pytest.fixture
def client(node: FakeNode) -> FlaskClient:
    return create_web(node).test_client()


def form(picture: bytes = PICTURE, question: str = "what is it?", name: str = "file") -> bytes:
    """The body as firmware writes it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="question"\r\n\r\n{question}\r\n',
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="camera.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n",
    ]
    return "".join(parts).encode() + picture + f"\r\n--{BOUNDARY}--\r\n".encode()


def send(client: FlaskClient, body: bytes | None = None, mac: str = MAC, **headers: str) -> TestResponse:
    sent = {
        "Device-Id": mac,
        "Client-Id": "5d7c1b0a-5c0e-4f0d-9a68-8c1cf0c1a001",
        "Authorization": f"Bearer {tokens.issue(KEY, mac, FAR, Purpose.VISION)}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/xiaozhi/vision", data=form() if body is None else body, headers=sent)


def refusal(response: TestResponse) -> tuple[int, str]:
    assert response.json is not None
    assert response.json["success"] is False
    return response.status_code, response.json["message"]


def test_the_model_is_asked_and_its_answer_comes_back(client: FlaskClient, eye: Eye) -> None:
    response = send(client, form(question=" 这是什么? "))
    assert (response.status_code, response.json) == (200, {"success": True, "response": "a red cup"})
    assert eye.asked == [(PICTURE, "这是什么?")]


def test_a_device_may_ask_nothing(client: FlaskClient, eye: Eye) -> None:
    send(client, form(question=""))
    assert eye.asked == [(PICTURE, "")]


def test_a_failing_model_is_said_in_a_200_because_devices_read_no_other(client: FlaskClient, eye: Eye) -> None:
    eye.fault = ProviderFault("voice.vision: the server did not answer in time: try again later.")
    assert refusal(send(client)) == (200, str(eye.fault))


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("", "a token is needed"),
        (f"Bearer {tokens.issue(KEY, MAC, FAR)}", "not signed"),
        (f"Bearer {tokens.issue(KEY, 'aa:bb:cc:dd:ee:00', FAR, Purpose.VISION)}", "another device"),
        (f"Bearer {tokens.issue(KEY, MAC, 1, Purpose.VISION)}", "expired"),
    ],
)
def test_only_the_token_of_this_device_for_this_purpose_lets_it_in(
    client: FlaskClient, eye: Eye, token: str, sentence: str
) -> None:
    status, message = refusal(send(client, Authorization=token))
    assert status == 401
    assert sentence in message
    assert not eye.asked


@pytest.mark.parametrize("picture", [b"\x89PNG\r\n\x1a\n...", b"RIFF\x00\x00\x00\x00WEBPVP8 "])
def test_png_and_webp_are_pictures_too(client: FlaskClient, picture: bytes) -> None:
    assert send(client, form(picture)).status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (form(b"GIF89a"), {}, 415),
        (form(b""), {}, 415),
        (form(), {"Content_Type": "image/jpeg"}, 415),
        (form(), {"Content_Type": "multipart/form-data"}, 415),
        (form(), {"Content_Type": "multipart/form-data; boundary=another"}, 400),
        (form(name="picture"), {}, 400),
        (form()[:-60], {}, 400),
        (form(question="x" * (300 << 10)), {}, 400),
        (b"", {}, 400),
        (form(), {"Device_Id": "nobody"}, 400),
        (form(PICTURE + bytes(2 << 20)), {}, 413),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(
    client: FlaskClient, eye: Eye, body: bytes, headers: dict[str, str], status: int
) -> None:
    answered, message = refusal(send(client, body, **headers))
    assert (answered, bool(message)) == (status, True)
    assert not eye.asked


def test_a_picture_as_large_as_allowed_arrives_whole(client: FlaskClient, eye: Eye) -> None:
    picture = PICTURE + b"\r\n--" * ((vision.MAX_BYTES - len(form())) // 4)
    assert send(client, form(picture)).status_code == 200
    assert eye.asked[0][0] == picture


def test_a_device_sends_so_many_and_another_still_may(client: FlaskClient) -> None:
    assert [send(client).status_code for _ in range(vision.BURST + 1)] == [200] * vision.BURST + [429]
    assert send(client, mac="aa:bb:cc:dd:ee:00").status_code == 200


def test_so_many_pictures_are_looked_at_at_once(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "MAX_AT_ONCE", 1)
    begun, go_on = Event(), Event()

    def slow(jpeg: bytes, question: str) -> str:
        begun.set()
        go_on.wait(10)
        return "at last"

    node.vision = slow
    app = create_web(node)
    first = gevent.spawn(send, app.test_client())
    assert begun.wait(10)
    status, _ = refusal(send(app.test_client()))
    assert status == 503
    go_on.set()
    assert first.get(timeout=10).json["response"] == "at last"
    assert send(app.test_client()).status_code == 200


def test_without_a_model_the_address_says_so(client: FlaskClient, node: FakeNode) -> None:
    node.vision = None
    status, message = refusal(send(client))
    assert status == 404
    assert "voice.vision.enable" in message
    assert "no model" in client.get("/xiaozhi/vision").text


def test_a_browser_is_told_what_this_is(client: FlaskClient) -> None:
    for path in ("/xiaozhi/vision", "/xiaozhi/vision/"):
        response = client.get(path)
        assert (response.status_code, response.mimetype) == (200, "text/plain")


# What initialize tells the device


def offer(folder: Path, **settings: Any) -> tuple[VisionOffer, ReachedAddresses]:
    reached = ReachedAddresses(Journal(folder / "reached.jsonl", 10))
    return VisionOffer(Settings(voice={"vision": settings}), KEY, reached, clock=lambda: 1000.0), reached


def test_a_device_is_told_the_address_at_which_its_ota_request_came(node: FakeNode, client: FlaskClient) -> None:
    offered = VisionOffer(node.settings, KEY, node.reached, clock=lambda: 1000.0)
    headers = {"Device-Id": MAC, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "voice.example.org"}
    client.post("/xiaozhi/ota/", headers=headers)
    told = offered.for_device(MAC)
    assert told is not None
    assert told.url == "https://voice.example.org/xiaozhi/vision"
    tokens.check(KEY, told.token, MAC, 1000.0 + TOKEN_SECONDS - 1, Purpose.VISION)
    client.post("/xiaozhi/ota/", headers={"Device-Id": MAC}, base_url="http://[fd00::5]:8989")
    told = offered.for_device(MAC)
    assert told is not None
    assert told.url == "http://[fd00::5]:8989/xiaozhi/vision"


def test_a_written_address_wins(tmp_path: Path) -> None:
    offered, reached = offer(tmp_path, url="https://pictures.example.org/v")
    reached.web(MAC, "http://192.168.1.5:8989")
    told = offered.for_device(MAC)
    assert told is not None
    assert told.url == "https://pictures.example.org/v"


def test_a_device_that_never_asked_ota_is_told_where_its_mqtt_came_in(tmp_path: Path) -> None:
    offered, reached = offer(tmp_path)
    assert offered.for_device(MAC) is None
    reached.mqtt(MAC, "192.168.1.5")
    told = offered.for_device(MAC)
    assert told is not None
    assert told.url == "http://192.168.1.5:8989/xiaozhi/vision"
