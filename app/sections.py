"""The sections of the configuration: what can be set, with which type, bounds and default.

Every default is written here and nowhere else. The names of the sections ``mqtt``, ``mqtt_server``, ``udp``, ``ota`` and
``websocket`` are those of the users' existing ``config.json`` files.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

AUTO = "auto"


def _absent_is_auto(value: object) -> object:
    return AUTO if value is None or value == "" else value


def _auto_or_switch(value: object) -> object:
    written = _absent_is_auto(value)
    if isinstance(written, str):
        written = {"true": True, "1": True, "false": False, "0": False}.get(written.lower(), written.lower())
    if written not in (True, False, AUTO):
        raise ValueError("write true, false or auto")
    return written


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


def _no_space(value: str) -> str:
    if value != value.strip() or any(character.isspace() for character in value):
        raise ValueError("a host or address holds no spaces")
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
OptionalPort = Annotated[Port | None, BeforeValidator(_empty_is_none)]
OptionalPath = Annotated[Path | None, BeforeValidator(_empty_is_none)]
Host = Annotated[str, AfterValidator(_no_space)]
AutoHost = Annotated[str, BeforeValidator(_absent_is_auto), AfterValidator(_no_space)]
"""A host, or ``auto``: the address at which a device reached us."""


class Section(BaseModel):
    """One section of the file. Unknown keys are warned about, not refused: files outlive versions."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


class Mqtt(Section):
    """This server as an MQTT client."""

    broker: AutoHost = AUTO
    """The broker's host, with ``type`` ``unix`` its socket's path; ``auto``: the built-in one, over its private Unix socket."""
    type: Literal["tcp", "ssl", "ws", "wss", "unix"] = "tcp"
    """How the broker is reached; ``ws`` and ``wss`` are MQTT over WebSocket, in clear and over TLS."""
    port: Port = 1883
    """The broker's port."""
    path: Annotated[str, Field(pattern=r"^/[!-~]*$")] = "/mqtt"
    """The WebSocket's path, for ``type`` ``ws`` and ``wss``."""
    client_id: str = "xiaozhi_server"
    """The MQTT client id of this server."""
    username: str = ""
    """What the broker knows this server by; at the built-in one empty is ``xiaozhi_server``."""
    password: str = Field(default="", repr=False)
    """Belongs to ``username``; for the built-in broker one is generated where this is empty."""
    ca_file: OptionalPath = None
    """CA certificates for TLS; empty: those of the system."""
    cert_file: OptionalPath = None
    """Our own certificate (with its chain), for a broker that asks for one."""
    key_file: OptionalPath = None
    """The private key of ``cert_file``."""
    insecure: bool = False
    """Believes any certificate of the broker: whoever sits on the way can then read and change everything."""


class Tls(Section):
    """TLS of the built-in broker's device port. Devices given an endpoint without a port use 8883 and check the certificate."""

    enable: bool = False
    """Whether devices can connect over TLS too."""
    port: Port = 8883
    """The TLS port."""
    pem: OptionalPath = None
    """The certificate with its chain, in PEM."""
    key: OptionalPath = None
    """Its private key."""


class MqttServer(Section):
    """The built-in broker, as devices see it."""

    enable: bool = True
    """Whether this server brings its own broker; without it ``mqtt.broker`` has to name one."""
    listen_host: Host = "0.0.0.0"
    """The address that devices connect to; ``0.0.0.0``: every IPv4 address of this machine."""
    listen_port: Port = 2883
    """The port that devices connect to, without TLS."""
    tls: Tls = Tls()
    max_connections: int = Field(default=10_000, ge=1)
    """Connections at a time."""
    max_packet_bytes: int = Field(default=65_536, ge=1024)
    """The longest MQTT packet that a device may send."""
    connect_seconds: float = Field(default=5.0, gt=0)
    """How long a connection may stay unauthenticated."""


class Udp(Section):
    """The audio socket, and the address of it that devices are told."""

    external_host: AutoHost = AUTO
    """The host devices are told to send their audio to; ``auto``: the one at which each of them reached this server."""
    external_port: OptionalPort = None
    """The port devices are told; empty: ``listen_port``."""
    listen_host: Host = "0.0.0.0"
    """The address that the audio comes in at; ``::``: IPv4 and IPv6."""
    listen_port: Port = 8990
    """The port that the audio comes in at."""
    receive_buffer_bytes: int = Field(default=8 * 1024 * 1024, ge=65_536)
    """How much audio the kernel keeps while this server is busy; it gives no more than ``net.core.rmem_max``."""


class OtaWebSocket(Section):
    """Where they find the WebSocket."""

    url: AutoHost = AUTO
    """``wss://…/xiaozhi/v1/``; ``auto``: where each of them reached this server."""


class OtaMqtt(Section):
    """Where they find the broker."""

    enable: bool = True
    """Whether they are offered MQTT at all."""
    endpoint: AutoHost = AUTO
    """The broker, ``host`` or ``host:port``; without a port it gets the built-in one's, and with a broker of your own devices
    take 8883 with TLS. ``auto``: the built-in one, where each of them reached this server, or ``mqtt.broker``."""


class OtaNetwork(Section):
    """What devices of one network are told."""

    websocket: OtaWebSocket = OtaWebSocket()
    mqtt: OtaMqtt = OtaMqtt()


class Ota(Section):
    """The answers of the OTA route. ``test`` is for private and loopback clients, ``external`` for all others."""

    signature_key: str = Field(default="", repr=False)
    """Signs the MQTT credentials; empty: generated at first start and kept in the state directory."""
    group: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")] = "GID_default"
    """The first part of the devices' MQTT client ids."""
    test: OtaNetwork = OtaNetwork()
    external: OtaNetwork = OtaNetwork()


class WebSocket(Section):
    """The HTTP port: OTA, health, metrics, WebSocket."""

    host: Host = "0.0.0.0"
    """The address that HTTP comes in at; ``0.0.0.0``: every IPv4 address of this machine."""
    port: Port = 8989
    """The HTTP port."""
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
    """Networks of the proxies whose X-Forwarded-For, -Proto and -Host are believed."""
    require_token: bool = False
    """Whether a WebSocket needs the token that OTA gave its device; with ``auth.enable`` it does in any case."""
    token_days: int = Field(default=30, ge=1, le=3650)
    """How long a token that OTA gives is good for; a device gets a new one at every start."""
    gateway_token: str = Field(default="", repr=False)
    """What xiaozhi-mqtt-gateway has to bring; empty: nothing, unless devices need a token."""
    max_connections: int = Field(default=10_000, ge=1)
    """WebSockets at a time."""


class Auth(Section):
    """Who may use this server."""

    enable: bool = False
    """Whether a device has to be activated by its operator."""
    code_minutes: int = Field(default=10, ge=1, le=1440)
    """How long the six digits that a device shows are good for."""
    message: Annotated[str, Field(max_length=200)] = "Activate this device with the code"
    """What a device shows above its code."""


class Console(Section):
    """The pages for the operator, at ``/``."""

    password: str = Field(default="", repr=False)
    """With which the operator logs in, 8 characters at least; empty: generated at first start, or what
    ``python -m app passwd`` set. For platforms where the state directory does not last."""


class Database(Section):
    """Where the devices are remembered."""

    url: str = Field(default="", repr=False)
    """``postgresql://…`` or ``sqlite:///…``; empty: SQLite in the state directory."""


class Sessions(Section):
    """How much devices may ask for."""

    max: int = Field(default=10_000, ge=1)
    """Sessions at a time, of all devices."""
    hellos_per_minute: int = Field(default=60, ge=1)
    """Hellos a minute of one device; more are refused with an alert."""
    idle_seconds: float = Field(default=120.0, gt=0)
    """A session of which nothing is heard for so long is ended with a goodbye."""


class Dialogue(Section):
    """How a conversation goes."""

    agent: Literal["assistant", "echo"] = "assistant"
    """Who answers; ``echo`` plays back what it hears, and needs nothing else."""
    silence_ms: int = Field(default=700, ge=100, le=10_000)
    """So much silence ends an utterance in the modes ``auto`` and ``realtime``."""
    longest_utterance_ms: int = Field(default=30_000, ge=1_000, le=300_000)
    """An utterance that goes on for longer is answered as it is."""
    patience_seconds: float = Field(default=15.0, ge=2, le=3600)
    """How long a device may listen and hear no speech. The second time in a row the session is ended politely."""
    wake_words: tuple[str, ...] = (
        "你好小智",
        "小智",
        "小智小智",
        "嗨小智",
        "hi xiaozhi",
        "hi lexin",
        "hi esp",
        "jarvis",
        "alexa",
        "xiaozhi",
    )
    """Texts of ``listen detect`` that are greeted; anything else in it is answered as if it had been said."""
    greeting: str = AUTO
    """What is said to a wake word; ``auto``: a few words in the device's language; empty: nothing, the device just listens."""


class OpenAi(Section):
    """An account at OpenAI, or any server that speaks its API. ``OPENAI_API_KEY`` and ``OPENAI_BASE_URL`` are read as well."""

    api_key: str = Field(default="", repr=False)
    """The account's key; it goes to no other server than the account's."""
    base_url: str = ""
    """Such as ``http://192.168.1.9:8000/v1``, of a server that does all three stages; empty: OpenAI's own."""

    @property
    def is_configured(self) -> bool:
        return bool(self.api_key or self.base_url)


class VoiceStage(Section):
    """One of the three stages. Keys that are not written here are its providers' own: ``voice.asr.wyoming.host``."""

    model_config = ConfigDict(extra="allow")

    provider: str = AUTO
    """``auto``: openai where there is an account, else what works offline."""
    timeout_seconds: float = Field(default=15.0, gt=0, le=300)
    """How long it may be silent: before its answer, and in between."""

    @property
    def options(self) -> dict[str, Any]:
        """The providers' own keys, by provider."""
        return dict(self.model_extra or {})


class Llm(VoiceStage):
    prompt: Annotated[str, Field(max_length=20_000)] = ""
    """Who the assistant is; empty: a voice assistant. A device's own prompt goes over it."""
    history_messages: int = Field(default=20, ge=0, le=1000)
    """How much of a device's conversation the mind is told again, and what is kept across restarts."""


class Tts(VoiceStage):
    cache_megabytes: int = Field(default=200, ge=0, le=100_000)
    """Encoded sentences kept on disk; 0: none."""


class Vision(Section):
    """The device's camera: a model of the OpenAI kind looks at its picture."""

    enable: bool = False
    """Whether the camera's pictures are looked at."""
    url: AutoHost = AUTO
    """Where devices are told to send pictures, ``https://…/xiaozhi/vision``; ``auto``: where each of them reached this server."""
    model: str = "gpt-4o-mini"
    """Who looks at them."""
    api_key: str = Field(default="", repr=False)
    """Of this model alone; empty: that of ``voice.openai``."""
    base_url: str = ""
    """The server of this model alone; empty: that of ``voice.openai``."""
    timeout_seconds: float = Field(default=30.0, gt=0, le=300)
    """How long the model may take."""


class Voice(Section):
    """Who recognizes, thinks and speaks (docs/providers.md)."""

    language: Annotated[str, Field(pattern=r"^(auto|[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)$")] = AUTO
    """A BCP 47 tag; ``auto``: what the device's OTA request said, else English."""
    timezone: str = ""
    """Such as ``Europe/Berlin``, for the time that is told; empty: this machine's."""
    openai: OpenAi = OpenAi()
    asr: VoiceStage = VoiceStage()
    llm: Llm = Llm()
    tts: Tts = Tts()
    vision: Vision = Vision()


class Platform(Section):
    """What reaches this server where it is hosted (docs/installing.md)."""

    http_only: Annotated[bool | Literal["auto"], BeforeValidator(_auto_or_switch)] = "auto"
    """Whether nothing but HTTP is routed to it, so that devices use WebSocket; ``auto``: true on a platform known to do so."""
    routers: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks of the platform's own router: of its X-Forwarded-For the last address is believed, and its X-Forwarded-Proto."""


class Log(Section):
    """What is written to the log, and how."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """The least that is worth a line."""
    format: Literal["text", "json"] = "text"
    """``json``: one object a line, with the device and the session it is about (docs/watching.md)."""
