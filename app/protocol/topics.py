"""Topics, and the client ids that name a device on the broker (PROTOCOL.md 3; server-setup.md 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.protocol.malformed import Malformed

PUBLISH_TOPIC = "device-server"
"""Where every device publishes; the broker side renames it."""
SUBSCRIBE_TOPIC = "null"
"""What a device is told to subscribe to: nothing, in a string, because old firmware fails without one."""

DEVICE_PUBLIC = "/p2p/device_public/"
DEVICE_SUB = "/p2p/device_sub/"
ALL_DEVICES = DEVICE_PUBLIC + "#"
LIFECYCLE_TOPIC = DEVICE_PUBLIC + "_server/lifecycle"
BROKER_STATUS_TOPIC = DEVICE_PUBLIC + "_server/broker"

_MAC = re.compile(r"[0-9A-Fa-f]{2}([:_-]?)[0-9A-Fa-f]{2}(?:\1[0-9A-Fa-f]{2}){4}")
_GROUP = re.compile(r"[A-Za-z0-9_-]{1,64}")
_UUID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def device_id(mac: str) -> str:
    """The one spelling of a device's MAC inside the server: lower case, colons. Raises Malformed when it is no MAC."""
    return with_colons(mac).lower()


def with_colons(mac: str) -> str:
    """A MAC written with ``:``, ``-``, ``_`` or nothing between its bytes; its letters as they are. Raises Malformed."""
    written = _MAC.fullmatch(mac)
    if written is None:
        raise Malformed(f"{mac[:40]!r} is no MAC address; expected one like aa:bb:cc:dd:ee:ff")
    if written[1]:
        return mac.replace(written[1], ":")
    return ":".join(mac[at : at + 2] for at in range(0, 12, 2))


def check_uuid(text: str) -> str:
    """``text`` as a client's UUID: letters, digits, ``-`` and ``_``, at most 64. Raises Malformed."""
    if not _UUID.fullmatch(text):
        raise Malformed(f"{text[:40]!r} is no UUID; expected one like 7b94d69a-9808-4c59-9c9b-704333b38aff")
    return text


@dataclass(frozen=True, slots=True)
class ClientId:
    """``<group>@@@<mac with _ for :>@@@<uuid>``. ``mac`` is held with colons, its letters as they were spelled."""

    group: str
    mac: str
    uuid: str

    @classmethod
    def parse(cls, text: str) -> ClientId:
        """Reads a client id. Raises Malformed."""
        parts = text.split("@@@")
        if len(parts) != 3:
            raise Malformed(f"client id {text[:120]!r} has not the form <group>@@@<mac>@@@<uuid>")
        group, mac, uuid = parts
        if not _GROUP.fullmatch(group):
            raise Malformed(f"client id {text[:120]!r} has no usable group")
        return cls(group, with_colons(mac), check_uuid(uuid))

    def __str__(self) -> str:
        return f"{self.group}@@@{self.mac.replace(':', '_')}@@@{self.uuid}"

    @property
    def device_id(self) -> str:
        """The device this client is."""
        return device_id(self.mac)


def device_named_in(client_id: str) -> str:
    """The device that a client id names, whoever brought it; empty when it names none."""
    try:
        return ClientId.parse(client_id).device_id
    except Malformed:
        return ""


def spellings(client: ClientId) -> frozenset[str]:
    """How brokers write a device's ``<mac>`` in topics: with colons, with underscores, as the whole client id."""
    return frozenset({client.mac, client.mac.replace(":", "_"), str(client)})


def device_public_topic(mac: str) -> str:
    """Where the broker side puts what a device publishes."""
    return DEVICE_PUBLIC + mac


def device_sub_topic(mac: str) -> str:
    """Where the server publishes for a device."""
    return DEVICE_SUB + mac


@dataclass(frozen=True, slots=True)
class Sender:
    """Who published on a device's public topic, and where it is answered: in the spelling it was heard in."""

    device_id: str
    reply_topic: str


def sender_of(topic: str) -> Sender:
    """The device behind ``/p2p/device_public/<mac>`` in any of the three spellings. Raises Malformed."""
    if not topic.startswith(DEVICE_PUBLIC):
        raise Malformed(f"topic {topic[:120]!r} is no device's public topic")
    name = topic[len(DEVICE_PUBLIC) :]
    identity = ClientId.parse(name).device_id if "@@@" in name else device_id(name)
    return Sender(identity, DEVICE_SUB + name)
