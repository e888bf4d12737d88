"""The HTTP side as a device sees it: is the server ready, what does OTA answer, is the certificate good, do the clocks agree."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.client import ota
from app.client.identity import Identity
from app.client.leg import LegFailed
from app.client.mqtt_settings import MqttSettings
from app.client.websocket_settings import WebSocketSettings
from app.doctor.finding import Finding, fault, ok, sentence_of, warning
from app.protocol.malformed import Malformed
from app.sections import AUTO
from app.settings import Settings
from app.trust import trusting
from app.web.host import HostPort

CLOCKS_APART_SECONDS = 60
EXPIRES_SOON_DAYS = 14
DAY_SECONDS = 86_400
PROXY = "deploy/nginx.conf shows how, and websocket.trusted_proxies has to hold the proxy's address"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What `/readyz` answered. ``parts``: the reason by part, empty for one that is ready. ``date``: the server's clock."""

    parts: dict[str, str] = field(default_factory=dict)
    date: float | None = None


def readiness(url: str, cafile: Path | None, seconds: float) -> Readiness | None:
    """Asks ``/readyz`` at the host of ``url``; None when no server of ours answers there."""
    parts = urlsplit(url)
    connection: http.client.HTTPConnection
    try:
        if parts.scheme == "https":
            context = trusting(cafile)
            connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=seconds, context=context)
        else:
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            document, date = json.loads(response.read(ota.MAX_BYTES)), response.getheader("Date")
        finally:
            connection.close()
        found = {name: "" if part["ready"] else str(part["reason"]) for name, part in document["parts"].items()}
        return Readiness(found, parsedate_to_datetime(date).timestamp() if date else None)
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, AttributeError):
        return None


def readiness_findings(url: str, found: Readiness, now: float | None = None) -> Iterator[Finding]:
    """What `/readyz` means for a person."""
    unready = {name: reason for name, reason in found.parts.items() if reason}
    for name, reason in unready.items():
        yield fault("server", f"The server's part {name} is not ready: {reason}.")
    if not unready:
        yield ok("server", f"The server at {url} says that it is ready ({', '.join(found.parts)}).")
    if found.date is not None:
        apart = abs((time.time() if now is None else now) - found.date)
        if apart > CLOCKS_APART_SECONDS:
            yield fault(
                "clock",
                f"The clocks of this machine and of the server at {url} are {apart:.0f} s apart: set both (timedatectl set-ntp "
                "on); devices take their time from the server.",
            )


def certificate(check: str, where: HostPort, cafile: Path | None, seconds: float, *, now: float | None = None) -> Finding:
    """Whether the certificate at ``where`` is one that a device can believe: its name, its issuer, its end."""
    host, port = where.host, where.port
    try:
        context = trusting(cafile)
        with socket.create_connection((host, port), seconds) as plain, context.wrap_socket(plain, server_hostname=host) as tls:
            shown: dict[str, Any] = dict(tls.getpeercert() or {})
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")
        return fault(
            check, f"The certificate of {where} is not trusted: {why}: give it that name, renew it, or name its CA (--cafile)."
        )
    except ssl.SSLError as error:
        return fault(check, f"{where} does not speak TLS ({error.reason}): correct the port, or turn TLS on there.")
    except OSError as error:
        return fault(check, f"{where} cannot be reached for TLS: {error.strerror or error}: check the address and the firewall.")
    days = int((ssl.cert_time_to_seconds(shown["notAfter"]) - (time.time() if now is None else now)) // DAY_SECONDS)
    if days < EXPIRES_SOON_DAYS:
        return warning(check, f"The certificate of {where} ends in {days} days ({shown['notAfter']}): renew it.")
    return ok(check, f"The certificate of {where} is trusted for {days} more days.")


class OtaVisit:
    """One request to the OTA address ``url`` as the device ``identity``. ``mqtt``, ``websocket``: what it got, None without."""

    def __init__(self, settings: Settings, url: str, identity: Identity, cafile: Path | None, seconds: float) -> None:
        self._settings = settings
        self._url = url
        self._identity = identity
        self._cafile = cafile
        self._seconds = seconds
        self.mqtt: MqttSettings | None = None
        self.websocket: WebSocketSettings | None = None

    def findings(self) -> Iterator[Finding]:
        """Asks, and judges the answer."""
        try:
            answer = ota.ask(self._url, self._identity, self._cafile, self._seconds)
        except LegFailed as failure:
            yield fault("ota", sentence_of(failure.sentence))
            return
        self.mqtt = answer.mqtt
        if answer.websocket_url:
            self.websocket = WebSocketSettings(answer.websocket_url, answer.websocket_token, answer.websocket_version or 1)
        told = " and ".join(
            [
                *([f"MQTT at {answer.mqtt.endpoint}"] if answer.mqtt else []),
                *([answer.websocket_url] if answer.websocket_url else []),
            ]
        )
        if not told:
            yield self._without_transport(answer.activation_code)
            return
        yield ok("ota", f"OTA at {self._url} answers: {told}.")
        if answer.websocket_url:
            yield from self._judge_reached(answer.websocket_url)

    def _without_transport(self, code: str) -> Finding:
        if code:
            return warning(
                "ota",
                f"OTA at {self._url} wants devices activated (auth.enable), the doctor's too, so there is no more to see: type "
                f"`python -m app devices activate {code}` and ask again (its device is {self._identity.mac}).",
            )
        return fault(
            "ota",
            f"OTA at {self._url} offers no transport: set ota.test.mqtt.enable (ota.external.mqtt.enable for public addresses) "
            "to true, and write an endpoint where the log says that it cannot be auto.",
        )

    def _judge_reached(self, told: str) -> Iterator[Finding]:
        """Where nothing is written, OTA tells the address at which it was asked. A proxy may hide that."""
        written = {self._settings.ota.test.websocket.url, self._settings.ota.external.websocket.url}
        if written != {AUTO}:
            return
        asked, answered = host_and_port(self._url), host_and_port(told)
        secure = urlsplit(self._url).scheme == "https"
        if asked != answered:
            yield fault(
                "ota",
                f"OTA was asked at {asked} and tells devices {answered}: the proxy in between passes on another Host: let it "
                f"send the one it got as X-Forwarded-Host or Host ({PROXY}).",
            )
        elif secure != told.startswith("wss:"):
            yield fault(
                "ota",
                f"OTA was asked by {'https' if secure else 'http'} and tells devices {told}: let the proxy in between send "
                f"X-Forwarded-Proto ({PROXY}).",
            )


def host_and_port(url: str) -> HostPort:
    """Where ``url`` leads. Raises Malformed."""
    parts = urlsplit(url)
    try:
        port = parts.port or {"http": 80, "ws": 80, "https": 443, "wss": 443}.get(parts.scheme)
    except ValueError:
        port = None
    if not parts.hostname or port is None:
        raise Malformed(f"{url!r} is no OTA address; expected one like http://192.168.1.5:8989/xiaozhi/ota/")
    return HostPort(parts.hostname, port)
