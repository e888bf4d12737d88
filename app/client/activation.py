"""A device that is not activated shows a code, and asks whether somebody has entered it until it is in (PROTOCOL.md 2)."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import gevent

from app.client import ota
from app.client.identity import Identity
from app.client.leg import Leg, LegFailed

ALGORITHM = "hmac-sha256"
POLLS = 10
"""After so many polls OTA is asked again, as firmware does: it has another code when this one is about to expire."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a device waits to be activated, and how long between two polls: seconds."""

    seconds: float = 300.0
    interval: float = 3.0


class Waiting:
    """A device that waits to be activated. ``on_code``: shows a code; ``seconds``: for each request."""

    def __init__(
        self,
        ota_url: str,
        identity: Identity,
        on_code: Callable[[ota.Activation], None],
        *,
        cafile: Path | None = None,
        seconds: float = 10.0,
        patience: Patience | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ota_url = ota_url
        self._url = activate_url(ota_url)
        self._identity = identity
        self._on_code = on_code
        self._cafile = cafile
        self._seconds = seconds
        self._patience = patience or Patience()
        self._clock = clock

    def wait(self, activation: ota.Activation) -> ota.OtaAnswer:
        """Shows the code and polls until the device is in; what OTA says then. Raises LegFailed."""
        deadline = self._clock() + self._patience.seconds
        polls = 0
        self._on_code(activation)
        while True:
            entered = self._poll(activation)
            polls += 1
            if entered or polls % POLLS == 0:
                answer = ota.ask(self._ota_url, self._identity, self._cafile, self._seconds)
                if answer.activation is None:
                    return answer
                if answer.activation.code != activation.code:
                    self._on_code(answer.activation)
                activation = answer.activation
            remaining = deadline - self._clock()
            if remaining <= 0:
                raise LegFailed(Leg.ACTIVATION, self._too_late(activation.code, entered))
            gevent.sleep(min(self._patience.interval, remaining))

    def _poll(self, activation: ota.Activation) -> bool:
        """Whether the server says that the device is in. What its body says is no matter, to firmware neither."""
        seconds = self._seconds if activation.seconds is None else min(self._seconds, activation.seconds)
        body = proof(self._identity, activation.challenge)
        try:
            status, _, said = ota.post(Leg.ACTIVATION, self._url, self._identity, body, cafile=self._cafile, seconds=seconds)
        except LegFailed as failure:
            raise LegFailed(Leg.ACTIVATION, f"{failure.sentence.rstrip('.')}; {_how(activation.code)}.") from None
        if status not in (200, 202):
            raise LegFailed(
                Leg.ACTIVATION,
                f"{self._url} answered {status} to the device that shows the code {activation.code}: {_sentence_in(said)}; put "
                f"that right, start the device again, and {_how(activation.code)}.",
            )
        return status == 200

    def _too_late(self, code: str, entered: bool) -> str:
        if entered:
            return (
                f"{self._url} says that this device is activated, but {self._ota_url} goes on showing it a code, {code}: do "
                f"both lead to the same server? If so, {_how(code)}."
            )
        return f"nobody has entered the code {code} within {self._patience.seconds:g} s: {_how(code)} while the device waits."


def activate_url(ota_url: str) -> str:
    """Where a device polls that asked OTA at ``ota_url``, written with the slash at its end or without."""
    parts = urlsplit(ota_url)
    return parts._replace(path=parts.path.rstrip("/") + "/activate").geturl()


def proof(identity: Identity, challenge: str) -> dict[str, str]:
    """The body of a poll: the signed challenge of a device with a serial number, else nothing."""
    if not identity.serial or not challenge:
        return {}
    signature = hmac.digest(identity.key, challenge.encode(), hashlib.sha256)
    return {"algorithm": ALGORITHM, "serial_number": identity.serial, "challenge": challenge, "hmac": signature.hex()}


def _how(code: str) -> str:
    return f"type `python -m app devices activate {code}` on the server"


def _sentence_in(body: bytes) -> str:
    """What the body of a refusal says, in one line."""
    try:
        text = str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        text = body[:200].decode("utf-8", "replace")
    return " ".join(text.split()).rstrip(".")[:200] or "an empty body"
