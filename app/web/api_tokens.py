"""``/api/v1/tokens``: the tokens of machines. A token's text is in the answer that made it, and nowhere else.

A machine's token may not see, make or remove tokens: who finds one has what its machine has, and cannot make it last.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, json, request

from app.operators import MachineToken, Operators, TooManyTokens, fault_of_name
from app.protocol.malformed import Malformed
from app.settings import SettingsError
from app.voice.tts.pool import in_pool
from app.web import body
from app.web.errors import error_response, later_response
from app.web.guard import Guard, Kind
from app.web.node import Node

PATH = "/api/v1/tokens"
RETRY_SECONDS = 10


class TokensApi:
    """Files are changed in the thread pool."""

    def __init__(self, operators: Operators, guard: Guard) -> None:
        self._operators = operators
        self._guard = guard

    def refuse_machines(self) -> Response | None:
        """Before every route of this page."""
        if self._guard.visitor().kind is Kind.MACHINE:
            return error_response(
                403, "a machine's token cannot manage tokens: log in at the console, or use api_token of secrets.json"
            )
        return None

    def list_tokens(self) -> Response:
        """Every token, without its text."""
        return _json({"tokens": [_as_document(token) for token in self._operators.kept().tokens]})

    def add_token(self) -> Response:
        """A new one. Raises Malformed."""
        document = body.json_object(request)
        name = document.get("name")
        if document.keys() != {"name"} or not isinstance(name, str):
            raise Malformed('expected an object with the text "name", like {"name":"prometheus"}')
        fault = fault_of_name(name)
        if fault is not None:
            raise Malformed(fault)
        try:
            token, text = in_pool(self._operators.add_token, name)
        except TooManyTokens as full:
            return error_response(409, str(full))
        return _json(_as_document(token) | {"token": text}, 201)

    def remove_token(self, token_id: str) -> Response:
        """It lets nobody in any more."""
        if not in_pool(self._operators.remove_token, token_id):
            return error_response(404, "there is no token with this id")
        return Response(status=204)


def blueprint(node: Node, guard: Guard) -> Blueprint:
    """The routes."""
    routes = Blueprint("api_tokens", __name__, url_prefix=PATH)
    api = TokensApi(node.operators, guard)
    routes.before_request(api.refuse_machines)
    routes.register_error_handler(SettingsError, _unwritable)
    for rule, method, handler in (
        ("", "GET", api.list_tokens),
        ("", "POST", api.add_token),
        ("/<token_id>", "DELETE", api.remove_token),
    ):
        routes.add_url_rule(rule, handler.__name__, handler, methods=[method], provide_automatic_options=False)
    return routes


def _as_document(token: MachineToken) -> dict[str, Any]:
    created = datetime.fromtimestamp(token.created_at, UTC).isoformat(timespec="seconds")
    return {"id": token.token_id, "name": token.name, "created_at": created}


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(document), status, mimetype="application/json", headers={"Cache-Control": "no-store"})


def _unwritable(_fault: Exception) -> Response:
    return later_response(
        "operators.json in the state directory cannot be written now: look at the disk, then try again", RETRY_SECONDS
    )
