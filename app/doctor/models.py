"""Whether a server that speaks OpenAI's API answers, accepts the key, and has the model: it is asked for its list of models."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from app.doctor.finding import Finding, fault, ok, warning
from app.sections import OpenAi
from app.voice.openai_account import OPENAI

MAX_BYTES = 4 * 1024 * 1024
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
SERVER_FAULTS = range(500, 600)


def judge(place: str, what: str, account: OpenAi, model: str, seconds: float) -> Finding:
    """``place``: the settings of the provider, such as ``voice.asr.openai``; ``what``: what the server is for, as a sentence's
    beginning. Nothing of the key is repeated."""
    base_url = account.base_url or OPENAI
    check, where = place.removesuffix(".openai"), _shown(base_url)
    if urlsplit(base_url).scheme not in ("http", "https"):
        return fault(check, f"{place}.base_url or OPENAI_BASE_URL is no http:// or https:// address.")
    request = urllib.request.Request(f"{base_url.rstrip('/')}/models")  # noqa: S310 - the scheme is looked at above
    if account.api_key:
        request.add_unredirected_header("Authorization", f"Bearer {account.api_key}")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            listed = _names(answer.read(MAX_BYTES))
    except urllib.error.HTTPError as error:
        error.close()
        return _refused(check, place, what, where, error.code)
    except (OSError, http.client.HTTPException, ValueError) as error:
        why = getattr(error, "reason", error) or "it closed the connection"
        return fault(check, f"{what} by {where}, which cannot be reached ({why}): check {place}.base_url and the network.")
    if listed is None:
        return warning(check, f"{what} by {where}, whose answer is no list of models: does {place}.base_url end as its API does?")
    if model not in listed and model not in {name.partition(":")[0] for name in listed}:
        return warning(check, f"{what} by {where}, which does not list the model {model}: check {place}.model.")
    return ok(check, f"{what} by {where}, which lists the model {model}.")


def _refused(check: str, place: str, what: str, where: str, status: int) -> Finding:
    if status == UNAUTHORIZED:
        return fault(
            check,
            f"{what} by {where}, which does not accept the key: check {place}.api_key, voice.openai.api_key or OPENAI_API_KEY.",
        )
    if status == FORBIDDEN:
        return warning(check, f"{what} by {where}; its key may not list models, so whether it may do the rest is not known.")
    if status == NOT_FOUND:
        return warning(
            check, f"{what} by {where}, which answers but has no list of models: does {place}.base_url end as its API does?"
        )
    if status in SERVER_FAULTS:
        return fault(check, f"{what} by {where}, which fails by itself (status {status}): look into its log, or wait.")
    return warning(check, f"{what} by {where}, which answers with status {status} when asked for its models.")


def _names(body: bytes) -> set[str] | None:
    """The ids that are listed; None when this is no list."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    entries = document.get("data") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return None
    return {str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry}


def _shown(base_url: str) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
