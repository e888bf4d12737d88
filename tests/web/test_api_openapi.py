"""The description of the API against the routes that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response

from app.devices import plan
from app.devices.models import Sighting
from app.web import api_devices, api_reach, openapi
from app.web.application import create_web
from tests.web.fake_node import FakeNode, make_node
from tests.web.openapi_document import check_answer, document, misfits, operation_of, resolve

MAC = "aa:bb:cc:dd:ee:ff"
DEVICE = f"/api/v1/devices/{MAC}"
METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    return create_web(make_node(tmp_path))


@pytest.fixture
def remembering(tmp_path: Path) -> Iterator[FakeNode]:
    """A node that has seen one device."""
    node = make_node(tmp_path)
    node.secrets = replace(node.secrets, api_token="the-token")
    node.database.migrate()
    node.device_store.remember([Sighting(MAC, "uuid", "bread", "1.0", "esp32s3", "en", "GID", "192.168.1.5", 1_800_000_000_000)])
    yield node
    node.database.close()


def described() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (path, method): operation
        for path, item in document()["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def objects(node: Any) -> list[dict[str, Any]]:
    """Every object within."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return ([node] if isinstance(node, dict) else []) + [found for child in inner for found in objects(child)]


def test_it_is_served_to_the_operator_alone(remembering: FakeNode) -> None:
    assert create_web(remembering).test_client().get("/api/v1/openapi.json").status_code == 401
    response = _ask(remembering, "GET", "/api/v1/openapi.json", None)
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    assert response.json == document()


def test_every_route_and_method_is_described_and_nothing_else(app: Flask) -> None:
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/v1")
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert set(described()) == routes


def test_parameters_of_a_path_are_those_in_its_braces() -> None:
    for path, item in document()["paths"].items():
        named = {resolve(one)["name"] for one in item.get("parameters", ()) if resolve(one)["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), path


def test_every_operation_needs_a_token_and_says_so(app: Flask) -> None:
    client = app.test_client()
    for (path, method), operation in described().items():
        response = client.open(re.sub(r"{\w+}", "1", path), method=method)
        assert response.status_code == 401, path
        assert {"401", "429"} <= operation["responses"].keys(), path
        assert "security" not in operation, path


def test_names_are_given_once_and_references_lead_somewhere() -> None:
    names = [operation["operationId"] for operation in described().values()]
    assert len(set(names)) == len(names)
    for node in objects(document()):
        if "$ref" in node:
            assert resolve(node)


def test_examples_fit_their_schemas() -> None:
    examples = [node for node in objects(document()) if "example" in node]
    assert len(examples) >= 4
    for node in examples:
        assert misfits(node["example"], node["schema"]) == []


def test_the_limits_that_it_names_are_those_that_hold() -> None:
    schemas = document()["components"]["schemas"]
    assert schemas["Text"]["maxLength"] == api_reach.MAX_TEXT
    alert = _body("POST", f"{DEVICE}/alert")["properties"]
    assert (alert["status"]["maxLength"], alert["emotion"]["maxLength"]) == (api_reach.MAX_STATUS, api_reach.MAX_EMOTION)
    call = _body("POST", f"{DEVICE}/tools/call")["properties"]
    assert call["name"]["maxLength"] == api_reach.MAX_TOOL_NAME
    assert call["timeout_seconds"]["maximum"] == api_reach.LONGEST_TOOL_SECONDS
    assert call["timeout_seconds"]["default"] == api_reach.TOOL_SECONDS
    assert _body("PATCH", DEVICE)["properties"]["prompt"]["maxLength"] == api_devices.MAX_PROMPT
    limit, _, wanted, _ = operation_of("GET", "/api/v1/devices")["parameters"]
    assert (limit["schema"]["maximum"], wanted["schema"]["maxLength"]) == (api_devices.MAX_PAGE, api_devices.MAX_QUESTION)
    assert document()["components"]["schemas"]["Notes"]["maxLength"] == plan.MAX_NOTES


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/v1/devices", None, 200),
        ("GET", "/api/v1/devices?limit=1", None, 200),
        ("GET", "/api/v1/devices?limit=0", None, 400),
        ("GET", DEVICE, None, 200),
        ("GET", "/api/v1/devices/02:00:00:00:00:01", None, 404),
        ("GET", "/api/v1/devices/kitchen", None, 400),
        ("PATCH", DEVICE, {"name": "kitchen", "transport": "udp", "active": True, "prompt": "You are a pirate."}, 200),
        ("PATCH", DEVICE, {"voice": "en-gb+f3"}, 200),
        ("PATCH", DEVICE, {"voice": "x" * 65}, 400),
        ("PATCH", DEVICE, {"colour": "red"}, 400),
        ("PATCH", "/api/v1/devices/02:00:00:00:00:01", {"name": "kitchen"}, 404),
        ("GET", "/api/v1/devices?q=bre&active=false", None, 200),
        ("GET", "/api/v1/devices?active=perhaps", None, 400),
        ("DELETE", f"{DEVICE}/history", None, 204),
        ("DELETE", DEVICE, None, 204),
        ("DELETE", "/api/v1/devices/02:00:00:00:00:01", None, 404),
        ("DELETE", "/api/v1/devices/02:00:00:00:00:01/history", None, 404),
        ("POST", "/api/v1/activations", {"code": "000000"}, 404),
        ("POST", "/api/v1/activations", {"code": "soon"}, 400),
        ("PUT", "/api/v1/serials/SN-1", {"key": "00112233445566778899aabbccddeeff"}, 200),
        ("PUT", "/api/v1/serials/SN-1", {"key": "short"}, 400),
    ],
)
def test_what_the_routes_of_devices_answer_fits(
    remembering: FakeNode, method: str, path: str, body: dict[str, Any] | None, status: int
) -> None:
    response = _ask(remembering, method, path, body)
    assert response.status_code == status, response.text
    check_answer(response, method, path)
    if body is not None and status == 200:
        assert misfits(body, _body(method, path)) == []


def test_an_activation_that_succeeds_fits(remembering: FakeNode) -> None:
    code = remembering.activations.begin(MAC, "").code
    response = _ask(remembering, "POST", "/api/v1/activations", {"code": code})
    assert response.json == {"device_id": MAC, "active": True}
    check_answer(response, "POST", "/api/v1/activations")


def _ask(node: FakeNode, method: str, path: str, body: dict[str, Any] | None) -> Response:
    client = create_web(node).test_client()
    return client.open(path, method=method, json=body, headers={"Authorization": "Bearer the-token"})


def _body(method: str, path: str) -> dict[str, Any]:
    """The schema of what is sent there."""
    schema: dict[str, Any] = operation_of(method, path)["requestBody"]["content"]["application/json"]["schema"]
    return schema


def test_it_is_valid_openapi() -> None:
    validator = pytest.importorskip("openapi_spec_validator", reason="not among the development requirements")
    validator.validate(json.loads(json.dumps(document())))


def test_what_two_files_describe_is_refused(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / f"{name}.json").write_text('{"paths": {"/api/v1/same": {}}}')
    with pytest.raises(ValueError, match=r"other\.json: /api/v1/same is described already"):
        openapi.load(tmp_path)


def test_what_one_file_describes_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text('{"paths": {"/api/v1/same": {}, "/api/v1/same": {}}}')
    with pytest.raises(ValueError, match="stands twice"):
        openapi.load(tmp_path)


def test_every_operation_stands_in_the_page_for_people() -> None:
    page = (Path(__file__).parents[2] / "docs/api.md").read_text("utf-8")
    for path, method in described():
        written = re.sub(r"{(\w+)}", lambda name: name[1].removeprefix("device_").upper(), path)
        assert re.search(rf"`{method.upper()} {re.escape(written)}(?![\w/])", page), f"{method.upper()} {written}"
