"""The first leg: a device asks OTA for its settings (PROTOCOL.md 1, step 1, and 2)."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.client.identity import Identity
from app.client.leg import Leg, LegFailed
from app.client.mqtt_settings import KEEPALIVE_SECONDS, MqttSettings
from app.trust import trusting

MAX_BYTES = 64 * 1024


class _Outside(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class _Mqtt(_Outside):
    endpoint: Annotated[str, Field(min_length=1)]
    client_id: Annotated[str, Field(min_length=1)]
    username: str = ""
    password: str = Field(default="", repr=False)
    publish_topic: Annotated[str, Field(min_length=1)]
    keepalive: Annotated[int, Field(ge=1, le=65535)] = KEEPALIVE_SECONDS


class _WebSocket(_Outside):
    url: str = ""
    token: str = Field(default="", repr=False)
    version: int | None = None


class _Activation(_Outside):
    code: Annotated[str, Field(max_length=64)] = ""
    message: str = ""
    challenge: str = Field(default="", repr=False)
    timeout_ms: Annotated[int, Field(ge=1)] | None = None


class _Answer(_Outside):
    mqtt: _Mqtt | None = None
    websocket: _WebSocket | None = None
    activation: _Activation | None = None


@dataclass(frozen=True, slots=True)
class Activation:
    """What a device is told that has to be activated first: the code and message that it shows, and what it signs.

    ``seconds``: how long one poll may take at most; None where OTA does not say.
    """

    code: str
    message: str = ""
    challenge: str = field(default="", repr=False)
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class OtaAnswer:
    """What OTA said. ``mqtt`` is None where that network is served by WebSocket only.

    ``websocket_url`` and ``websocket_token`` are empty where there is none; ``websocket_version`` None where the device chooses.
    """

    mqtt: MqttSettings | None
    websocket_url: str
    websocket_token: str = field(default="", repr=False)
    websocket_version: int | None = None
    activation: Activation | None = None
    """None for a device that is let in."""

    @property
    def activation_code(self) -> str:
        """What a device that is not activated shows, else empty."""
        return self.activation.code if self.activation else ""


def ask(url: str, identity: Identity, cafile: Path | None = None, seconds: float = 10.0) -> OtaAnswer:
    """Posts the system info to ``url`` and reads the answer. Redirects are not followed. Raises LegFailed."""
    status, headers, body = post(Leg.OTA, url, identity, system_info(identity), cafile=cafile, seconds=seconds)
    if status in (301, 302, 303, 307, 308):
        target = headers.get("location", "elsewhere")
        raise LegFailed(Leg.OTA, f"{url} redirects to {target}, and devices follow no redirects: set that address as OTA URL.")
    if status != 200:
        said = body[:200].decode("utf-8", "replace").strip()
        raise LegFailed(Leg.OTA, f"{url} answered {status}, not 200: {said or 'an empty body'}: check the URL.")
    return parse(body, url)


def parse(body: bytes, url: str) -> OtaAnswer:
    """Reads an OTA answer. Raises LegFailed with the field that is wrong."""
    if len(body) > MAX_BYTES:
        raise LegFailed(Leg.OTA, f"{url} answered more than {MAX_BYTES} bytes: is it the OTA route?")
    try:
        answer = _Answer.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, fault["loc"])) or "the body"
        raise LegFailed(Leg.OTA, f"{url} did not answer as OTA does: {place}: {fault['msg']}: is it the OTA route?") from None
    mqtt = None if answer.mqtt is None else MqttSettings(**answer.mqtt.model_dump())
    websocket = answer.websocket or _WebSocket()
    return OtaAnswer(mqtt, websocket.url, websocket.token, websocket.version, _activation(answer.activation))


def _activation(told: _Activation | None) -> Activation | None:
    if told is None or not told.code:
        return None
    seconds = None if told.timeout_ms is None else told.timeout_ms / 1000
    return Activation(told.code, told.message, told.challenge, seconds)


def system_info(identity: Identity) -> dict[str, Any]:
    """The body of the request, as firmware sends it."""
    return {
        "version": 2,
        "language": identity.language,
        "mac_address": identity.mac,
        "uuid": identity.uuid,
        "chip_model_name": "software",
        "application": {"name": "xiaozhi", "version": identity.version},
        "board": {"type": identity.board, "name": identity.board, "mac": identity.mac},
    }


def post(
    leg: Leg, url: str, identity: Identity, document: Mapping[str, Any], *, cafile: Path | None, seconds: float
) -> tuple[int, dict[str, str], bytes]:
    """Posts ``document`` as a device does; status, headers (names in lower case) and body. Raises LegFailed of ``leg``."""
    headers = {
        "Device-Id": identity.mac,
        "Client-Id": identity.uuid,
        "Activation-Version": "2" if identity.serial else "1",
        "User-Agent": f"{identity.board}/{identity.version}",
        "Accept-Language": identity.language,
        "Content-Type": "application/json",
    } | ({"Serial-Number": identity.serial} if identity.serial else {})
    connection, path = _connection(leg, url, cafile, seconds)
    try:
        connection.request("POST", path, json.dumps(document), headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read(MAX_BYTES + 1)
    except ssl.SSLCertVerificationError as error:
        raise LegFailed(
            leg, f"the certificate of {url} is not trusted: {error.verify_message}: give its CA with --cafile."
        ) from None
    except ConnectionRefusedError:
        raise LegFailed(leg, f"nothing listens at {url}: is the server running, and is the port right?") from None
    except TimeoutError:
        raise LegFailed(leg, f"{url} did not answer within {seconds:g} s: check the address and the firewall.") from None
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise LegFailed(leg, f"{url} cannot be reached: {error or type(error).__name__}: check the URL.") from None
    finally:
        connection.close()


def _connection(leg: Leg, url: str, cafile: Path | None, seconds: float) -> tuple[http.client.HTTPConnection, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        if parts.scheme not in ("http", "https") or not host:
            raise ValueError("it has to begin with http:// or https:// and name a host")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=seconds), path
        context = trusting(cafile)
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=context), path
    except (ValueError, http.client.InvalidURL) as error:
        raise LegFailed(leg, f"{url!r} is no OTA URL: {error}.") from None
    except OSError as error:
        raise LegFailed(leg, f"the CA file {cafile} cannot be used: {error}.") from None
