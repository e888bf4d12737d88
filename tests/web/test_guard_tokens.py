"""The tokens of machines over the API."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, Response

from app.operators import LONGEST_NAME, MAX_TOKENS
from app.web.application import create_web
from tests.web.fake_node import FakeNode
from tests.web.openapi_document import check_answer, document
from tests.web.person import Person
from tests.web.test_guard import with_a_page

PATH = "/api/v1/tokens"
TOKEN = "the-token"


@pytest.fixture
def app(node: FakeNode) -> Flask:
    return with_a_page(create_web(node))


def ask(app: Flask, method: str, path: str = PATH, body: Any = None, token: str = TOKEN) -> Response:
    """Held against the description of the API."""
    response = app.test_client().open(path, method=method, json=body, headers={"Authorization": f"Bearer {token}"})
    check_answer(response, method, path)
    return response


def test_a_tokens_text_is_in_the_answer_that_made_it_and_nowhere_else(app: Flask) -> None:
    made = ask(app, "POST", body={"name": "prometheus"})
    assert made.status_code == 201
    assert made.headers["Cache-Control"] == "no-store"
    text = made.json.pop("token")
    listed = ask(app, "GET")
    assert text not in listed.text
    assert listed.json == {"tokens": [{name: value for name, value in made.json.items() if name != "token"}]}


def test_a_token_works_until_it_is_removed(app: Flask) -> None:
    made = ask(app, "POST", body={"name": "prometheus"}).json
    header = {"Authorization": f"Bearer {made['token']}"}
    assert app.test_client().get("/api/v1/devices", headers=header).status_code == 200
    assert ask(app, "DELETE", f"{PATH}/{made['id']}").status_code == 204
    assert app.test_client().get("/api/v1/devices", headers=header).status_code == 401
    assert ask(app, "DELETE", f"{PATH}/{made['id']}").status_code == 404


def test_somebody_logged_in_manages_tokens_too(app: Flask) -> None:
    person = Person(app)
    person.log_in()
    header = {"X-CSRF-Token": person.csrf_token()}
    made = person.send("POST", PATH, {"name": "prometheus"}, **header)
    assert made.status_code == 201
    assert person.send("DELETE", f"{PATH}/{made.json['id']}", None, **header).status_code == 204


def test_a_machine_can_neither_see_nor_make_nor_remove_tokens(app: Flask, node: FakeNode) -> None:
    made = ask(app, "POST", body={"name": "prometheus"}).json
    for method, path, body in (("GET", PATH, None), ("POST", PATH, {"name": "more"}), ("DELETE", f"{PATH}/{made['id']}", None)):
        refusal = ask(app, method, path, body, token=made["token"])
        assert refusal.status_code == 403
        assert "machine" in refusal.json["error"]
    assert [token.name for token in node.operators.kept().tokens] == ["prometheus"]


@pytest.mark.parametrize(
    "body", [None, {}, [], "x", {"name": ""}, {"name": 7}, {"name": "a\n"}, {"name": "x" * 65}, {"name": "a", "more": 1}]
)
def test_what_names_no_token_is_refused(app: Flask, node: FakeNode, body: Any) -> None:
    assert ask(app, "POST", body=body).status_code == 400
    assert node.operators.kept().tokens == ()


def test_when_there_are_too_many_it_is_said(app: Flask, node: FakeNode, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(MAX_TOKENS):
        node.operators.add_token(f"machine {number}")
    assert "remove one" in ask(app, "POST", body={"name": "one more"}).json["error"]
    assert "Traceback" not in capfd.readouterr().err


def test_a_file_that_cannot_be_written_is_said(app: Flask, node: FakeNode) -> None:
    (node.folder / "operators.new").mkdir()
    refusal = ask(app, "POST", body={"name": "prometheus"})
    assert refusal.status_code == 503
    assert "operators.json" in refusal.json["error"]
    assert str(node.folder) not in refusal.text


def test_the_described_length_of_a_name_is_the_one_that_holds() -> None:
    assert document()["components"]["schemas"]["TokenName"]["maxLength"] == LONGEST_NAME
