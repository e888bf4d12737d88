"""Control messages: JSON over MQTT, and text frames over WebSocket (PROTOCOL.md 4).

Liberal in what devices send (unknown fields are ignored, missing ones get the meaning that firmware gives them), strict in what
they are sent. A message is one frozen type; `from_device` and `from_server` read one, `encode` writes it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import from_json

from app.protocol.malformed import Malformed

MAX_BYTES = 64 * 1024
"""No control message is longer."""

SAMPLE_RATES = (8000, 12000, 16000, 24000, 48000)
"""Hz that Opus encodes from (RFC 6716, 2.1.3)."""
FRAME_DURATIONS_MS = (10, 20, 40, 60, 80, 100, 120)
"""What one Opus packet can last in steps of whole milliseconds (RFC 6716, 3.2); 5 ms and less are of no use here."""


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class MalformedMessage(Malformed):
    """A control message that cannot be understood. ``is_hello``: whether it is a hello, or may be one that cannot be read."""

    def __init__(self, sentence: str, *, is_hello: bool) -> None:
        super().__init__(sentence)
        self.is_hello = is_hello


def _one_of(allowed: tuple[int, ...]) -> AfterValidator:
    def check(value: int) -> int:
        if value not in allowed:
            raise ValueError(f"{value} is none of {', '.join(map(str, allowed))}")
        return value

    return AfterValidator(check)


def _otherwise(default: Any) -> WrapValidator:
    """What is not of the type counts as ``default``: it is not worth refusing a hello for."""

    def read(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            return default

    return WrapValidator(read)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


class Wire(BaseModel):
    """A JSON object of the wire: unknown fields are ignored, and ``null`` means the same as absent."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if isinstance(value, dict) and None in value.values():
            return {key: field for key, field in value.items() if field is not None}
        return value


class Message(Wire):
    """One control message. ``session_id`` is empty where the sender named none."""

    type: str
    session_id: Annotated[str, Field(max_length=128)] = ""

    def encode(self) -> bytes:
        """The message as compact UTF-8 JSON, without fields that are None and without an empty session id."""
        exclude = None if self.session_id else {"session_id"}
        return self.model_dump_json(exclude_none=True, exclude=exclude).encode()


class AudioParams(Wire):
    """The audio that one side will send. ``sample_rate``: Hz; ``frame_duration``: ms of one Opus packet."""

    format: Annotated[Literal["opus"], BeforeValidator(_lower)] = "opus"
    sample_rate: Annotated[int, _one_of(SAMPLE_RATES)] = 16000
    channels: Annotated[int, _one_of((1, 2))] = 1
    frame_duration: Annotated[int, _one_of(FRAME_DURATIONS_MS)] = 60


class Features(Wire):
    """What a device can do beyond talking."""

    mcp: Annotated[bool, _otherwise(False)] = False
    aec: Annotated[bool, _otherwise(False)] = False


class Hello(Message):
    """A device asks for a session."""

    type: Literal["hello"] = "hello"
    version: Annotated[Annotated[int, Field(ge=0, le=255)] | None, _otherwise(None)] = None
    transport: str = ""
    features: Annotated[Features, _otherwise(Features())] = Features()
    audio_params: AudioParams = AudioParams()


ListenMode = Literal["auto", "manual", "realtime"]


class Listen(Message):
    """The device's microphone starts or stops, or its wake word was heard (``detect``, with the word as ``text``)."""

    type: Literal["listen"] = "listen"
    state: Literal["start", "stop", "detect"]
    mode: ListenMode = "auto"
    text: str = ""


class Abort(Message):
    """The device wants the reply to end now."""

    type: Literal["abort"] = "abort"
    reason: str = ""


class Mcp(Message):
    """JSON-RPC 2.0 between the server (client) and the device's tools (PROTOCOL.md 8). Both directions."""

    type: Literal["mcp"] = "mcp"
    payload: dict[str, Any]


class Goodbye(Message):
    """Either side ends the session ``session_id``."""

    type: Literal["goodbye"] = "goodbye"


class Iot(Message):
    """The legacy description of a device's things: ignored."""

    type: Literal["iot"] = "iot"


class UnknownMessage(Message):
    """A type this server does not know: newer firmware, or a mistake."""


class UdpAddress(Wire):
    """Where and how the device sends its audio. ``key`` and ``nonce``: 32 hex digits."""

    server: str
    port: Annotated[int, Field(ge=1, le=65535)]
    key: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{32}$", repr=False)]
    nonce: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{32}$", repr=False)]
    encryption: str = "aes-128-ctr"


class ServerHello(Message):
    """The session that a hello got. ``audio_params``: what the server will send."""

    type: Literal["hello"] = "hello"
    transport: Literal["udp", "websocket"]
    version: int | None = None
    audio_params: AudioParams
    udp: UdpAddress | None = None


class Stt(Message):
    """What was heard."""

    type: Literal["stt"] = "stt"
    text: str


class Llm(Message):
    """The face to make: ``emotion`` by name, ``text`` its emoji."""

    type: Literal["llm"] = "llm"
    emotion: str
    text: str


class Tts(Message):
    """The reply's progress: ``start``, each sentence as it begins, ``stop`` when its last frame has been played."""

    type: Literal["tts"] = "tts"
    state: Literal["start", "sentence_start", "stop"]
    text: str | None = None


class System(Message):
    type: Literal["system"] = "system"
    command: Literal["reboot"]


class Alert(Message):
    """A notice on the device's screen. All three fields are required by firmware."""

    type: Literal["alert"] = "alert"
    status: str
    message: str
    emotion: str


class Custom(Message):
    """Whatever a firmware's maker agreed with the server's owner."""

    type: Literal["custom"] = "custom"
    payload: dict[str, Any]


FromDevice = Hello | Listen | Abort | Mcp | Goodbye | Iot | UnknownMessage
FromServer = ServerHello | Stt | Llm | Tts | Mcp | System | Alert | Custom | Goodbye | UnknownMessage


class _Union:
    """A union of messages told apart by ``type``; a type outside it is an UnknownMessage."""

    def __init__(self, *models: type[Message]) -> None:
        self._names = {str(model.model_fields["type"].default): model for model in models}
        tagged: Any = Annotated[UnknownMessage, Tag("?")]
        for name, model in self._names.items():
            tagged = tagged | Annotated[model, Tag(name)]
        self._adapter: TypeAdapter[Any] = TypeAdapter(Annotated[tagged, Discriminator(self._tag)])

    def _tag(self, value: object) -> str | None:
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            return None
        return value["type"] if value["type"] in self._names else "?"

    def decode(self, payload: bytes | str) -> Any:
        if isinstance(payload, str):
            payload = payload.encode("utf-8", "surrogatepass")  # a lone surrogate is then refused as no UTF-8
        may_be_hello = b'"hello"' in payload
        if len(payload) > MAX_BYTES:
            sentence = f"a control message of {len(payload)} bytes; {MAX_BYTES} at most"
            raise MalformedMessage(sentence, is_hello=may_be_hello)
        try:
            # Not validate_json: our validators want Python values, which it would make more than once.
            return self._adapter.validate_python(from_json(payload))
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False)[0]
            if not fault["loc"]:
                sentence = 'a control message has to be a JSON object with a string "type"'
                raise MalformedMessage(sentence, is_hello=may_be_hello) from None
            kind, *field = map(str, fault["loc"])
            why = str(fault.get("ctx", {}).get("error", fault["msg"]))
            raise MalformedMessage(": ".join(filter(None, (kind, ".".join(field), why))), is_hello=kind == "hello") from None
        except ValueError as error:
            raise MalformedMessage(f"no JSON: {error}", is_hello=may_be_hello) from None


_FROM_DEVICE = _Union(Hello, Listen, Abort, Mcp, Goodbye, Iot)
_FROM_SERVER = _Union(ServerHello, Stt, Llm, Tts, Mcp, System, Alert, Custom, Goodbye)


def from_device(payload: bytes | str) -> FromDevice:
    """Reads what a device sent. Raises MalformedMessage with the field that is wrong.

    A byte order mark before the JSON (RFC 8259, 8.1) and the NUL that ends a string in C are no part of it.
    """
    if isinstance(payload, bytes):
        payload = payload.removeprefix(_BYTE_ORDER_MARK).rstrip(b"\0")
    message: FromDevice = _FROM_DEVICE.decode(payload)
    return message


def from_server(payload: bytes | str) -> FromServer:
    """Reads what a server sent. Raises MalformedMessage with the field that is wrong."""
    message: FromServer = _FROM_SERVER.decode(payload)
    return message
