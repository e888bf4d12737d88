"""Who may use the API for operators: whoever brings the bearer token. Wrong tokens and codes are counted by address."""

from __future__ import annotations

import hmac

from flask import Response, request

from app.web.caller import CallerReader
from app.web.errors import error_response
from app.web.node import Node
from app.web.wrong_tries import WrongTries


class Operators:
    """One for all routes of the API, so that wrong tries at one of them count at the others."""

    def __init__(self, node: Node) -> None:
        self._token = node.secrets.api_token.encode()
        self._callers = CallerReader(node.settings.websocket.trusted_proxies)
        self._wrong = WrongTries()

    def check(self) -> Response | None:
        """Refuses who brings no token or the wrong one."""
        address = self._callers.read(request.environ).address
        wait = self._wrong.wait(address)
        if wait:
            response = error_response(429, "too many wrong tries from this address: wait before the next")
            response.headers["Retry-After"] = str(wait)
            return response
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._token and hmac.compare_digest(token.strip().encode(), self._token):
            return None
        if token:
            self._wrong.add(address)
        response = error_response(401, "send the header Authorization: Bearer <api_token of secrets.json in the state directory>")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    def was_wrong(self) -> None:
        """The request guessed something else that was wrong."""
        self._wrong.add(self._callers.read(request.environ).address)
