"""Whether a request that a browser sends comes from our own page: what another site makes a browser send is refused.

Browsers say it themselves: by ``Sec-Fetch-Site`` where the page came by HTTPS or from this machine, else by ``Origin``. A request
that brings neither is no page's of a present browser; the CSRF token decides alone then.
"""

from __future__ import annotations

from flask import Request

from app.web.caller import Caller

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
HEADER, FIELD = "X-CSRF-Token", "csrf_token"
FORM = "application/x-www-form-urlencoded"


def is_foreign(request: Request, caller: Caller) -> bool:
    """Whether another site's page sent it."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("Origin")
    if origin is None:
        return False
    # Without the scheme, which a proxy may not tell us; the port is left out by browsers where it goes without saying.
    return origin.partition("://")[2].lower() != str(caller.reached).lower()


def token_in(request: Request) -> str:
    """The CSRF token that came along; empty when there is none."""
    token = request.headers.get(HEADER)
    if token is None and request.mimetype == FORM:
        token = request.form.get(FIELD)
    return token or ""
