"""Logging in and out: one password, a form that works without a script."""

from __future__ import annotations

import re
import secrets
from urllib.parse import parse_qs

from flask import Blueprint, Response, request

from app.protocol.malformed import Malformed
from app.web import body, forgery
from app.web.console.rendering import Pages
from app.web.guard import LOGIN_PATH, LOGOUT_PATH, Guard, local_path, see_other
from app.web.password_check import Tried, Verdict

MAX_BYTES = 8 * 1024
"""Of the form."""
FORM_SECONDS = 3600
"""How long an opened form may lie around."""
_NONCE = re.compile(r"[A-Za-z0-9_-]{22}")
_ANSWERS = {Verdict.WRONG: (403, "login.wrong"), Verdict.WAIT: (429, "login.wait"), Verdict.BUSY: (503, "login.busy")}


class LoginPage:
    """The form is protected too, lest another site log somebody in where he does not mean to be: by a token of which one half is
    in a cookie."""

    def __init__(self, guard: Guard, pages: Pages) -> None:
        self._guard = guard
        self._pages = pages

    def page(self) -> Response:
        """The form; who is logged in is led on."""
        if self._guard.is_operator():
            return see_other(_next())
        return self._form(200)

    def enter(self) -> Response:
        """Tries the password. Raises Malformed, or aborts with 408 or 413."""
        fields = _fields()
        caller = self._guard.caller()
        token = self._guard.logins.form_token(request.cookies.get(self._cookie, ""))
        given = fields.get(forgery.FIELD, "")
        if forgery.is_foreign(request, caller) or not secrets.compare_digest(given.encode(), token.encode()):
            return self._form(403, "login.stale")
        tried = self._guard.passwords.check(fields.get("password", ""), caller.address)
        if tried.verdict is not Verdict.RIGHT:
            return self._refusal(tried)
        response = see_other(_next())
        self._guard.log_in(response, tried.epoch)
        return response

    def leave(self) -> Response:
        """Ends the login."""
        response = see_other(LOGIN_PATH)
        self._guard.log_out(response)
        return response

    @property
    def _cookie(self) -> str:
        return self._guard.logins.cookie_name(self._guard.caller().secure, "form")

    def _refusal(self, tried: Tried) -> Response:
        status, key = _ANSWERS[tried.verdict]
        response = self._form(status, key, tried.retry_seconds)
        if tried.retry_seconds:
            response.headers["Retry-After"] = str(tried.retry_seconds)
        return response

    def _form(self, status: int, fault: str = "", seconds: int = 0) -> Response:
        nonce = request.cookies.get(self._cookie, "")
        if not _NONCE.fullmatch(nonce):
            nonce = secrets.token_urlsafe(16)
        response = self._pages.render(
            "login.html", status, fault=fault, seconds=seconds, next=_next(), form_token=self._guard.logins.form_token(nonce)
        )
        secure = self._guard.caller().secure
        response.set_cookie(self._cookie, nonce, max_age=FORM_SECONDS, secure=secure, httponly=True, samesite="Strict")
        return response


def blueprint(guard: Guard, pages: Pages) -> Blueprint:
    """The routes."""
    routes = Blueprint("login", __name__)
    page = LoginPage(guard, pages)
    for rule, method, view in (
        (LOGIN_PATH, "GET", page.page),
        (LOGIN_PATH, "POST", page.enter),
        (LOGOUT_PATH, "POST", page.leave),
    ):
        routes.add_url_rule(rule, view.__name__, view, methods=[method], provide_automatic_options=False)
    return routes


def _next() -> str:
    return local_path(request.args.get("next", ""))


def _fields() -> dict[str, str]:
    """The form's fields, each as it was sent last."""
    if request.mimetype != forgery.FORM:
        raise Malformed("the password has to be sent by the form of /login")
    try:
        text = body.read(request, MAX_BYTES).decode("ascii")
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=8, errors="strict")
    except ValueError:
        raise Malformed("the form is damaged: open /login again") from None
    return {name: values[-1] for name, values in fields.items()}
