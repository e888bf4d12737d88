"""What was seen of each device on its way in: noted by those who see it, read by `app.session.way_in`. In memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from app.session.channel import Route
from app.session.session import Session

MAX_DEVICES = 50_000
"""Over it the device noted least recently is forgotten."""
MAX_REASON_CHARS = 200


@dataclass(frozen=True, slots=True)
class AskedOta:
    """An OTA request, ``at`` seconds since the epoch. ``endpoint``: of MQTT as the device was told it, else empty;
    ``websocket_url``: the same; ``is_pending``: it was told its activation code instead. ``refusals``: how many connections the
    built-in broker had refused by then for wrong credentials."""

    at: float
    endpoint: str
    websocket_url: str
    is_pending: bool
    refusals: int


@dataclass(frozen=True, slots=True)
class HelloRefused:
    """``result``: its name among the figures (``refused_full``); ``reason``: the sentence that the device was told."""

    at: float
    result: str
    reason: str


@dataclass(frozen=True, slots=True)
class SessionOver:
    """``reason``: as figures and logs give it; ``lasted``: seconds; ``has_listened``, ``packets`` and ``implausible``: see
    `Session`, `Reception` and `Channel`."""

    at: float
    reason: str
    lasted: float
    route: Route
    has_listened: bool
    packets: int
    implausible: int


@dataclass(frozen=True, slots=True)
class WebSocketSeen:
    """Since when it is open, or was closed with ``code``."""

    at: float
    code: int | None = None


class Trail:
    """One device's: the last of each, None where there was none."""

    __slots__ = ("asked_ota", "over", "refused", "websocket")

    def __init__(self) -> None:
        self.asked_ota: AskedOta | None = None
        self.refused: HelloRefused | None = None
        """None again when a hello was accepted."""
        self.over: SessionOver | None = None
        self.websocket: WebSocketSeen | None = None


NO_TRAIL = Trail()


class Trails:
    """Those of the MAX_DEVICES noted last. ``clock``: seconds since the epoch; ``refusals()``: how many connections the built-in
    broker has refused for wrong credentials."""

    def __init__(
        self, clock: Callable[[], float] = time.time, refusals: Callable[[], int] = lambda: 0, most: int = MAX_DEVICES
    ) -> None:
        self._clock = clock
        self._refusals = refusals
        self._most = most
        self._trails: OrderedDict[str, Trail] = OrderedDict()

    def __len__(self) -> int:
        return len(self._trails)

    def of(self, device_id: str) -> Trail:
        """What is known; an empty trail of a device that was never seen. Not to be written to."""
        return self._trails.get(device_id, NO_TRAIL)

    def asked_ota(self, device_id: str, *, endpoint: str = "", websocket_url: str = "", is_pending: bool = False) -> None:
        """The device has been answered by OTA."""
        asked = AskedOta(self._clock(), endpoint, websocket_url, is_pending, self._refusals())
        self._note(device_id).asked_ota = asked

    def websocket_opened(self, device_id: str) -> None:
        """Its handshake is done."""
        self._note(device_id).websocket = WebSocketSeen(self._clock())

    def websocket_closed(self, device_id: str, code: int) -> None:
        """Its last connection is over."""
        self._note(device_id).websocket = WebSocketSeen(self._clock(), code)

    def hello_refused(self, device_id: str, result: str, reason: str) -> None:
        """Its hello got no session."""
        self._note(device_id).refused = HelloRefused(self._clock(), result, reason[:MAX_REASON_CHARS])

    def hello_answered(self, device_id: str) -> None:
        """Its hello got one."""
        self._note(device_id).refused = None

    def session_over(self, session: Session, reason: str, lasted: float) -> None:
        """A session has ended, after so many seconds."""
        channel = session.channel
        self._note(session.device_id).over = SessionOver(
            self._clock(),
            reason,
            lasted,
            channel.route,
            session.has_listened,
            channel.reception.packets,
            channel.implausible,
        )

    def forget(self, device_id: str) -> None:
        """The device was never seen."""
        self._trails.pop(device_id, None)

    def _note(self, device_id: str) -> Trail:
        trail = self._trails.get(device_id)
        if trail is None:
            trail = self._trails[device_id] = Trail()
            if len(self._trails) > self._most:
                self._trails.popitem(last=False)
        else:
            self._trails.move_to_end(device_id)
        return trail
