"""The stand-in's ports: one for all routes, one more for each route, that can be closed, and one from which tests rule it."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import gevent.socket
from gevent.server import StreamServer

from tests.openai_server import chat, speech, transcriptions
from tests.openai_server.answer import Answer, BadRequest
from tests.openai_server.behaviour import REFUSE, ROUTES, Behaviour
from tests.openai_server.delivery import Broken, deliver, refuse
from tests.openai_server.record import Record
from tests.openai_server.wire import ClientGone, Connection, Request
from tests.ports import free_port
from tests.shared import SHARED, packets_of, recordings

HOST = "127.0.0.1"
ALL = "all"
PATHS = {
    ("POST", "/v1/audio/transcriptions"): "transcriptions",
    ("POST", "/v1/chat/completions"): "chat",
    ("POST", "/v1/audio/speech"): "speech",
    ("GET", "/v1/models"): "models",
}
MODELS = ("gpt-4o-mini", "gpt-4o-mini-transcribe", "gpt-4o-mini-tts")


class Door:
    """A port that can be closed and opened again; with it go the connections that came through it."""

    def __init__(self, serve: Callable[[Connection], None]) -> None:
        self._serve = serve
        self._connections: set[Connection] = set()
        self._server: StreamServer | None = None
        self.port = free_port()  # while it is closed nobody else gets it
        self.open()

    def open(self) -> None:
        if self._server is None:
            self._server = StreamServer((HOST, self.port), self._accept, backlog=512)
            self._server.start()

    def close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()
        for connection in list(self._connections):
            connection.close()

    def _accept(self, sock: gevent.socket.socket, _: Any) -> None:
        connection = Connection(sock)
        self._connections.add(connection)
        try:
            self._serve(connection)
        except ClientGone:
            pass
        except Broken as fault:
            connection.close(fault.abruptly)
        finally:
            self._connections.discard(connection)
            connection.close()


class Service:
    """All of the stand-in."""

    def __init__(self) -> None:
        self._voice = speech.Voice()
        self._recordings = transcriptions.Recordings()
        for entry in recordings() if SHARED.is_dir() else ():
            self._recordings.add(entry["file"], entry["text"], packets_of(entry["file"]))
        self._connections = 0
        self._records: list[Record] = []
        self._behaviours: dict[str, list[Behaviour]] = {}
        self._struck: Counter[tuple[str, str]] = Counter()
        self._doors = {name: Door(self._serve) for name in (ALL, *ROUTES)}
        self._control = Door(self._rule)
        self._reset()

    @property
    def ports(self) -> dict[str, int]:
        """By the route's name; ``all`` and ``control``."""
        return {name: door.port for name, door in self._doors.items()} | {"control": self._control.port}

    # What clients ask

    def _serve(self, connection: Connection) -> None:
        self._connections += 1
        number = self._connections
        while (request := connection.read()) is not None:
            route = PATHS.get((request.method, request.path.partition("?")[0]), "")
            bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
            record = Record(route, request.path, number, request.first_byte_at, request.last_byte_at, bearer)
            self._records.append(record)
            try:
                self._answer(connection, request, record)
            except (ClientGone, Broken) as end:
                if isinstance(end, ClientGone):
                    record.gone_at = time.monotonic()
                else:
                    record.finished_at = time.monotonic()
                raise

    def _answer(self, connection: Connection, request: Request, record: Record) -> None:
        if record.route not in ROUTES:
            refuse(connection, record, 404, f"Invalid URL ({request.method} {request.path})")
            return
        try:
            answer = self._make(request, record.route, record.facts, blank=False)
        except BadRequest as fault:
            refuse(connection, record, 400, str(fault))
            return
        record.subject = record.facts.pop("subject", "")
        fitting = (one for one in self._behaviours[record.route] if one.when in record.subject)
        behaviour = next(fitting, Behaviour())
        record.fault = self._strike(record.route, behaviour)
        if record.fault == "blank":
            answer = self._make(request, record.route, {}, blank=True)
        deliver(connection, record, answer, behaviour)

    def _strike(self, route: str, behaviour: Behaviour) -> str:
        key = route, behaviour.when
        if not behaviour.fault or (behaviour.times and self._struck[key] >= behaviour.times):
            return ""
        self._struck[key] += 1
        return behaviour.fault

    def _make(self, request: Request, route: str, facts: dict[str, Any], blank: bool) -> Answer:
        if route == "models":
            models = [{"id": name, "object": "model", "owned_by": "stand-in"} for name in MODELS]
            return Answer("application/json", [json.dumps({"object": "list", "data": models}).encode()])
        makers: dict[str, Callable[[], Answer]] = {
            "transcriptions": partial(
                transcriptions.answer,
                request.headers.get("content-type", ""),
                request.body,
                self._recordings,
                self._script["heard"],
                facts,
                blank,
            ),
            "chat": partial(chat.answer, request.body, self._rules, facts, blank),
            "speech": partial(speech.answer, request.body, self._voice, self._script["ms_per_character"], facts, blank),
        }
        return makers[route]()

    # What tests say

    def _rule(self, connection: Connection) -> None:
        while (request := connection.read()) is not None:
            try:
                status, document = "200 OK", self._obey(request)
            except (ValueError, TypeError, KeyError) as fault:
                status, document = "400 Bad Request", {"error": repr(fault)}
            text = json.dumps(document).encode()
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
            connection.send(head.encode() + text)

    def _obey(self, request: Request) -> Any:
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["records"]:
                return [asdict(record) for record in self._records]
            case "DELETE", ["records"]:
                self._records.clear()
            case "PUT", ["routes", route]:
                self._behave(route, Behaviour.of(json.loads(request.body)))
            case "PUT", ["script"]:
                self._learn(json.loads(request.body))
            case "POST", ["recordings"]:
                told = json.loads(request.body)
                self._recordings.add(told["name"], told["text"], map(bytes.fromhex, told["packets"]))
            case "POST", ["reset"]:
                self._reset()
            case _:
                raise KeyError(request.path)
        return {}

    def _behave(self, route: str, behaviour: Behaviour) -> None:
        others = [one for one in self._behaviours[route] if one.when != behaviour.when]
        self._behaviours[route] = sorted([behaviour, *others], key=lambda one: one.when == "")
        del self._struck[route, behaviour.when]
        door = self._doors[route]
        if behaviour.fault == REFUSE:
            door.close()
        else:
            door.open()

    def _learn(self, told: dict[str, Any]) -> None:
        if "rules" in told:
            self._rules = (*(chat.Rule.of(rule) for rule in told.pop("rules")), *chat.RULES)
        if unknown := told.keys() - self._script:
            raise KeyError(unknown)
        self._script |= told

    def _reset(self) -> None:
        """As it was at the start, but for the recordings."""
        self._records.clear()
        self._rules = chat.RULES
        self._script: dict[str, Any] = {"heard": "hello there", "ms_per_character": 30}
        for route in ROUTES:
            self._behaviours[route] = []
            self._behave(route, Behaviour())


def run(tell: Callable[[dict[str, int]], None], wait: Callable[[], None]) -> None:
    """Serves until ``wait`` returns; ``tell`` gets the ports."""
    service = Service()
    tell(service.ports)
    with contextlib.suppress(KeyboardInterrupt):
        wait()
