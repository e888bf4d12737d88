"""MQTT 3.1 (level 3), 3.1.1 (level 4) and 5 (level 5) on the wire: bytes in, values out, and back.

A stream goes through a Splitter, which gives Frames; ``Connect.decode(frame)`` and its siblings make a packet of a frame, and
``encode`` makes bytes of a packet. What comes from outside raises Malformed and nothing else.
Sources: OASIS MQTT 5.0, OASIS MQTT 3.1.1, and the MQTT 3.1 specification (MQIsdp).
"""

from app.protocol.mqtt.connect import Connack, Connect, Disconnect, UnsupportedProtocol, Will
from app.protocol.mqtt.properties import Name, Properties, Property, number
from app.protocol.mqtt.publish import Ack, Publish
from app.protocol.mqtt.subscribe import Suback, Subscribe, Unsuback, Unsubscribe
from app.protocol.mqtt.wire import Frame, Kind, Splitter, TooLarge, Version, packet, simple, text, variable_integer

PINGREQ = simple(Kind.PINGREQ)
PINGRESP = simple(Kind.PINGRESP)

__all__ = [
    "PINGREQ",
    "PINGRESP",
    "Ack",
    "Connack",
    "Connect",
    "Disconnect",
    "Frame",
    "Kind",
    "Name",
    "Properties",
    "Property",
    "Publish",
    "Splitter",
    "Suback",
    "Subscribe",
    "TooLarge",
    "Unsuback",
    "Unsubscribe",
    "UnsupportedProtocol",
    "Version",
    "Will",
    "number",
    "packet",
    "simple",
    "text",
    "variable_integer",
]
