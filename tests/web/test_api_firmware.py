"""Firmware over the API: put on the shelf, planned, counted, taken off."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Response

from app.devices import firmware, image
from app.devices.models import Sighting
from app.devices.plan import MAX_NOTES, Plan
from app.web.application import create_web
from tests.devices.images import image as build
from tests.web.fake_node import FakeNode
from tests.web.openapi_document import check_answer

TOKEN = {"Authorization": "Bearer the-token"}
BINARY = {"Content-Type": "application/octet-stream"}
FIRMWARE = "/api/v1/firmware"
BREAD = f"{FIRMWARE}/bread"


def ask(node: FakeNode, method: str, path: str, **more: Any) -> Response:
    headers = TOKEN | more.pop("headers", {})
    response = create_web(node).test_client().open(path, method=method, headers=headers, **more)
    check_answer(response, method, path)
    return response


def put(node: FakeNode, content: bytes, query: str = "", board: str = "bread") -> Response:
    return ask(node, "PUT", f"{FIRMWARE}/{board}{query}", data=content, headers=BINARY)


def seen(node: FakeNode, number: int, version: str, board: str = "bread") -> None:
    at = node.device_store.now()
    node.device_store.remember(
        [Sighting(f"02:00:00:00:00:{number:02x}", "c", board, version, "esp32s3", "en", "G", "192.168.1.5", at)]
    )


def test_an_image_is_taken_in_under_the_version_of_its_header_and_offered(node: FakeNode) -> None:
    content = build("1.2.0", size=200_000)
    response = put(node, content, "?share=10&notes=louder%20music")
    assert response.status_code == 201
    assert response.json == {
        "board": "bread",
        "version": "1.2.0",
        "size": len(content),
        "share": 10,
        "force": False,
        "notes": "louder music",
        "path": "/xiaozhi/firmware/bread/1.2.0.bin",
        "project": "xiaozhi",
    }
    assert (node.folder / "firmware/bread/1.2.0.bin").read_bytes() == content
    assert [one.name for one in (node.folder / "firmware").iterdir()] == ["bread"], "nothing of its arrival is left"


def test_the_same_version_again_replaces_image_and_plan(node: FakeNode) -> None:
    put(node, build("1.2.0"), "?force=true")
    response = put(node, build("1.2.0", size=2048))
    assert (response.status_code, response.json["force"]) == (200, False)
    assert node.firmware.images()[0].size == response.json["size"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("?share=101", "0 to 100"),
        ("?share=half", "0 to 100"),
        ("?force=yes", "true or false"),
        ("?notes=%00", "notes"),
        (f"?notes={'x' * (MAX_NOTES + 1)}", "notes"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_before_the_image_is_read(node: FakeNode, query: str, sentence: str) -> None:
    response = put(node, build(), query)
    assert response.status_code == 400
    assert sentence in response.json["error"]
    assert node.firmware.images() == []


def test_what_is_no_image_is_refused_with_the_reason(node: FakeNode) -> None:
    response = put(node, b"PK\x03\x04" * 100)
    assert response.status_code == 400
    assert "no ESP-IDF image" in response.json["error"]
    assert list((node.folder / "firmware").iterdir()) == []


def test_a_board_that_could_leave_the_folder_is_refused(node: FakeNode) -> None:
    assert put(node, build(), board="..").status_code == 400


def test_a_form_is_not_taken_for_an_image(node: FakeNode) -> None:
    assert ask(node, "PUT", BREAD, data={"file": "image"}).status_code == 415


def test_more_bytes_than_a_device_can_hold_are_refused(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.api_firmware.MAX_BYTES", 1000)
    assert put(node, build()).status_code == 413
    assert list((node.folder / "firmware").glob("*")) == []


def test_an_image_that_breaks_off_on_its_way_leaves_nothing(node: FakeNode) -> None:
    response = ask(node, "PUT", BREAD, data=build(), headers=BINARY, environ_overrides={"CONTENT_LENGTH": "100000"})
    assert response.status_code == 400
    assert "ends early" in response.json["error"]
    assert list((node.folder / "firmware").glob("*")) == []


def test_more_images_at_a_time_than_are_taken_have_to_wait(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.api_firmware.MOST_UPLOADS", 0)
    assert put(node, build()).status_code == 503


def test_images_above_64_kib_pass_on_this_route_only(node: FakeNode) -> None:
    content = build("1.2.0", size=image.MAX_BYTES // 16)
    assert put(node, content).status_code == 201
    assert ask(node, "PATCH", f"{BREAD}/1.2.0", data=content).status_code == 413


def test_no_more_images_of_a_board_are_taken_than_there_is_room_for(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firmware, "MAX_VERSIONS", 2)
    monkeypatch.setattr(firmware, "MAX_BOARDS", 1)
    assert [put(node, build(version)).status_code for version in ("1.0", "1.1", "1.2", "1.1")] == [201, 201, 409, 200]
    assert put(node, build(), board="box").status_code == 409


def test_the_plan_is_changed_and_what_is_not_named_stays(node: FakeNode) -> None:
    put(node, build("1.2.0"), "?share=10&notes=louder")
    response = ask(node, "PATCH", f"{BREAD}/1.2.0", json={"share": 50})
    assert (response.json["share"], response.json["notes"]) == (50, "louder")
    assert node.firmware.images()[0].plan == Plan(share=50, notes="louder")


@pytest.mark.parametrize("change", [{}, {"share": 101}, {"share": True}, {"force": 1}, {"notes": "\ud800"}, {"size": 3}])
def test_a_change_that_cannot_be_is_refused(node: FakeNode, change: dict[str, Any]) -> None:
    put(node, build("1.2.0"))
    assert ask(node, "PATCH", f"{BREAD}/1.2.0", json=change).status_code == 400


def test_an_image_that_is_deleted_is_offered_no_more(node: FakeNode) -> None:
    put(node, build("1.2.0"))
    assert ask(node, "DELETE", f"{BREAD}/1.2.0").status_code == 204
    assert ask(node, "DELETE", f"{BREAD}/1.2.0").status_code == 404
    assert ask(node, "PATCH", f"{BREAD}/1.2.0", json={"share": 1}).status_code == 404
    assert ask(node, "GET", FIRMWARE).json["boards"] == []


def test_the_list_shows_how_far_each_roll_out_has_come(node: FakeNode) -> None:
    put(node, build("1.1.0"))
    for number, version in enumerate(("1.0.0", "1.0.0", "1.1.0")):
        seen(node, number, version)
    seen(node, 9, "1.0.0", board="box")
    answer = ask(node, "GET", FIRMWARE).json
    (bread,) = answer["boards"]
    assert (bread["board"], bread["known"], bread["recent"]) == ("bread", 3, 3)
    assert bread["versions"] == [{"version": "1.0.0", "devices": 2}, {"version": "1.1.0", "devices": 1}]
    assert bread["images"][0]["progress"] == {"in_share": 3, "arrived": 1, "waiting": 2, "running": 1, "others": 2}
    assert answer["without_images"] == [{"board": "box", "known": 1, "recent": 1}]


def test_the_boards_come_page_by_page(node: FakeNode) -> None:
    for board in ("box", "bread", "cube"):
        put(node, build(), board=board)
    first = ask(node, "GET", f"{FIRMWARE}?limit=2").json
    assert ([row["board"] for row in first["boards"]], first["next"]) == (["box", "bread"], "bread")
    second = ask(node, "GET", f"{FIRMWARE}?limit=2&after=bread").json
    assert ([row["board"] for row in second["boards"]], second["next"]) == (["cube"], None)
    assert ask(node, "GET", f"{FIRMWARE}?limit=201").status_code == 400
