"""Firmware: what OTA offers, and its download."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.devices.plan import Plan
from app.web.application import create_web
from tests.devices.images import image
from tests.web.fake_node import FakeNode, make_node

DEVICE = {"Device-Id": "aa:bb:cc:dd:ee:ff"}
CONTENT = image("1.2.0", size=200_000)
PATH = "/xiaozhi/firmware/bread/1.2.0.bin"


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    node = make_node(tmp_path)
    (tmp_path / "built.bin").write_bytes(CONTENT)
    node.firmware.add(tmp_path / "built.bin", "bread", Plan())
    return node


@pytest.fixture
def client(node: FakeNode) -> FlaskClient:
    return create_web(node).test_client()


def told(client: FlaskClient, version: str, **more: Any) -> Any:
    body = {"application": {"version": version}, "board": {"type": "bread"}}
    return client.post("/xiaozhi/ota/", headers={**DEVICE, **more}, json=body, base_url="http://192.168.1.5:8989").json[
        "firmware"
    ]


def test_ota_names_the_image_at_the_address_that_the_device_reached(client: FlaskClient) -> None:
    assert told(client, "1.0.0") == {"version": "1.2.0", "url": f"http://192.168.1.5:8989{PATH}"}


def test_behind_a_proxy_the_address_is_the_one_from_outside(client: FlaskClient) -> None:
    forwarded = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "voice.example.org"}
    assert told(client, "1.0.0", **forwarded)["url"] == f"https://voice.example.org{PATH}"


def test_with_nothing_newer_the_devices_own_version_is_echoed(client: FlaskClient) -> None:
    assert told(client, "1.2.0") == {"version": "1.2.0", "url": ""}


def test_a_forced_image_says_so(client: FlaskClient, node: FakeNode, tmp_path: Path) -> None:
    node.firmware.add(tmp_path / "built.bin", "bread", Plan(force=True))
    assert told(client, "2.0.0") == {"version": "1.2.0", "url": f"http://192.168.1.5:8989{PATH}", "force": 1}


def test_the_board_is_taken_from_the_user_agent_when_the_body_is_empty(client: FlaskClient) -> None:
    response = client.post("/xiaozhi/ota/", headers={**DEVICE, "User-Agent": "bread/1.0.0"})
    assert response.json["firmware"]["version"] == "1.2.0"


def test_a_download_has_its_length_and_its_bytes(client: FlaskClient) -> None:
    response = client.get(PATH)
    assert response.status_code == 200
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.mimetype == "application/octet-stream"
    assert response.data == CONTENT


def test_head_has_the_length_and_no_bytes(client: FlaskClient) -> None:
    response = client.head(PATH)
    assert response.status_code == 200
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.data == b""


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("0-0", 0, 1),
        ("100-199", 100, 200),
        ("65530-65550", 65530, 65551),
        ("150000-", 150_000, None),
        ("-16", -16, None),
        ("0-999999999", 0, None),
    ],
)
def test_a_range_is_answered_with_that_range(client: FlaskClient, asked: str, start: int, end: int | None) -> None:
    response = client.get(PATH, headers={"Range": f"bytes={asked}"})
    assert response.status_code == 206
    expected = CONTENT[start:end]
    assert response.data == expected
    assert response.headers["Content-Length"] == str(len(expected))
    first = CONTENT.index(expected) if start > 0 else start % len(CONTENT)
    assert response.headers["Content-Range"].startswith(f"bytes {first if start <= 0 else start}-")
    assert response.headers["Content-Range"].endswith(f"/{len(CONTENT)}")


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=200000000-200000001"])
def test_a_range_beyond_the_end_is_refused(client: FlaskClient, asked: str) -> None:
    response = client.get(PATH, headers={"Range": asked})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("asked", ["lines=1-2", "bytes=5-2", "bytes=a-b", "bytes=0-1,5-6", "nonsense"])
def test_a_range_that_is_not_understood_is_answered_with_everything(client: FlaskClient, asked: str) -> None:
    response = client.get(PATH, headers={"Range": asked})
    assert response.status_code == 200
    assert response.data == CONTENT


def test_what_a_device_has_already_is_not_sent_again(client: FlaskClient) -> None:
    etag = client.get(PATH).headers["ETag"]
    response = client.get(PATH, headers={"If-None-Match": etag})
    assert (response.status_code, response.data) == (304, b"")
    assert client.get(PATH, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_download_goes_on_only_with_the_same_image(client: FlaskClient) -> None:
    etag = client.get(PATH).headers["ETag"]
    assert client.get(PATH, headers={"Range": "bytes=5-9", "If-Range": etag}).status_code == 206
    assert client.get(PATH, headers={"Range": "bytes=5-9", "If-Range": '"other"'}).status_code == 200
    assert client.get(PATH, headers={"Range": "bytes=5-9", "If-Range": "Sat, 21 Nov 2026 11:00:00 GMT"}).status_code == 200


def test_another_image_under_the_same_name_has_another_etag(client: FlaskClient, node: FakeNode, tmp_path: Path) -> None:
    before = client.get(PATH).headers["ETag"]
    (tmp_path / "built.bin").write_bytes(image("1.2.0", project="other", size=200_000))
    node.firmware.add(tmp_path / "built.bin", "bread", Plan())
    assert client.get(PATH).headers["ETag"] != before


@pytest.mark.parametrize(
    "path",
    [
        "../secrets.json",
        "bread/../../secrets.json",
        "..%2Fsecrets.json",
        "bread%2F..%2F..%2Fsecrets.json",
        "bread/..%2f..%2fsecrets.bin",
        "bread/1.2.0.json",
        "bread/1.2.0.bin%00",
        "bread/%001.2.0.bin",
        "bread/1.2.0.bin/",
        "bread//1.2.0.bin",
        "/etc/passwd",
        "./bread/1.2.0.bin",
        "bread/1.3.0.bin",
        "other/1.2.0.bin",
        "bread",
    ],
)
def test_nothing_else_can_be_had(client: FlaskClient, path: str) -> None:
    response = client.get(f"/xiaozhi/firmware/{path}")
    assert response.status_code == 404, response.data[:100]
    assert list(response.json) == ["error"]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    path=st.lists(st.sampled_from(["..", ".", "bread", "1.2.0.bin", "/", "%2f", "%00", "%2e", "é", "secrets.json"]), max_size=8)
)
def test_no_path_leaves_the_folder(client: FlaskClient, path: list[str]) -> None:
    response = client.get("/xiaozhi/firmware/" + "".join(path))
    assert response.status_code == 404 or response.data == CONTENT


def test_descriptors_are_closed_however_a_download_ends(client: FlaskClient, tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")

    def count() -> int:
        return sum(os.path.realpath(entry).startswith(str(tmp_path / "firmware")) for entry in descriptors.iterdir())

    response = client.get(PATH, buffered=False)
    next(iter(response.response))
    response.close()
    client.get(PATH, headers={"Range": "bytes=999999-"})
    client.get(PATH, headers={"If-None-Match": client.head(PATH).headers["ETag"]})
    assert count() == 0
