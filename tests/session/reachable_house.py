"""A server's MQTT side and its sessions, without a socket: what devices publish goes in, what they are sent is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.journal import Journal
from app.protocol.messages import Features, Mcp
from app.protocol.topics import BROKER_STATUS_TOPIC, DEVICE_PUBLIC, LIFECYCLE_TOPIC
from app.sections import Sessions, Udp
from app.session.channel import Route
from app.session.idle_tools import IdleTools
from app.session.presence import MqttPresence
from app.session.reach import Reach
from app.session.registry import Registry
from app.session.session import NotPossible, Session, Terms
from app.timers import Timers
from app.transport.broker_watch import BrokerWatch
from app.transport.hybrid import HybridTransport
from app.transport.udp import UdpServer
from tests.session.recording_channel import TERMS, FakeClock, RecordingChannel, RecordingConversation

MAC = "aa:bb:cc:dd:ee:ff"
OTHER = "aa:bb:cc:dd:ee:00"
CLIENT = "GID_default@@@aa_bb_cc_dd_ee_ff@@@7b94d69a-9808-4c59-9c9b-704333b38aff"
TOPIC = f"/p2p/device_sub/{MAC}"
EPOCH = 1_800_000_000.0
"""Seconds since the epoch at which these tests begin."""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    failed: bool = False


class SilentTools:
    """A device's tools, of which only the calls are kept; ``on_call`` may do something in the midst of one."""

    def __init__(self, send: Any = lambda payload: None) -> None:
        self.send = send
        self.called: list[tuple[str, dict[str, Any], float]] = []
        self.received: list[dict[str, Any]] = []
        self.closed = 0
        self.on_call: Any = lambda: None

    def list_all(self, _seconds: float) -> tuple[Any, ...]:
        return ()

    def call_any(self, name: str, arguments: dict[str, Any], seconds: float) -> Answer:
        self.called.append((name, arguments, seconds))
        self.send({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}})
        self.on_call()
        return Answer("done")

    def receive(self, payload: dict[str, Any]) -> None:
        self.received.append(payload)

    def close(self) -> None:
        self.closed += 1


class TalkingConversation(RecordingConversation):
    """``speaks``: what it says of a text; None: it cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.tools: SilentTools | None = None
        self.spoken: list[str] = []
        self.speaks: str | None = "speaking"

    def speak(self, text: str) -> str:
        if self.speaks is None:
            raise NotPossible("8 texts wait already to be spoken to this device: try again later.")
        self.spoken.append(text)
        return self.speaks


class Publisher:
    def __init__(self) -> None:
        self.published: list[tuple[str, dict[str, Any]]] = []

    def publish(self, topic: str, payload: bytes) -> None:
        self.published.append((topic, json.loads(payload)))


class ReachableHouse:
    """``now``: seconds since the epoch; ``connects``: our own connections to the broker; ``trouble``: why there is none."""

    def __init__(self, directory: Path) -> None:
        self.clock = FakeClock()
        self.now = EPOCH
        self.connects = 1
        self.trouble: str | None = None
        self.mqtt = Publisher()
        self.boxes: list[SilentTools] = []
        self.conversations: list[TalkingConversation] = []
        self.timers = Timers(clock=self.clock)
        self.registry = Registry(
            Sessions(), self.timers, Journal(directory / "sessions.jsonl", 10), self._converse, epoch=lambda: self.now
        )
        self.presence = MqttPresence(Journal(directory / "topics.jsonl", 10), lambda: self.connects, clock=lambda: self.now)
        self.watch = BrokerWatch(lambda _device, _host: None, presence=self.presence)
        self.idle_tools = IdleTools(self.make_box, self.timers)
        self.udp = UdpServer(Udp())
        self.transport = HybridTransport(
            self.mqtt,
            self.udp,
            self.registry,
            host_for=lambda _device: "192.168.1.5",
            udp_port=lambda: 8990,
            timers=self.timers,
            presence=self.presence,
            idle_tools=self.idle_tools,
        )
        self.reach = Reach(self.registry, self.transport, self.idle_tools, lambda: self.trouble)

    def _converse(self, _session: Session) -> TalkingConversation:
        self.conversations.append(TalkingConversation())
        return self.conversations[-1]

    def make_box(self, device_id: str) -> Any:
        self.boxes.append(SilentTools(lambda payload: self.transport.send_to(device_id, Mcp(payload=payload))))
        return self.boxes[-1]

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.now += seconds
        self.timers.run_due()

    # What the broker side and the devices say

    def status(self, started_at: float = EPOCH - 60) -> None:
        self.watch.receive(BROKER_STATUS_TOPIC, json.dumps({"started_at": int(started_at * 1000)}).encode())

    def lifecycle(self, state: str, client_id: str = CLIENT, device_id: str = MAC) -> None:
        document = {"device_id": device_id, "client_id": client_id, "state": state, "ts": int(self.now * 1000)}
        self.watch.receive(LIFECYCLE_TOPIC, json.dumps(document).encode())

    def publish(self, message: dict[str, Any], name: str = MAC) -> None:
        self.transport.receive(DEVICE_PUBLIC + name, json.dumps(message).encode())

    def hello(self, name: str = MAC) -> Session:
        self.publish({"type": "hello", "version": 3, "transport": "udp", "features": {"mcp": True}}, name)
        session = self.registry.of_device(MAC)
        assert session is not None
        self.mqtt.published.clear()
        return session

    def websocket_session(self, features: Features = TERMS.features) -> RecordingChannel:
        channel = RecordingChannel(self.clock)
        channel.route = Route("websocket", "192.0.2.1")
        self.registry.open(MAC, channel, Terms(TERMS.uplink, TERMS.downlink, features), note="")
        return channel

    @property
    def sent(self) -> list[dict[str, Any]]:
        """What was published for devices."""
        return [message for _, message in self.mqtt.published]
