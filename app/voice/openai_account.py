"""An account at a server that speaks OpenAI's API: its client, and what its faults mean to the operator.

The `openai` library takes most of a second to import, so it is imported where the first client is made. It works over gevent's
sockets (http_backend.py): a request blocks its greenlet, never the hub, and a killed greenlet closes its connection.
"""

from __future__ import annotations

import json
import logging
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from app.sections import OpenAi
from app.settings import SettingsError
from app.voice.provider import FaultCode, ProviderFault

if TYPE_CHECKING:
    import httpx2
    from openai import APIStatusError, OpenAI

T = TypeVar("T")

OPENAI = "https://api.openai.com/v1"
CONNECT_SECONDS = 5.0
NO_KEY = "none"
"""What a server that needs no key is told."""
CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}")
LIBRARIES = ("openai", "httpx2", "httpcore2")
_CODES = {401: FaultCode.KEY, 403: FaultCode.FORBIDDEN, 404: FaultCode.NOT_FOUND, 429: FaultCode.LIMIT}
"""Of a refusal, by its HTTP status."""


def make_client(account: OpenAi, place: str, timeout_seconds: float, *, api_key: str = "", base_url: str = "") -> OpenAI:
    """A client for ever: its connections are kept between requests.

    ``api_key`` and ``base_url`` are the provider's own options; empty: those of the account, whose key goes to no other server.
    ``place``: the settings they stand in, such as ``voice.asr.openai``. ``timeout_seconds``: how long the server may be silent.
    Nothing is repeated by the client itself: `once_again` does that. Raises SettingsError with a sentence that names the setting.
    """
    url = (base_url or account.base_url).strip()
    is_the_accounts = url == account.base_url.strip()
    key = (api_key or (account.api_key if is_the_accounts else "")).strip()
    if not key and not url:
        raise SettingsError(
            f"{place}: there is no account: set OPENAI_API_KEY or {place}.api_key, or name a server in {place}.base_url."
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(f"{place}.api_key or OPENAI_API_KEY holds what no key holds: copy it again.")
    _check_url(url or OPENAI, place)

    import httpx2
    import openai

    from app.voice.http_backend import GeventTransport

    for name in LIBRARIES:  # they log a line for each request, and in their debug lines what was said
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        transport = GeventTransport(httpx2.URL(url or OPENAI))
    except ValueError as error:
        raise SettingsError(f"{place}: the environment (HTTP_PROXY, HTTPS_PROXY) names {error}: use an http:// proxy.") from None
    except httpx2.InvalidURL:
        raise _bad_url(place) from None
    return openai.OpenAI(
        api_key=key or NO_KEY,
        base_url=url or OPENAI,
        max_retries=0,
        timeout=httpx2.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds)),
        http_client=httpx2.Client(transport=transport, follow_redirects=True),
    )


def once_again(request: Callable[[], T]) -> T:
    """What ``request`` returns; where the connection failed, what it returns the second time.

    The commonest such failure is a kept connection that the server closes in this moment. Time-outs, answers of whatever status,
    and certificates that are not trusted are not tried again.
    """
    import openai

    try:
        return request()
    except openai.APIConnectionError as error:
        if isinstance(error, openai.APITimeoutError) or _cause(error, ssl.SSLCertVerificationError) is not None:
            raise
    return request()


def fault_of(error: Exception, place: str) -> ProviderFault:
    """What an exception of the library, or of reading its answer, means; ``place``: such as ``voice.asr.openai``.

    Of the server's own words only its error code goes in: they may repeat what a person said, or the key.
    """
    import httpx2
    import openai

    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError):
        stage = ".".join(place.split(".")[:2])
        said = f"{place}: {_server(error)} did not answer in time: try again, or raise {stage}.timeout_seconds."
        return ProviderFault(said, FaultCode.LATE)
    if isinstance(error, openai.APIConnectionError):
        is_trust = _cause(error, ssl.SSLCertVerificationError) is not None
        code = FaultCode.CERTIFICATE if is_trust else FaultCode.UNREACHABLE
        return ProviderFault(f"{place}: {_why_unreachable(error, place)}", code)
    if isinstance(error, openai.APIStatusError):
        return ProviderFault(f"{place}: {_why_refused(error, place)}", _code_of_status(error.status_code))
    if isinstance(error, openai.APIError | httpx2.HTTPError | httpx2.StreamError | OSError):  # in the midst of a stream
        why = f" ({_code(error)})" if _code(error) else ""
        return ProviderFault(f"{place}: {_server(error)} broke off its answer{why}: try again later.", FaultCode.BROKEN)
    return not_understood(place)


def not_understood(place: str) -> ProviderFault:
    """The answer is not what this API answers."""
    return ProviderFault(
        f"{place}: the answer is not one of OpenAI's API: check {place}.base_url, which mostly ends in /v1.",
        FaultCode.NOT_UNDERSTOOD,
    )


@contextmanager
def faults(place: str) -> Iterator[None]:
    """Inside it the library's exceptions, and those of the connection under it, become ProviderFault."""
    import httpx2
    import openai

    try:
        yield
    except (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, OSError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise fault_of(error, place) from None


def _check_url(url: str, place: str) -> None:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or any(character.isspace() for character in url):
        raise _bad_url(place)


def _bad_url(place: str) -> SettingsError:
    return SettingsError(f"{place}.base_url or OPENAI_BASE_URL is no address: write it like http://192.168.1.9:11434/v1.")


def _why_unreachable(error: Exception, place: str) -> str:
    server = _server(error)
    certificate = _cause(error, ssl.SSLCertVerificationError)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        why = certificate.verify_message.rstrip(".")
        return f"the certificate of {server} is not trusted ({why}): name its CA's file in the environment's SSL_CERT_FILE."
    if _cause(error, ssl.SSLError) is not None:
        return f"{server} speaks no TLS that we know: does {place}.base_url begin with http:// instead of https://?"
    cause = _cause(error, OSError)
    if isinstance(cause, OSError) and cause.strerror:
        return f"{server} cannot be reached ({cause.strerror}): does it run, and is {place}.base_url right?"
    return f"{server} closed the connection without an answer: does it run, and is {place}.base_url right?"


def _code_of_status(status: int) -> FaultCode:
    if status >= 500:
        return FaultCode.BROKEN
    return _CODES.get(status, FaultCode.REFUSED)


def _why_refused(error: APIStatusError, place: str) -> str:
    server, status = _server(error), error.status_code
    code = _code(error)
    said = f"{status}, {code}" if code else f"{status}"
    if status == 401:
        return f"{server} does not accept the key ({said}): check OPENAI_API_KEY or {place}.api_key."
    if status == 403:
        return f"{server} forbids this ({said}): check what the key of {place}.api_key may do."
    if status == 404:
        return f"{server} knows no such address or model ({said}): check {place}.base_url and {place}.model."
    if status == 429:
        return f"{server} wants no more requests now ({said}): wait, or check the account's limits and credit."
    if status >= 500:
        return f"{server} has a fault of its own ({said}): try again later."
    return f"{server} refuses the request ({said}): check {place}.model and the other options there."


def _server(error: Exception) -> str:
    """Scheme, host and port; whatever else the URL holds may be secret."""
    try:
        request: httpx2.Request | None = getattr(error, "request", None)
    except RuntimeError:  # httpx2 says so that there is none
        request = None
    if request is None:
        return "the server"
    return f"{request.url.scheme}://{request.url.netloc.decode('ascii')}"


def _code(error: Exception) -> str:
    code = getattr(error, "code", None) or getattr(error, "type", None)
    return code if isinstance(code, str) and CODE.fullmatch(code) else ""


def _cause(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """The first cause of that kind."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, kind):
        cause = cause.__cause__ or cause.__context__
    return cause
