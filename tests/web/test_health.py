"""Health and readiness."""

from __future__ import annotations

from pathlib import Path

from app.web.application import create_web
from tests.web.fake_node import FakePart, make_node


def test_a_process_that_serves_is_healthy_whatever_its_parts_are(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    node.ready = [FakePart("udp", "port 8990 is taken")]
    response = create_web(node).test_client().get("/healthz")
    assert (response.status_code, response.json) == (200, {"status": "ok"})


def test_all_parts_ready_is_ready(tmp_path: Path) -> None:
    response = create_web(make_node(tmp_path)).test_client().get("/readyz")
    good = {"ready": True, "reason": ""}
    assert response.status_code == 200
    assert response.json == {"ready": True, "parts": {"broker": good, "mqtt": good, "udp": good}}


def test_one_part_not_ready_is_503_with_its_reason(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    node.ready = [FakePart("broker"), FakePart("mqtt", "no connection to the broker yet")]
    response = create_web(node).test_client().get("/readyz")
    assert response.status_code == 503
    assert response.json["ready"] is False
    assert response.json["parts"]["broker"] == {"ready": True, "reason": ""}
    assert response.json["parts"]["mqtt"] == {"ready": False, "reason": "no connection to the broker yet"}


def test_a_part_that_fails_to_say_is_a_json_error_and_no_traceback(tmp_path: Path) -> None:
    class Broken(FakePart):
        def readiness(self) -> str | None:
            raise RuntimeError("sensitive detail")

    node = make_node(tmp_path)
    node.ready = [Broken("udp")]
    response = create_web(node).test_client().get("/readyz")
    assert response.status_code == 500
    assert list(response.json) == ["error"]
    assert "sensitive" not in response.text
