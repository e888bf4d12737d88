"""Who may use which route: what is not listed in open_routes.py is for the operator alone, with a login or a token.

One for the whole server, so that wrong tries at one route count at the others.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from flask import Flask, Response, abort, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect

from app.operators import MachineToken
from app.protocol.malformed import Malformed
from app.settings import SettingsError
from app.voice.tts.pool import in_pool
from app.web import forgery
from app.web.caller import Caller, CallerReader, parse_address
from app.web.errors import TryLater, error_response
from app.web.host import HostPort
from app.web.logins import Login, Logins
from app.web.node import Node
from app.web.open_routes import OPEN, OWN_TOKEN, THIS_MACHINE
from app.web.password_check import PasswordCheck
from app.web.wrong_tries import WrongTries

log = logging.getLogger(__name__)

LOGIN_PATH, LOGOUT_PATH = "/login", "/logout"
LONGEST_NEXT = 512
RETRY_SECONDS = 10
_PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")
_UNSAFE = re.compile(r"[^!-\[\]-~]")
"""What no path as browsers write it holds: spaces, control characters, a backslash (a slash, to them), letters beyond ASCII."""
_MISSING = (
    "log in at /login, or send the header Authorization: Bearer <token>: one that `python -m app tokens add NAME` made, "
    "or api_token of secrets.json in the state directory"
)
_TOO_OFTEN = "too many wrong tries from this address: wait before the next"


class Kind(Enum):
    """How somebody showed who he is."""

    NOBODY = "nobody"
    LOGIN = "login"
    API_TOKEN = "api_token"  # noqa: S105 - the name of a kind
    """The server's own, of secrets.json."""
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sent the request. ``login`` of a LOGIN, ``machine`` of a MACHINE."""

    kind: Kind
    login: Login | None = None
    machine: MachineToken | None = None


_NOBODY = Visitor(Kind.NOBODY)


class Guard:
    """Its questions are asked within a request."""

    def __init__(self, node: Node) -> None:
        self._operators = node.operators
        self._api_token = node.secrets.api_token.encode()
        self._callers = CallerReader.of(node.settings)
        self._wrong = WrongTries()
        self.logins = Logins(node.operators)
        self.passwords = PasswordCheck(node.operators, self._wrong)

    def install(self, app: Flask) -> None:
        """Stands before every route of ``app``, those that nobody has thought of included."""
        app.extensions["guard"] = self
        app.before_request(self._check)
        app.after_request(self._renew)

    # What routes and pages ask

    def visitor(self) -> Visitor:
        """Who asks; on a route that is open to all, only a login tells."""
        if "visitor" not in g:
            login = self.logins.of(request, self.caller().secure)
            g.visitor = _NOBODY if login is None else Visitor(Kind.LOGIN, login)
        visitor: Visitor = g.visitor
        return visitor

    def is_operator(self) -> bool:
        """Whether the operator asks, or a program of his."""
        return self.visitor().kind is not Kind.NOBODY

    def csrf_token(self) -> str:
        """What requests of this page that change something bring: as ``X-CSRF-Token``, or as the form's field ``csrf_token``.

        Empty without a login.
        """
        login = self.visitor().login
        return "" if login is None else self.logins.csrf_token(login)

    def watch(self) -> Callable[[], bool]:
        """Whether who asks now may still be here later. Costs next to nothing.

        For answers without an end: they ask every few seconds, and end when the answer is no.
        """
        visitor = self.visitor()
        login, machine = visitor.login, visitor.machine
        if login is not None:
            return lambda: self.logins.is_good(login)
        if machine is not None:
            return lambda: machine in self._operators.kept().tokens
        return lambda: visitor.kind is not Kind.NOBODY

    def caller(self) -> Caller:
        """The request's sender. Raises Malformed when its Host header is no host."""
        return self._callers.read(request.environ)

    def too_many_guesses(self) -> Response | None:
        """The refusal for a network that was wrong too often, for routes at which something can be guessed."""
        wait = self._wrong.wait(self.caller().address)
        if not wait:
            return None
        response = error_response(429, _TOO_OFTEN)
        response.headers["Retry-After"] = str(wait)
        return response

    def was_wrong(self) -> None:
        """The request guessed something that was wrong."""
        self._wrong.add(self.caller().address)

    # Coming and going

    def log_in(self, response: Response, epoch: str) -> None:
        """``response`` brings its browser a new login. ``epoch``: of the password that was right."""
        before = self.visitor().login
        login, secure = self.logins.begin(epoch), self.caller().secure
        if before is not None:
            self._end(before)
        self.logins.give(response, login, secure)
        g.visitor = Visitor(Kind.LOGIN, login)
        log.info("somebody at %s has logged in at the console", self.caller().address)

    def log_out(self, response: Response) -> None:
        """The browser's login ends, wherever else its cookie may be. Raises TryLater."""
        login = self.visitor().login
        if login is not None:
            self._end(login)
        self.logins.take(response, self.caller().secure)
        g.visitor = _NOBODY

    def _end(self, login: Login) -> None:
        try:
            in_pool(self.logins.end, login)
        except SettingsError as fault:
            log.error("a login could not be ended: %s", fault)
            raise TryLater(
                "the login could not be ended: the server cannot write its files; its log says more", RETRY_SECONDS
            ) from None

    # Before and after every request

    def _check(self) -> Response | None:
        """None lets the request through to its route."""
        endpoint = _endpoint()
        if endpoint is None or endpoint in OPEN or endpoint in OWN_TOKEN:
            return None
        if endpoint in THIS_MACHINE and _is_this_machine():
            return None
        visitor = self._identify()
        if isinstance(visitor, Response):
            return visitor
        g.visitor = visitor
        return self._check_forgery(visitor)

    def _identify(self) -> Visitor | Response:
        token = _bearer()
        if not token:
            login = self.logins.of(request, self.caller().secure)
            if login is not None:
                return Visitor(Kind.LOGIN, login)
            if not _is_for_programs():
                if isinstance(request.routing_exception, MethodNotAllowed):
                    abort(404)  # no browser's form: a device whose OTA URL is wrong, which is told the right one
                return _to_login()
        refusal = self.too_many_guesses()
        if refusal is not None:
            return refusal
        if token:
            visitor = self._with_token(token)
            if visitor.kind is not Kind.NOBODY:
                return visitor
            self.was_wrong()
        refusal = error_response(401, _MISSING)
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal

    def _with_token(self, token: str) -> Visitor:
        given = token.encode("utf-8", "surrogatepass")
        if self._api_token and hmac.compare_digest(given, self._api_token):
            return Visitor(Kind.API_TOKEN)
        machine = self._operators.token_of(token)
        return _NOBODY if machine is None else Visitor(Kind.MACHINE, machine=machine)

    def _check_forgery(self, visitor: Visitor) -> Response | None:
        """A browser sends the cookie whoever makes it send; a token is sent by who knows it."""
        if visitor.login is None or request.method in forgery.SAFE_METHODS:
            return None
        if forgery.is_foreign(request, self.caller()):
            return error_response(
                403, "this request comes from another site's page; behind a proxy, let it pass the Host header on"
            )
        wanted = self.logins.csrf_token(visitor.login).encode()
        if hmac.compare_digest(forgery.token_in(request).encode("utf-8", "surrogatepass"), wanted):
            return None
        if _is_for_programs():
            return error_response(403, "the header X-CSRF-Token is missing or old: load the page again")
        return see_other("/")  # the page comes back with a token that is good

    def _renew(self, response: Response) -> Response:
        visitor = g.get("visitor", _NOBODY)
        if visitor.login is not None and self.logins.is_due(visitor.login):
            self.logins.give(response, visitor.login, self.caller().secure)
        return response


def local_path(text: str) -> str:
    """``text`` when it is a path of this server, with its query, that a login may lead to; else ``/``."""
    is_path = text.startswith("/") and not text.startswith("//") and text.partition("?")[0] not in (LOGIN_PATH, LOGOUT_PATH)
    return text if is_path and len(text) <= LONGEST_NEXT and not _UNSAFE.search(text) else "/"


def see_other(path: str) -> Response:
    """Leads a browser on, by GET. ``path``: a local one."""
    return Response(status=303, headers={"Location": path, "Cache-Control": "no-store"})


def _endpoint() -> str | None:
    """The endpoint that the request is about, if its method or its last slash is wrong too; None when there is nothing."""
    fault = request.routing_exception
    if isinstance(fault, RequestRedirect):
        return ""  # of some page: no endpoint's name, so on none of the lists
    if isinstance(fault, MethodNotAllowed) and fault.valid_methods:
        adapter = current_app.create_url_adapter(request)
        try:
            return None if adapter is None else adapter.match(method=next(iter(fault.valid_methods)))[0]
        except HTTPException:
            return ""
    return request.endpoint


def _bearer() -> str:
    """The token that came along; empty when none did. What a browser answers a proxy's own question with (Basic) is none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _is_this_machine() -> bool:
    """Whether a program here asks by itself, not for somebody behind a proxy. A Unix socket is a proxy's."""
    peer = parse_address(request.environ.get("REMOTE_ADDR", ""))
    if peer is None or not peer.is_loopback or any(name in request.headers for name in _PROXY_HEADERS):
        return False
    return _is_local_name(request.headers.get("Host", ""))


def _is_local_name(header: str) -> bool:
    """Whether the Host header says an address, or a name without a dot; it may be missing.

    A web page whose own name has come to lead to this machine (DNS rebinding) asks through a browser here, under that name.
    """
    try:
        return not header or "." not in (host := HostPort.parse(header).host) or parse_address(host) is not None
    except Malformed:
        return False


def _is_for_programs() -> bool:
    """Whether JSON is understood, where a person's browser would be led to the login."""
    if request.path.startswith(("/api/", "/metrics")):
        return True
    accepts = request.headers.get("Accept", "")
    return accepts.startswith(("application/json", "text/event-stream"))


def _to_login() -> Response:
    wanted = quote(request.path, safe="/:@!$&'()*+,;=")
    query = request.environ.get("QUERY_STRING", "")
    wanted = local_path(f"{wanted}?{query}" if query else wanted) if request.method in forgery.SAFE_METHODS else "/"
    return see_other(LOGIN_PATH if wanted == "/" else f"{LOGIN_PATH}?next={quote(wanted, safe='/')}")
