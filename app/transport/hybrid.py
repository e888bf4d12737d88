"""The hybrid transport: control messages over MQTT, audio over UDP; from a device's hello to its session."""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from app.logs import about
from app.protocol.audio_packet import nonce
from app.protocol.cipher import KEY_SIZE, KeyExhausted
from app.protocol.malformed import Malformed
from app.protocol.messages import (
    Alert,
    AudioParams,
    FromDevice,
    Goodbye,
    Hello,
    Iot,
    MalformedMessage,
    Mcp,
    Message,
    ServerHello,
    UdpAddress,
    UnknownMessage,
    from_device,
)
from app.protocol.topics import Sender, sender_of
from app.session.channel import Route
from app.session.idle_tools import IdleTools
from app.session.presence import Connected, MqttPresence, Presence
from app.session.reception import Reception
from app.session.registry import Refused, Registry
from app.session.session import Session, Terms
from app.session.state import Event
from app.throttle import Throttle
from app.transport.audio_leg import AudioLeg
from app.transport.udp import UdpServer

if TYPE_CHECKING:
    from app.timers import Timers

log = logging.getLogger(__name__)

DOWNLINK_RATE = 24_000
"""Hz that the server's hello announces (PROTOCOL.md 4)."""
PROTOCOL_VERSION = 3
HELLO_RESULTS = (
    "accepted",
    "refused_full",
    "refused_rate",
    "refused_malformed",
    "refused_transport",
    "refused_inactive",
    "failed",
)


class Publisher(Protocol):
    """The MQTT client, as far as this module needs it."""

    def publish(self, topic: str, payload: bytes) -> None: ...


class HybridChannel:
    """Reaches one device over MQTT and UDP.

    ``reply_topic``: the device's, in the spelling in which it last spoke; ``told``: where it is to send its audio;
    ``reception``: what came of it.
    """

    def __init__(
        self,
        mqtt: Publisher,
        udp: UdpServer,
        reply_topic: str,
        told: UdpAddress,
        *,
        reception: Reception,
        give_up: Callable[[], None],
    ) -> None:
        self._mqtt = mqtt
        self._udp = udp
        self.reply_topic = reply_topic
        self._give_up: Callable[[], None] | None = give_up
        self._leg: AudioLeg | None = None
        self._host = told.server
        self._port = told.port
        self._implausible = 0
        self.reception = reception
        self.sent = 0

    def attach(self, leg: AudioLeg) -> None:
        """The UDP leg of this channel, from now on received."""
        self._leg = leg
        self._udp.add(leg)

    def send_json(self, message: Message) -> None:
        self._mqtt.publish(self.reply_topic, message.encode())

    def seal_audio(self, packets: Sequence[bytes]) -> list[bytes]:
        if self._leg is None:
            return []
        try:
            return self._leg.seal(packets)
        except (KeyExhausted, Malformed) as error:
            log.error("a session cannot send any more audio: %s", error)
            if self._give_up is not None:
                self._give_up()
            return []

    def send_audio(self, sealed: bytes) -> None:
        if self._leg is not None and self._udp.send(self._leg, sealed):
            self.sent += 1

    @property
    def implausible(self) -> int:
        return self._implausible if self._leg is None else self._leg.implausible

    @property
    def route(self) -> Route:
        address = None if self._leg is None else self._leg.address
        device = None if address is None else str(address[0]).removeprefix("::ffff:")
        return Route("udp", device, self._host, self._port)

    @property
    def audio_trouble(self) -> str | None:
        if self._leg is None or self._leg.address is not None:
            return None
        where = f"UDP {self._host} port {self._port}"
        if self._leg.implausible:
            return (
                f"What arrives on {where} is not the Opus that hello announced: "
                "does the device use this session's key and its own frame_duration?"
            )
        return f"No audio has arrived: is {where} open from the device to the server?"

    def close(self) -> None:
        if self._leg is not None:
            self._udp.remove(self._leg)
            self._implausible = self._leg.implausible
            self._leg = None
        self._give_up = None  # it holds the session, which holds this channel


class HybridTransport:
    """Takes what devices publish, answers their hellos, and hands the rest to their sessions.

    ``host_for(device_id)``: the address at which that device is to send its audio; ``udp_port`` the port it is told.
    ``presence`` is told who spoke, and ``idle_tools`` gets what devices without a session say of their tools.
    ``hellos`` counts hellos by result, ``malformed`` messages that could not be read.
    """

    def __init__(
        self,
        mqtt: Publisher,
        udp: UdpServer,
        registry: Registry,
        *,
        host_for: Callable[[str], str],
        udp_port: Callable[[], int],
        timers: Timers,
        presence: MqttPresence | None = None,
        idle_tools: IdleTools | None = None,
    ) -> None:
        self._mqtt = mqtt
        self._udp = udp
        self._registry = registry
        self._presence = presence
        self._idle_tools = idle_tools
        self._host_for = host_for
        self._udp_port = udp_port
        self._complaints = Throttle(per_second=1 / 60, burst=3, clock=timers.clock)
        self.hellos = Counter(dict.fromkeys(HELLO_RESULTS, 0))
        self.malformed = 0

    def receive(self, topic: str, payload: bytes) -> None:
        """One message of a device's public topic. Whatever it holds, this returns."""
        try:
            sender = sender_of(topic)
        except Malformed as error:
            self._complain(topic, str(error))
            return
        if self._presence is not None:
            self._presence.spoke(sender)
        try:
            message = from_device(payload)
        except MalformedMessage as error:
            self._complain(sender.device_id, str(error), sender.device_id)
            if error.is_hello:
                self._refuse(sender, Refused.not_understood(error))
            return
        if isinstance(message, Hello):
            self._hello(sender, message)
        elif isinstance(message, Iot | UnknownMessage):
            if self._complaints.allows(f"{sender.device_id} {message.type}"):
                log.info("%s: a message of type %.40r is ignored", sender.device_id, message.type, extra=about(sender.device_id))
        else:
            self._pass_on(sender, message)

    def presence_of(self, device_id: str) -> Presence:
        """What is known of the device's MQTT connection."""
        return Presence() if self._presence is None else self._presence.of(device_id)

    def send_to(self, device_id: str, message: Message) -> Presence:
        """Sends to a device that is in no session, unless it is known not to be connected or its topic is not known."""
        presence = self.presence_of(device_id)
        if presence.topic is not None and presence.connected is not Connected.NO:
            self._mqtt.publish(presence.topic, message.encode())
        return presence

    def _complain(self, who: str, what: str, device_id: str = "") -> None:
        self.malformed += 1
        if self._complaints.allows(who):
            log.warning("%.120s: a message that cannot be understood: %s", who, what, extra=about(device_id))

    def _pass_on(self, sender: Sender, message: FromDevice) -> None:
        """A message within a session: the one it names, or the device's own when it names none."""
        session = self._registry.of_id(message.session_id) if message.session_id else self._registry.of_device(sender.device_id)
        if session is not None and session.device_id == sender.device_id:
            if isinstance(session.channel, HybridChannel):
                session.channel.reply_topic = sender.reply_topic
            session.receive(message)
        elif isinstance(message, Mcp) and self._answers_outside(sender.device_id, message):
            pass  # firmware names its last session in it, which is long over
        elif not isinstance(message, Goodbye):
            # The device is in a session that we no longer have: it starts afresh instead of waiting.
            self._mqtt.publish(sender.reply_topic, Goodbye(session_id=message.session_id).encode())

    def _answers_outside(self, device_id: str, message: Mcp) -> bool:
        return self._idle_tools is not None and self._idle_tools.receive(device_id, message.payload)

    def _hello(self, sender: Sender, hello: Hello) -> None:
        try:
            if hello.transport not in ("", "udp"):
                raise Refused("refused_transport", "Over MQTT the audio goes by UDP: say hello with transport udp.")
            self._registry.admit(sender.device_id)
            self._open(sender, hello)
        except Refused as refusal:
            self._refuse(sender, refusal)
        except Exception:
            log.exception("%s: its hello could not be answered", sender.device_id, extra=about(sender.device_id))
            self._refuse(sender, Refused("failed", "The server could not open a session; its log says why."))
        else:
            self.hellos["accepted"] += 1
            if self._idle_tools is not None:
                self._idle_tools.drop(sender.device_id)

    def _refuse(self, sender: Sender, refusal: Refused) -> None:
        """A hello is never met with silence: the device shows why there is no session."""
        self.hellos[refusal.result] += 1
        self._registry.trails.hello_refused(sender.device_id, refusal.result, str(refusal))
        if self._complaints.allows(f"{sender.device_id} {refusal.result}"):
            log.warning("%s: hello refused: %s", sender.device_id, refusal, extra=about(sender.device_id))
        self._mqtt.publish(sender.reply_topic, Alert(status="Error", message=str(refusal), emotion="sad").encode())

    def _open(self, sender: Sender, hello: Hello) -> None:
        key, ssrc = secrets.token_bytes(KEY_SIZE), self._udp.fresh_ssrc()
        address = UdpAddress(
            server=self._host_for(sender.device_id), port=self._udp_port(), key=key.hex(), nonce=nonce(ssrc).hex()
        )
        uplink = hello.audio_params
        downlink = AudioParams(sample_rate=DOWNLINK_RATE, frame_duration=uplink.frame_duration)
        reception = Reception(uplink.frame_duration)
        channel = HybridChannel(
            self._mqtt,
            self._udp,
            sender.reply_topic,
            address,
            reception=reception,
            give_up=lambda: session.end(Event.FAULT),
        )
        session: Session = self._registry.open(
            sender.device_id, channel, Terms(uplink, downlink, hello.features), note=sender.reply_topic
        )
        channel.attach(
            AudioLeg(
                ssrc,
                key,
                self._udp.figures,
                frame_duration_ms=uplink.frame_duration,
                channels=uplink.channels,
                deliver=session.receive_audio,
                reception=reception,
                scratch=self._udp.scratch,
            )
        )
        session.welcome(
            ServerHello(
                session_id=session.id,
                transport="udp",
                version=hello.version or PROTOCOL_VERSION,
                audio_params=downlink,
                udp=address,
            )
        )
