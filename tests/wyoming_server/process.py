"""A Wyoming server as a process of its own: Home Assistant's protocol for recognizers and voices, with faults on demand."""

from __future__ import annotations

from typing import Any

from tests.stand_in import StandIn

HOST = "127.0.0.1"


class WyomingServer:
    """A context manager: inside it the server runs, for both kinds of work on one port."""

    def __init__(self) -> None:
        self._server: StandIn | None = None
        self.port = 0

    def __enter__(self) -> WyomingServer:
        self._server = StandIn("tests.wyoming_server")
        self.port = self._server.ports["port"]
        return self

    def __exit__(self, *_: object) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def environment(self) -> dict[str, str]:
        """What a voice server has to be started with to hear and speak through this one."""
        settings = {}
        for stage in ("ASR", "TTS"):
            settings[f"XIAOZHI_VOICE__{stage}__PROVIDER"] = "wyoming"
            settings[f"XIAOZHI_VOICE__{stage}__WYOMING__HOST"] = HOST
            settings[f"XIAOZHI_VOICE__{stage}__WYOMING__PORT"] = str(self.port)
        return settings

    def behave(self, **wanted: Any) -> None:
        """``asr``, ``tts``: faults; ``text``: what is heard; ``delay``: seconds (see `Wanted`); what is not said is as usual."""
        self._order({"behaviour": wanted})

    def reset(self) -> None:
        self.behave()
        self._order({"order": "forget"})

    def records(self, kind: str = "") -> list[dict[str, Any]]:
        """What was asked of it: ``asr``, ``tts``, or all."""
        return [record for record in self._order({"order": "records"}) if kind in ("", record["kind"])]

    def _order(self, order: dict[str, Any]) -> Any:
        assert self._server is not None
        answer = self._server.tell(order)
        if isinstance(answer, dict) and "error" in answer:
            raise ValueError(answer["error"])
        return answer
