"""One node: what it consists of, in which order that starts, and how it stops."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask

from app import logs, operators, secrets, settings
from app.broker.rundir import mosquitto_socket
from app.counting import count
from app.devices.activation import Activations
from app.devices.database import BadDatabaseUrl, Database, read_url
from app.devices.directory import Directory
from app.devices.firmware import FirmwareShelf
from app.devices.history import HistoryStore
from app.devices.known import KnownDevices
from app.devices.reached import MAX_DEVICES, ReachedAddresses
from app.devices.rollout import Rollouts
from app.devices.store import DeviceStore
from app.figures import Figures
from app.journal import Journal
from app.mcp.client import ToolBox
from app.mcp.discovery import Vision
from app.node_lock import NodeLock
from app.protocol.messages import Goodbye, Mcp
from app.protocol.topics import PUBLISH_TOPIC
from app.secrets import Secrets
from app.sections import AUTO
from app.session.idle_tools import IdleTools
from app.session.live import Live
from app.session.presence import MAX_DEVICES as MOST_PRESENT
from app.session.presence import MqttPresence
from app.session.reach import Reach
from app.session.registry import Registry
from app.session.trails import Trails
from app.session.vitals import Vitals
from app.session.way_in import WayIn
from app.settings import Settings, SettingsError
from app.timers import Timers
from app.transport.broker_watch import BrokerWatch
from app.transport.hybrid import HybridTransport
from app.transport.mqtt import MqttClient
from app.transport.renaming import RenamingWatch
from app.transport.udp import UdpServer, address_of_this_machine
from app.transport.websocket import NO_NOTE, WebSocketTransport
from app.voice.conversations import Conversations
from app.voice.memory import Memory
from app.voice.trial import Trials
from app.voice.vision import VisionModel
from app.web.application import create_web
from app.web.node import Look
from app.web.streams import Streams
from app.web.vision_offer import VisionOffer

log = logging.getLogger(__name__)

ONLY_HTTP = "only HTTP reaches this server (platform.http_only), so it speaks with devices in their sessions alone"


@dataclass(frozen=True, slots=True)
class Part:
    """What `/readyz` shows of one part."""

    name: str
    ready: Callable[[], str | None]

    def readiness(self) -> str | None:
        """None when ready, else why not."""
        return self.ready()


class Node:
    """The parts of one server process, wired. `start` and `stop` may be called twice."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self.settings = settings
        self.secrets = secrets
        self._lock = NodeLock(settings.state_dir)
        self._lock.acquire()
        self.operators = operators.load(settings.state_dir, settings.console.password)
        self._journals = [
            Journal(settings.state_dir / "reached.jsonl", MAX_DEVICES),
            Journal(settings.state_dir / "sessions.jsonl", settings.sessions.max),
            Journal(settings.state_dir / "topics.jsonl", MOST_PRESENT),
        ]
        self.reached = ReachedAddresses(self._journals[0])
        self._database = _database(settings)
        self.device_store = DeviceStore(self._database)
        self.devices = KnownDevices(self.device_store, self._database.migrate, enforce=settings.auth.enable)
        self.activations = Activations(self._database, settings.auth.code_minutes, self.device_store.now)
        self.firmware = FirmwareShelf(settings.state_dir / "firmware")
        self.rollouts = Rollouts(self._database, self.device_store.now)
        self._timers = Timers()
        self.memory = Memory(HistoryStore(self._database), self.devices.readiness, settings.voice.llm.history_messages)
        self._vision_offer = VisionOffer(settings, secrets.signature_key, self.reached)
        self._eyes = VisionModel(settings.voice.vision, settings.voice.openai) if settings.voice.vision.enable else None
        self._conversations = Conversations(settings, self._timers, self.memory, self._vision_for)
        self._registry = Registry(
            settings.sessions,
            self._timers,
            self._journals[1],
            self._conversations.converse,
            self.devices.refusal,
            trails=Trails(refusals=lambda: self._broker.refusals),
        )
        self._udp = UdpServer(settings.udp)
        self._mqtt = MqttClient(settings, secrets, mosquitto_socket(settings.state_dir), self._receive)
        self._presence = MqttPresence(self._journals[2], lambda: self._mqtt.connects)
        self._broker = BrokerWatch(self.reached.mqtt, presence=self._presence)
        self._idle_tools = IdleTools(self._tools_outside, self._timers)
        self._hybrid = HybridTransport(
            self._mqtt,
            self._udp,
            self._registry,
            host_for=self._udp_host_for,
            udp_port=lambda: settings.udp_external_port,
            timers=self._timers,
            presence=self._presence,
            idle_tools=self._idle_tools,
        )
        self.reach = Reach(self._registry, self._hybrid, self._idle_tools, self._mqtt_readiness)
        self._renaming = RenamingWatch(self._mqtt.where)
        self.websocket = WebSocketTransport(self._registry, self._timers, settings.websocket.max_connections)
        self.directory = Directory(self._database)
        self.streams = Streams()
        self._vitals = Vitals(self._registry, self._timers)
        self.live = self._make_live()
        self._running = False

    def start(self) -> None:
        """Timers first, since everybody uses them; UDP before MQTT, so that no hello is answered with a closed port."""
        if self._running:
            return
        self._running = True
        _calm_the_collector()
        self.devices.start()
        self.memory.start()
        self._timers.start()
        self._registry.start()
        self._vitals.start()
        if not self.settings.http_only:
            self._udp.start()
        self.websocket.start()
        self._end_sessions_of_a_crash()
        if not self.settings.http_only:
            self._mqtt.start()

    def stop(self) -> None:
        """Goodbyes while MQTT still lives, then everything in the opposite order."""
        if not self._running:
            return
        self._running = False
        self.streams.close()
        self._vitals.stop()
        self.websocket.stop()
        self._registry.stop()
        self._mqtt.stop()
        self._udp.stop()
        self._timers.stop()
        self._idle_tools.close()
        self._conversations.stop()
        self.memory.stop()
        if self._eyes is not None:
            self._eyes.close()
        self.devices.stop()
        self._database.close()
        for journal in self._journals:
            journal.close()
        self._lock.release()
        log.info("the server has stopped")

    @property
    def trials(self) -> Trials:
        """Tries who works for the conversations."""
        return self._conversations.trials

    @property
    def vision(self) -> Look | None:
        """Looks at the pictures of devices; None where no model is configured."""
        return None if self._eyes is None else self._eyes.look

    def parts(self) -> Sequence[Part]:
        """What has to be ready for a device to be served."""
        parts: tuple[Part, ...] = (
            Part("broker", self._broker_readiness),
            Part("mqtt", self._mqtt.readiness),
            Part("udp", self._udp.readiness),
        )
        if self.settings.http_only:
            parts = (Part("websocket", lambda: None if self._running else "it is not running"),)
        # Without activation, devices are served whether they can be remembered or not.
        return (*parts, Part("devices", self.devices.readiness)) if self.settings.auth.enable else parts

    def figures(self) -> Figures:
        """What has been counted up to now."""
        return count(
            registry=self._registry,
            udp_server=self._udp,
            mqtt=self._mqtt,
            hybrid=self._hybrid,
            websocket=self.websocket,
            conversations=self._conversations,
            devices=self.devices.figures(),
            broker=self._broker.figures(),
        )

    def _make_live(self) -> Live:
        registry, presence = self._registry, self._presence
        way_in = WayIn(
            registry.trails,
            presence,
            registry.of_device,
            broker_is_ready=lambda: self._broker_readiness() is None,
            refusals=lambda: self._broker.refusals,
            may_talk=self.devices.refusal,
            clock=self._timers.clock,
            epoch=time.time,
        )
        return Live(registry, presence, way_in, self._vitals, clock=self._timers.clock)

    def _broker_readiness(self) -> str | None:
        return self._broker.readiness() if self.settings.runs_broker else self._mqtt.readiness()

    def _mqtt_readiness(self) -> str | None:
        return ONLY_HTTP if self.settings.http_only else self._mqtt.readiness()

    def _vision_for(self, device_id: str) -> Vision | None:
        return None if self._eyes is None else self._vision_offer.for_device(device_id)

    def _tools_outside(self, device_id: str) -> ToolBox:
        """The tools of a device that is in no session."""

        def send(payload: dict[str, Any]) -> None:
            self._hybrid.send_to(device_id, Mcp(payload=payload))

        return self._conversations.tool_box(device_id, send)

    def _receive(self, topic: str, payload: bytes) -> None:
        if topic == PUBLISH_TOPIC:
            self._renaming.bare(payload)
        elif not self._broker.receive(topic, payload):
            if not self.settings.mqtt_server.enable:
                self._renaming.renamed(payload)
            self._hybrid.receive(topic, payload)

    def _udp_host_for(self, device_id: str) -> str:
        """Where the device is told to send its audio: as configured, else where it reached us (DESIGN.md)."""
        written = self.settings.udp.external_host
        if written != AUTO:
            return written
        known = self.reached.address_for(device_id)
        if known is not None:
            return known
        own = self._mqtt.local_address or address_of_this_machine()
        log.warning(
            "%s: by which address it reaches us is not known; it is told %s: set udp.external_host",
            device_id,
            own,
            extra=logs.about(device_id),
        )
        return own

    def _end_sessions_of_a_crash(self) -> None:
        """A process that was killed said no goodbye: its devices would wait two minutes for a session that is gone."""
        journal = self._journals[1]
        left = list(journal.items())
        orphans = [(session_id, reply_topic) for session_id, reply_topic in left if reply_topic != NO_NOTE]
        for session_id, reply_topic in orphans:
            self._mqtt.publish(str(reply_topic), Goodbye(session_id=session_id).encode())
        for session_id, _ in left:
            journal.remove(session_id)
        if orphans:
            log.warning("%d sessions of a process that was killed are ended with a goodbye", len(orphans))


def _database(settings: Settings) -> Database:
    try:
        url = read_url(settings.database.url, settings.state_dir)
    except BadDatabaseUrl as fault:
        raise SettingsError(f"database.url or DATABASE_URL: {fault}.") from None
    return Database(url, settings.state_dir / "database.lock")


def _calm_the_collector() -> None:
    """Takes what lives for ever out of the garbage collector's sight, and makes it look seldom: a full collection holds the hub.

    Sessions hold no cycles once they have ended, so little is left for it to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def create_app() -> Flask:
    """The WSGI application of a node made from the configuration; `gunicorn.conf.py` starts and stops the node.

    Raises SettingsError, or NodeLockedError, whose text says what to do.
    """
    configuration = settings.load()
    logs.set_up(configuration.log)
    node = Node(configuration, secrets.load_or_create(configuration))
    web = create_web(node)
    web.extensions["node"] = node
    return web
