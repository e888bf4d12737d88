"""Logins of people at the console: a signed cookie says whose it is, the operators' file whether it has ended.

A login is good for 12 hours after its last use, and for 30 days at most. It ends with the password (another epoch), and when its
person logs out: its id is then remembered as ended until nothing would believe it any more.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from flask import Request, Response
from itsdangerous import BadData, URLSafeSerializer

from app.operators import Operators

IDLE_SECONDS = 12 * 3600
LONGEST_SECONDS = 30 * 86_400
RENEW_SECONDS = 600
"""So often at most a cookie is written anew."""


@dataclass(frozen=True, slots=True)
class Login:
    """``started``, ``used``: seconds since the epoch."""

    login_id: str
    epoch: str
    started: int
    used: int


class Logins:
    """Every login of this server. ``now``: seconds since the epoch."""

    def __init__(self, operators: Operators, now: Callable[[], float] = time.time) -> None:
        self._operators = operators
        self._now = now

    def begin(self, epoch: str) -> Login:
        """A new one; its id was never seen before, so whatever cookie the browser brought means nothing."""
        now = int(self._now())
        return Login(secrets.token_urlsafe(16), epoch, now, now)

    def of(self, request: Request, secure: bool) -> Login | None:
        """The login that ``request`` comes with, if it is still good."""
        text = request.cookies.get(self.cookie_name(secure), "")
        if not text:
            return None
        try:
            login_id, epoch, started, used = self._signer().loads(text)
        except (BadData, ValueError, TypeError):
            return None
        login = Login(login_id, epoch, started, used)
        return login if self.is_good(login) else None

    def is_good(self, login: Login) -> bool:
        """Whether it lets its person in now."""
        kept, now = self._operators.kept(), self._now()
        if not kept.password or login.epoch != kept.epoch or login.login_id in kept.ended:
            return False
        return now < min(login.used + IDLE_SECONDS, login.started + LONGEST_SECONDS)

    def is_due(self, login: Login) -> bool:
        """Whether its cookie ought to be written anew."""
        return self._now() - login.used >= RENEW_SECONDS

    def end(self, login: Login) -> None:
        """It lets nobody in any more. Waits for files: in a pool thread."""
        self._operators.end(login.login_id, login.started + LONGEST_SECONDS)

    def csrf_token(self, login: Login) -> str:
        """What a form or script of our own pages knows, and another site's does not."""
        return self._derived(f"csrf {login.login_id}")

    def form_token(self, nonce: str) -> str:
        """The same of the login form, whose person has no login yet; ``nonce`` is in a cookie."""
        return self._derived(f"login form {nonce}")

    # Cookies

    def cookie_name(self, secure: bool, what: str = "console") -> str:
        """Of this server alone: a browser sends a cookie to every port of a host.

        ``__Host-`` keeps other hosts of a domain from setting it.
        """
        return f"{'__Host-' if secure else ''}{what}_{self._mac('cookie')[:4].hex()}"

    def give(self, response: Response, login: Login, secure: bool) -> None:
        """Puts the login into the browser, used now.

        SameSite=Lax, not Strict: who follows a link from a dashboard or a chat is logged in there too. What changes something is
        never a GET, and needs the CSRF token.
        """
        text = self._signer().dumps([login.login_id, login.epoch, login.started, int(self._now())])
        name = self.cookie_name(secure)
        response.set_cookie(name, str(text), max_age=IDLE_SECONDS, secure=secure, httponly=True, samesite="Lax", path="/")

    def take(self, response: Response, secure: bool) -> None:
        """Takes it out of the browser."""
        response.delete_cookie(self.cookie_name(secure), secure=secure, httponly=True, samesite="Lax", path="/")

    def _signer(self) -> URLSafeSerializer:
        how = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        return URLSafeSerializer(self._operators.kept().session_key, salt="console login", signer_kwargs=how)

    def _derived(self, purpose: str) -> str:
        return base64.urlsafe_b64encode(self._mac(purpose)).rstrip(b"=").decode()

    def _mac(self, purpose: str) -> bytes:
        return hmac.digest(self._operators.kept().session_key.encode(), purpose.encode(), hashlib.sha256)
