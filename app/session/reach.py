"""Speaking first: what an operator has to say to a device, by its session where it has one, else over MQTT.

Firmware shows alerts, reboots, takes custom messages and answers MCP whenever MQTT is connected, in a session or not; it plays
sound in a session only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from app.protocol.messages import Alert, Custom, Message, System
from app.session.device_tools import DeviceTool, DeviceTools, ToolAnswer
from app.session.idle_tools import IdleTools
from app.session.presence import Connected, Presence
from app.session.registry import Registry
from app.session.saying import Saying
from app.session.session import NotPossible, Session
from app.session.state import Event, State

TEXT_STATUS, TEXT_EMOTION = "Message", "neutral"
"""How a text is shown that cannot be spoken."""
UNCERTAIN = "whether it arrived is not known, because nothing tells whether the device is connected now"


class Result(StrEnum):
    """What became of a message."""

    SPOKEN = "spoken"
    QUEUED = "queued"
    """It is spoken when the present turn is over."""
    SHOWN = "shown"
    SENT = "sent"
    """It is on its way, and no more is known."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``message``: what happened, as a sentence; ``code``: the same for programs."""

    result: Result
    message: str
    code: Saying


class Unreachable(NotPossible):
    """The device is in no session, and not connected over MQTT as far as is known. ``heard_of``: whether anything is known of
    a connection of it."""

    def __init__(self, sentence: str, *, heard_of: bool) -> None:
        super().__init__(sentence, Saying.NOT_CONNECTED if heard_of else Saying.NEVER_CONNECTED)
        self.heard_of = heard_of


class BrokerAway(Exception):
    """This server itself is not connected to the MQTT broker. The text is the sentence."""


class OverMqtt(Protocol):
    """How a device without a session is reached."""

    def presence_of(self, device_id: str) -> Presence:
        """What is known of its connection."""
        ...

    def send_to(self, device_id: str, message: Message) -> Presence:
        """Sends, unless the device is known not to be connected or its topic is not known; returns what is known of it."""
        ...


class Reach:
    """``trouble()``: None while this server is connected to the broker, else why not."""

    def __init__(self, registry: Registry, mqtt: OverMqtt, idle_tools: IdleTools, trouble: Callable[[], str | None]) -> None:
        self._registry = registry
        self._mqtt = mqtt
        self._idle_tools = idle_tools
        self._trouble = trouble

    # Each raises NotPossible (Unreachable), or BrokerAway.

    def speak(self, device_id: str, text: str) -> Outcome:
        """Speaks in the device's session; shows the text on a device that has none."""
        session = self._registry.of_device(device_id)
        if session is None:
            presence = self._send(device_id, Alert(status=TEXT_STATUS, message=text, emotion=TEXT_EMOTION))
            if presence.connected is Connected.YES:
                shown = "The device is in no session, so the text is shown on it and not spoken."
                return Outcome(Result.SHOWN, shown, Saying.TEXT_SHOWN)
            sent = f"The device is in no session. The text was sent to be shown, not spoken; {UNCERTAIN}."
            return Outcome(Result.SENT, sent, Saying.TEXT_SENT)
        begun = session.speak(text)
        unheard = session.state is State.OPENED
        doubt = " No audio of the device has come in this session yet, so it may not hear it." * unheard
        if begun == "queued":
            code = Saying.QUEUED_UNHEARD if unheard else Saying.QUEUED
            return Outcome(Result.QUEUED, f"The text is spoken when the present turn is over.{doubt}", code)
        code = Saying.SPOKEN_UNHEARD if unheard else Saying.SPOKEN
        return Outcome(Result.SPOKEN, f"The device speaks the text now.{doubt}", code)

    def alert(self, device_id: str, alert: Alert) -> Outcome:
        """Shows a notice, with the sound that firmware has for it."""
        if self._tell(device_id, alert):
            return Outcome(Result.SHOWN, "The alert is shown on the device.", Saying.ALERT_SHOWN)
        return Outcome(Result.SENT, f"The alert was sent; {UNCERTAIN}.", Saying.ALERT_SENT)

    def reboot(self, device_id: str) -> Outcome:
        """Restarts the device; a session that it is in ends."""
        if self._tell(device_id, System(command="reboot")):
            return Outcome(Result.SENT, "The device was told to restart.", Saying.RESTART_TOLD)
        return Outcome(Result.SENT, f"The command to restart was sent; {UNCERTAIN}.", Saying.RESTART_SENT)

    def end(self, device_id: str) -> bool:
        """Ends the device's session, because the device was deleted; False when it is in none."""
        session = self._registry.of_device(device_id)
        if session is not None:
            session.end(Event.DELETED)
        return session is not None

    def custom(self, device_id: str, payload: dict[str, Any]) -> Outcome:
        """Sends what the firmware's maker agreed on."""
        if self._tell(device_id, Custom(payload=payload)):
            return Outcome(Result.SENT, "The message was sent to the device.", Saying.CUSTOM_TOLD)
        return Outcome(Result.SENT, f"The message was sent; {UNCERTAIN}.", Saying.CUSTOM_SENT)

    def tools(self, device_id: str, seconds: float) -> Sequence[DeviceTool]:
        """Every tool of the device, asked of it. Blocks the greenlet for so many seconds at most."""
        with self._tools_of(device_id) as tools:
            return tools.list_all(seconds)

    def call_tool(self, device_id: str, name: str, arguments: dict[str, Any], seconds: float) -> ToolAnswer:
        """Calls any tool of the device. Blocks the greenlet for so many seconds at most."""
        with self._tools_of(device_id) as tools:
            return tools.call_any(name, arguments, seconds)

    @contextmanager
    def _tools_of(self, device_id: str) -> Iterator[DeviceTools]:
        session = self._registry.of_device(device_id)
        if session is not None:
            yield _tools_in(session)
            return
        self._check_broker()
        presence = self._mqtt.presence_of(device_id)
        if presence.connected is Connected.NO or presence.topic is None:
            raise _unreachable(presence)
        with self._idle_tools.borrow(device_id) as tools:
            yield tools

    def _tell(self, device_id: str, message: Message) -> bool:
        """Sends by the session or over MQTT; False when nobody knows whether it arrives."""
        session = self._registry.of_device(device_id)
        if session is not None:
            session.tell(message)
            return True
        return self._send(device_id, message).connected is Connected.YES

    def _send(self, device_id: str, message: Message) -> Presence:
        self._check_broker()
        presence = self._mqtt.send_to(device_id, message)
        if presence.connected is Connected.NO or presence.topic is None:
            raise _unreachable(presence)
        return presence

    def _check_broker(self) -> None:
        trouble = self._trouble()
        if trouble is not None:
            raise BrokerAway(f"The device is in no session, and over MQTT it cannot be reached now: {trouble}.")


def _tools_in(session: Session) -> DeviceTools:
    tools = session.tools
    if tools is None:
        has_some = session.terms.features.mcp
        why = "who answers in it uses none" if has_some else "the device's hello says that it has none"
        code = Saying.TOOLS_UNUSED if has_some else Saying.NO_TOOLS
        raise NotPossible(f"No tools of the device can be used in this session: {why}.", code)
    return tools


def _unreachable(presence: Presence) -> Unreachable:
    if presence.since is None:
        return Unreachable("The device is in no session, and of an MQTT connection of it nothing is known.", heard_of=False)
    left = datetime.fromtimestamp(presence.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return Unreachable(f"The device is in no session, and has not been connected over MQTT since {left}.", heard_of=True)
