"""What the parts of a node counted, gathered into the figures of one moment."""

from __future__ import annotations

from app.figures import BrokerFigures, DeviceFigures, Figures, Histogram
from app.session.registry import Registry
from app.session.state import TRANSITIONS, State
from app.transport.hybrid import HybridTransport
from app.transport.mqtt import MqttClient
from app.transport.udp import UdpServer
from app.transport.websocket import WebSocketTransport
from app.voice.conversations import Conversations
from app.voice.playback import LATE_BUCKETS_MS

ENDINGS = tuple(event.value for (_, event), after in TRANSITIONS.items() if after is State.ENDED)
VERDICTS = ("accepted", "malformed", "unknown_ssrc", "replayed", "implausible", "held")


def count(
    *,
    registry: Registry,
    udp_server: UdpServer,
    mqtt: MqttClient,
    hybrid: HybridTransport,
    websocket: WebSocketTransport,
    conversations: Conversations,
    devices: DeviceFigures,
    broker: BrokerFigures | None,
) -> Figures:
    """Every figure, as it is now."""
    udp, playback = udp_server.figures, conversations.playback
    return Figures(
        sessions_active=len(registry),
        sessions_started=registry.started,
        sessions_ended=dict.fromkeys(ENDINGS, 0) | registry.ended,
        answer_ms=registry.timings.answers.histogram(),
        control_round_trip_ms=registry.timings.round_trips.histogram(),
        hellos={result: hellos + websocket.hellos[result] for result, hellos in hybrid.hellos.items()},
        udp_received={verdict: getattr(udp, verdict) for verdict in VERDICTS},
        udp_sent=udp.sent,
        udp_send_errors=udp.send_errors,
        udp_lost=udp.lost,
        udp_reordered=udp.reordered,
        udp_timestamp_implausible=udp.timestamp_implausible,
        udp_roamed=udp.roamed,
        udp_kernel_drops=udp_server.kernel_drops,
        udp_receive_buffer_bytes=udp_server.receive_buffer_bytes,
        playback_frames=playback.frames,
        playback_late_ms=Histogram(LATE_BUCKETS_MS, tuple(playback.late_counts), playback.late_sum_ms),
        playback_aborted=playback.aborted,
        conversations=conversations.count(),
        mqtt_connected=mqtt.is_connected,
        mqtt_reconnects=mqtt.reconnects,
        mqtt_received=mqtt.received,
        mqtt_sent=mqtt.sent,
        mqtt_outbox_dropped=mqtt.outbox_dropped,
        mqtt_malformed=hybrid.malformed,
        websocket=websocket.count(),
        devices=devices,
        broker=broker,
    )
