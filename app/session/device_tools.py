"""What a session knows of its device's tools (PROTOCOL.md 8): that they can be listed, called, and answered for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class DeviceTool(Protocol):
    """One tool. ``schema``: the JSON schema of its arguments; ``for_people``: the mind never calls it by itself."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def schema(self) -> dict[str, Any]: ...

    @property
    def for_people(self) -> bool: ...


class ToolAnswer(Protocol):
    """What came of a call. ``failed``: ``text`` says why the tool did not do it."""

    @property
    def text(self) -> str: ...

    @property
    def failed(self) -> bool: ...


class DeviceTools(Protocol):
    """The tools of one device. What waits for an answer blocks its greenlet, never the hub."""

    def list_all(self, seconds: float) -> Sequence[DeviceTool]:
        """Every tool, those for people included, asked of the device. Raises when it does not say them in so many seconds."""
        ...

    def call_any(self, name: str, arguments: dict[str, Any], seconds: float) -> ToolAnswer:
        """Calls a tool, offered to the mind or not. A device that does not answer in time is a failed answer."""
        ...

    def receive(self, payload: dict[str, Any]) -> None:
        """What the device said of its tools."""
        ...

    def close(self) -> None:
        """Fails what waits; twice is fine."""
        ...
