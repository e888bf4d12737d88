"""What a device may do, and what it is answered: the rules a broker with a rule engine would have (PROTOCOL.md 3).

It publishes to its own public topic, under whichever name it knows it, and to nothing else. It may ask for its own topic and gets
no second copy of anything, because its messages come to it without a subscription. Nothing else has an effect.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import IntEnum

from app.broker.counters import Counters
from app.broker.limits import PatientLog
from app.broker.uplink import Uplink
from app.logs import about
from app.protocol.malformed import Malformed
from app.protocol.mqtt import (
    PINGRESP,
    Ack,
    Disconnect,
    Frame,
    Kind,
    Name,
    Publish,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Version,
    number,
    packet,
    text,
)
from app.protocol.topics import (
    DEVICE_PUBLIC,
    DEVICE_SUB,
    PUBLISH_TOPIC,
    SUBSCRIBE_TOPIC,
    ClientId,
    device_public_topic,
    spellings,
)

log = PatientLog(logging.getLogger(__name__))

NOT_AUTHORIZED = 0x87
NO_SUBSCRIPTION_EXISTED = 0x11
NO_SUBSCRIPTION_IDENTIFIERS = 0xA1
FAILURE = 0x80
MOST_REFUSED_FLOWS = 64


class Reason(IntEnum):
    """Why we disconnect a device: DISCONNECT's reason codes (MQTT 5.0: 3.14.2.1); NONE is not said to the device."""

    NONE = 0x00
    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    SHUTTING_DOWN = 0x8B
    KEEP_ALIVE = 0x8D
    TAKEN_OVER = 0x8E
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95


class LinkEnded(Exception):
    """The device's connection is over; the text says why."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


class DeviceRules:
    """Handles one device's packets, one by one, in order. ``send`` sends bytes to the device."""

    __slots__ = ("_client", "_counters", "_head", "_refused_flows", "_refused_logged", "_send", "_uplink", "_version")

    def __init__(
        self, version: Version, client: ClientId, uplink: Uplink, send: Callable[[bytes], None], counters: Counters
    ) -> None:
        self._version = version
        self._client = client
        self._uplink = uplink
        self._send = send
        self._counters = counters
        self._head = text(device_public_topic(client.mac))
        self._refused_logged = False
        self._refused_flows: set[int] | None = None

    def handle(self, frame: Frame) -> None:
        """Raises LinkEnded when the connection is over, Malformed for a packet that is none, OSError from ``send``."""
        handler = HANDLERS.get(frame.kind)
        if handler is None:
            raise LinkEnded(Reason.PROTOCOL_ERROR, f"it sent a packet of type {frame.kind}, which a client must not send here")
        handler(self, frame)

    def _on_publish(self, frame: Frame) -> None:
        publish = Publish.decode(frame, self._version)
        if publish.topic_alias is not None:
            raise LinkEnded(Reason.TOPIC_ALIAS_INVALID, "it used a topic alias, and our maximum is 0")
        if not self._may_publish(publish.topic):
            self._refuse_publish(publish)
        elif publish.packet_id is None:
            self._uplink.send(packet(Kind.PUBLISH << 4, self._head + publish.payload))
        else:
            first = Kind.PUBLISH << 4 | publish.dup << 3 | publish.qos << 1
            body = self._head + publish.packet_id.to_bytes(2, "big") + publish.payload
            self._uplink.send_flow(publish.packet_id, packet(first, body))

    def _may_publish(self, topic: str) -> bool:
        if topic == PUBLISH_TOPIC:
            return True
        return topic.startswith(DEVICE_PUBLIC) and topic[len(DEVICE_PUBLIC) :] in spellings(self._client)

    def _refuse_publish(self, publish: Publish) -> None:
        """Drops it and acknowledges it, so that the device does not send it again and again."""
        self._counters.dropped.publish_refused += 1
        if not self._refused_logged:
            self._refused_logged = True
            log.warning(
                "%s published to %.120r, which is not its topic; that is dropped",
                self._client,
                publish.topic,
                extra=about(self._client.device_id),
            )
        if publish.packet_id is None:
            return
        reason = NOT_AUTHORIZED if self._version is Version.V5 else 0
        if publish.qos == 2 and not reason:
            # Without a reason code the flow goes on with PUBREL, which is then ours to answer.
            if self._refused_flows is None:
                self._refused_flows = set()
            if len(self._refused_flows) < MOST_REFUSED_FLOWS:
                self._refused_flows.add(publish.packet_id)
        kind = Kind.PUBACK if publish.qos == 1 else Kind.PUBREC
        self._send(Ack(kind, publish.packet_id, reason).encode(self._version))

    def _on_release(self, frame: Frame) -> None:
        packet_id = Ack.decode(frame, self._version).packet_id
        if self._refused_flows and packet_id in self._refused_flows:
            self._refused_flows.remove(packet_id)
            self._send(Ack(Kind.PUBCOMP, packet_id).encode(self._version))
            return
        self._uplink.send_flow(packet_id, Ack(Kind.PUBREL, packet_id).encode(Version.V311))

    def _on_acknowledgement(self, frame: Frame) -> None:
        """All we send has QoS 0, so it means nothing; but it has to be one."""
        Ack.decode(frame, self._version)

    def _on_subscribe(self, frame: Frame) -> None:
        subscribe = Subscribe.decode(frame, self._version)
        if number(subscribe.properties, Name.SUBSCRIPTION_IDENTIFIER) is not None:
            codes = bytes((NO_SUBSCRIPTION_IDENTIFIERS,)) * len(subscribe.filters)
        else:
            codes = bytes(self._granted(name, options) for name, options in subscribe.filters)
        self._send(Suback(subscribe.packet_id, codes).encode(self._version))

    def _granted(self, topic_filter: str, options: int) -> int:
        if self._is_own(topic_filter):
            return 0
        if self._version is Version.V31:
            return options & 3  # 3.1 has no code for a refusal: what was asked for is granted and has no effect
        return NOT_AUTHORIZED if self._version is Version.V5 else FAILURE

    def _is_own(self, topic_filter: str) -> bool:
        if topic_filter == SUBSCRIBE_TOPIC:
            return True
        return topic_filter.startswith(DEVICE_SUB) and topic_filter[len(DEVICE_SUB) :] in spellings(self._client)

    def _on_unsubscribe(self, frame: Frame) -> None:
        unsubscribe = Unsubscribe.decode(frame, self._version)
        codes = bytes(0 if self._is_own(name) else NO_SUBSCRIPTION_EXISTED for name in unsubscribe.filters)
        self._send(Unsuback(unsubscribe.packet_id, codes).encode(self._version))

    def _on_ping(self, frame: Frame) -> None:
        if frame.first & 15 or frame.body:
            raise Malformed("a PINGREQ with content")
        self._send(PINGRESP)

    def _on_disconnect(self, frame: Frame) -> None:
        Disconnect.decode(frame, self._version)
        raise LinkEnded(Reason.NONE, "the device said DISCONNECT")


HANDLERS: dict[int, Callable[[DeviceRules, Frame], None]] = {
    Kind.PUBLISH: DeviceRules._on_publish,
    Kind.PUBACK: DeviceRules._on_acknowledgement,
    Kind.PUBREC: DeviceRules._on_acknowledgement,
    Kind.PUBREL: DeviceRules._on_release,
    Kind.PUBCOMP: DeviceRules._on_acknowledgement,
    Kind.SUBSCRIBE: DeviceRules._on_subscribe,
    Kind.UNSUBSCRIBE: DeviceRules._on_unsubscribe,
    Kind.PINGREQ: DeviceRules._on_ping,
    Kind.DISCONNECT: DeviceRules._on_disconnect,
}
