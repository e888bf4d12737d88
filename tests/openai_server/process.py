"""A stand-in for OpenAI's endpoints as a process of its own: real HTTP, delays, faults, and a memory of what was asked."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tests.openai_server.behaviour import Behaviour
from tests.openai_server.chat import Rule
from tests.openai_server.record import Record
from tests.stand_in import StandIn

HOST = "127.0.0.1"
KEY = "sk-stand-in"


class OpenAiServer:
    """A context manager: inside it the server runs. Nothing in here waits for anything but its own answers."""

    def __init__(self) -> None:
        self._server: StandIn | None = None
        self._ports: dict[str, int] = {}

    def __enter__(self) -> OpenAiServer:
        self._server = StandIn("tests.openai_server")
        self._ports = self._server.ports
        return self

    def __exit__(self, *_: object) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    @property
    def base_url(self) -> str:
        """Of all routes."""
        return self.base_url_of("all")

    def base_url_of(self, route: str) -> str:
        """The same routes on the port that ``refuse`` closes for ``route``."""
        return f"http://{HOST}:{self._ports[route]}/v1"

    def environment(self) -> dict[str, str]:
        """What a voice server has to be started with: one account, and each stage on a port of its own."""
        stages = {"ASR": "transcriptions", "LLM": "chat", "TTS": "speech"}
        own = {}
        for stage, route in stages.items():
            own[f"XIAOZHI_VOICE__{stage}__OPENAI__BASE_URL"] = self.base_url_of(route)
            own[f"XIAOZHI_VOICE__{stage}__OPENAI__API_KEY"] = KEY
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": KEY, **own}

    # What tests say

    def behave(
        self,
        route: str,
        fault: str = "",
        times: int = 0,
        *,
        when: str = "",
        before_head: float = 0.0,
        before_body: float = 0.0,
        between_chunks: float = 0.0,
    ) -> None:
        """How ``route`` behaves from now on (see `Behaviour`)."""
        behaviour = Behaviour(before_head, before_body, between_chunks, fault, times, when)
        self._control("PUT", f"/routes/{route}", asdict(behaviour))

    def script(
        self, *, heard: str | None = None, ms_per_character: int | None = None, rules: Sequence[Rule] | None = None
    ) -> None:
        """``heard``: in speech that is no known recording; ``rules``: go before the usual ones."""
        told: dict[str, Any] = {"heard": heard, "ms_per_character": ms_per_character}
        told = {name: value for name, value in told.items() if value is not None}
        self._control("PUT", "/script", told if rules is None else told | {"rules": [asdict(rule) for rule in rules]})

    def know(self, name: str, text: str, packets: Sequence[bytes]) -> None:
        """Whoever sends ``packets`` has said ``text``."""
        self._control("POST", "/recordings", {"name": name, "text": text, "packets": [packet.hex() for packet in packets]})

    def reset(self) -> None:
        """Quick, without faults, nothing remembered."""
        self._control("POST", "/reset")

    def forget(self) -> None:
        """Of the requests, all."""
        self._control("DELETE", "/records")

    def records(self, route: str = "") -> list[Record]:
        """The requests so far, in the order of their arrival; of one route, or of all."""
        every = [Record(**record) for record in self._control("GET", "/records")]
        return [record for record in every if route in ("", record.route)]

    def _control(self, method: str, path: str, document: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(HOST, self._ports["control"], timeout=10)
        try:
            connection.request(method, path, json.dumps(document or {}))
            answer = connection.getresponse()
            told = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(told["error"])
        return told
