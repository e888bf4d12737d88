"""A connection to a server of Home Assistant's Wyoming protocol: events there, events back, one connection for each request.

An event is a line of JSON (its type, and the lengths of what follows), then its data as JSON, then its payload. The events are
those of the `wyoming` package; its own clients are asyncio's, so the reading and writing is done here, over gevent's sockets.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar

import gevent
import gevent.socket
from wyoming.error import Error
from wyoming.event import Event, Eventable, write_event

from app.voice.provider import FaultCode, ProviderFault

T = TypeVar("T")

CONNECT_SECONDS = 5.0
LONGEST_LINE = 65_536
LONGEST_DATA = 1 << 20
LONGEST_PAYLOAD = 16 << 20
"""Bytes. A server that announces more is no Wyoming server."""


class WyomingRefused(ProviderFault):
    """The server says that it could not do it."""


class WyomingUnreachable(ProviderFault):
    """The connection was refused or broke off: another one may do."""


class WyomingConnection:
    """Connects at once. ``timeout_seconds``: for each event sent or awaited; ``place``: its settings, as ``voice.asr.wyoming``.

    Used as a context manager, it is closed by whatever ends the block, a kill of the greenlet included. Raises
    WyomingUnreachable, or ProviderFault for time-outs and for what is no Wyoming.
    """

    def __init__(self, host: str, port: int, timeout_seconds: float, place: str) -> None:
        self._place = place
        self._server = f"the Wyoming server at {host}:{port}"
        self._timeout = timeout_seconds
        with self._faults(min(CONNECT_SECONDS, timeout_seconds)):
            self._socket: Any = gevent.socket.create_connection((host, port))
        self._reader: io.BufferedReader = self._socket.makefile("rb")

    def send(self, *events: Eventable | Event) -> None:
        """Sends these events, in one go."""
        buffer = io.BytesIO()
        for event in events:
            write_event(event if isinstance(event, Event) else event.event(), buffer)
        with self._faults(self._timeout):
            self._socket.sendall(buffer.getvalue())

    def receive(self) -> Event:
        """The next event; an ``error`` of the server's is raised as ProviderFault."""
        with self._faults(self._timeout):
            event = self._read()
        if Error.is_type(event.type):  # its text may repeat what was said
            raise WyomingRefused(f"{self._place}: {self._server} could not do it: look into its log.")
        return event

    def close(self) -> None:
        """Twice is fine."""
        self._reader.close()
        self._socket.close()

    def __enter__(self) -> WyomingConnection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _read(self) -> Event:
        head = self._object(self._line())
        data = head.get("data") or {}
        if not isinstance(data, dict) or not isinstance(head.get("type"), str):
            raise self._no_wyoming()
        data_bytes = self._exactly(head.get("data_length"), LONGEST_DATA)
        if data_bytes:
            data |= self._object(data_bytes)
        payload = self._exactly(head.get("payload_length"), LONGEST_PAYLOAD)
        return Event(type=head["type"], data=data, payload=payload or None)

    def _line(self) -> bytes:
        line = self._reader.readline(LONGEST_LINE)
        if not line:
            raise ConnectionError("closed")
        return line

    def _exactly(self, length: object, most: int) -> bytes:
        if length is None:
            return b""
        if not isinstance(length, int) or not 0 <= length <= most:
            raise self._no_wyoming()
        data = self._reader.read(length)
        if len(data) < length:
            raise ConnectionError("closed")
        return data

    def _object(self, text: bytes) -> dict[str, Any]:
        try:
            document = json.loads(text)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self._no_wyoming()
        return document

    def _no_wyoming(self) -> ProviderFault:
        return ProviderFault(
            f"{self._place}: {self._server} does not speak Wyoming: check {self._place}.host and {self._place}.port.",
            FaultCode.NOT_UNDERSTOOD,
        )

    @contextmanager
    def _faults(self, seconds: float) -> Iterator[None]:
        late = TimeoutError()
        try:
            with gevent.Timeout(seconds, late):
                yield
        except TimeoutError:
            stage = self._place.rpartition(".")[0]
            raise ProviderFault(
                f"{self._place}: {self._server} did not answer in time: is it the right one, and {stage}.timeout_seconds enough?",
                FaultCode.LATE,
            ) from None
        except OSError as error:
            why = error.strerror or "it closed the connection"
            raise WyomingUnreachable(
                f"{self._place}: {self._server} cannot be reached ({why}): does it run, and are {self._place}.host and "
                f"{self._place}.port right?",
                FaultCode.UNREACHABLE,
            ) from None


def once_again(request: Callable[[], T]) -> T:
    """What ``request`` returns; where the connection failed, what it returns the second time."""
    try:
        return request()
    except WyomingUnreachable:
        return request()
