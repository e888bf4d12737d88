"""``/metrics`` for Prometheus: the node's figures, read when asked for. ``docs/metrics.md`` explains each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flask import Blueprint, Response
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from app.devices.reached import ReachedAddresses
from app.figures import BrokerFigures, ConversationFigures, DeviceFigures, Figures, Histogram, WebSocketFigures
from app.web.node import Node

PREFIX = "xiaozhi_"


class NodeCollector(Collector):
    """Turns the figures of a node into metrics."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        """Every metric of this moment."""
        figures = self._node.figures()
        yield from _sessions(figures)
        yield from _udp(figures)
        yield from _playback(figures)
        yield from _conversations(figures.conversations)
        yield from _mqtt(figures)
        yield from _websocket(figures.websocket)
        yield from _reached(self._node.reached)
        yield from _devices(figures.devices)
        if figures.broker is not None:
            yield from _broker(figures.broker)


def blueprint(node: Node) -> Blueprint:
    """The route."""
    registry = CollectorRegistry()
    registry.register(NodeCollector(node))
    ProcessCollector(registry=registry)
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return routes


def _sessions(figures: Figures) -> Iterator[Metric]:
    yield _gauge("sessions_active", "Sessions now.", figures.sessions_active)
    yield _counter("sessions_started", "Sessions that a hello began.", figures.sessions_started)
    yield _counters("sessions_ended", "Sessions that ended, by reason.", "reason", figures.sessions_ended)
    yield _counters("hellos", "Hellos of devices, by result.", "result", figures.hellos)
    yield _seconds("answer_seconds", "From the end of speech to the first frame of its answer.", figures.answer_ms)
    yield _seconds(
        "control_round_trip_seconds", "From a request over the control channel to its answer.", figures.control_round_trip_ms
    )


def _udp(figures: Figures) -> Iterator[Metric]:
    yield _counters("udp_received", "Datagrams received, by verdict.", "verdict", figures.udp_received)
    yield _counter("udp_sent", "Audio packets sent.", figures.udp_sent)
    yield _counter("udp_send_errors", "Audio packets that the kernel did not take.", figures.udp_send_errors)
    yield _counter("udp_lost", "Audio packets of devices skipped by one that came earlier.", figures.udp_lost)
    yield _counter("udp_reordered", "Audio packets that came late, and were put in their place.", figures.udp_reordered)
    yield _counter(
        "udp_timestamp_implausible", "Audio packets accepted with an implausible timestamp.", figures.udp_timestamp_implausible
    )
    yield _counter("udp_roamed", "Times that a device's new address was believed.", figures.udp_roamed)
    yield _counter("udp_kernel_drops", "Datagrams that the kernel dropped because our buffer was full.", figures.udp_kernel_drops)
    yield _gauge("udp_receive_buffer_bytes", "Receive buffer that the kernel granted.", figures.udp_receive_buffer_bytes)


def _conversations(figures: ConversationFigures) -> Iterator[Metric]:
    yield _counter("utterances", "Turns of devices that were given to the recognizer.", figures.utterances)
    yield _counter("utterances_unheard", "Turns of devices in which nothing was said.", figures.unheard)
    yield _counter("replies", "Replies and announcements that began to be spoken.", figures.replies)
    yield _counter("barge_ins", "Replies that the person broke off.", figures.barge_ins)
    yield _counter("farewells", "Sessions that ended with a last word.", figures.farewells)
    yield _counters("provider_faults", "Failures of recognizer, mind and voice, by stage.", "stage", figures.faults)
    yield _counters("tools", "Calls of devices' tools, and answers that fitted none, by event.", "event", figures.tools)
    yield _counter("histories_written", "Histories written to the database.", figures.histories_written)
    yield _gauge("histories_waiting", "Histories that wait for the database now.", figures.histories_waiting)
    yield _counter("histories_dropped", "Histories that were not remembered.", figures.histories_dropped)


def _playback(figures: Figures) -> Iterator[Metric]:
    yield _counter("playback_frames", "Frames of replies that were played.", figures.playback_frames)
    yield _seconds("playback_late_seconds", "How long after its time each frame left.", figures.playback_late_ms)
    yield _counter("playback_aborted", "Replies that the device aborted.", figures.playback_aborted)


def _mqtt(figures: Figures) -> Iterator[Metric]:
    yield _gauge("mqtt_connected", "1 while this server is connected with its broker.", int(figures.mqtt_connected))
    yield _counter("mqtt_reconnects", "Times that the connection with the broker was made again.", figures.mqtt_reconnects)
    yield _counter("mqtt_received", "Messages received over MQTT.", figures.mqtt_received)
    yield _counter("mqtt_sent", "Messages sent over MQTT.", figures.mqtt_sent)
    yield _counter("mqtt_outbox_dropped", "Messages dropped as the queue to the broker was full.", figures.mqtt_outbox_dropped)
    yield _counter("mqtt_malformed", "Messages that broke the protocol.", figures.mqtt_malformed)


def _websocket(websocket: WebSocketFigures) -> Iterator[Metric]:
    yield _gauge("websocket_connections", "WebSocket connections now.", websocket.connections)
    yield _counter("websocket_accepted", "Handshakes that succeeded.", websocket.accepted)
    yield _counters("websocket_refused", "Handshakes refused, by reason.", "reason", websocket.refused)
    yield _counters("websocket_closed", "Connections closed, by close code.", "code", websocket.closed)
    yield _counter("websocket_not_reading", "Connections closed as the device did not read.", websocket.not_reading)
    yield _counter("websocket_received", "Audio frames received.", websocket.received)
    yield _counter("websocket_sent", "Audio frames sent.", websocket.sent)
    yield _counter("websocket_malformed", "Messages that broke the protocol.", websocket.malformed)


def _reached(reached: ReachedAddresses) -> Iterator[Metric]:
    yield _gauge("reached_devices", "Devices of which the address that they reached is remembered.", len(reached))
    yield _counter("reached_dropped", "Devices forgotten because too many were remembered.", reached.dropped)
    yield _counter("reached_write_errors", "Failed writes of the file of those addresses.", reached.write_errors)


def _devices(devices: DeviceFigures) -> Iterator[Metric]:
    yield _gauge("devices_database_up", "1 while the database of the devices answers.", int(devices.database_up))
    yield _gauge("devices_waiting", "Devices whose last request is not written yet.", devices.waiting)
    yield _counter("devices_written", "Last requests of devices written to the database.", devices.written)
    yield _counter("devices_dropped", "Last requests of devices that were not remembered.", devices.dropped)
    yield _counter("devices_errors", "Failed calls of the database.", devices.errors)


def _broker(broker: BrokerFigures) -> Iterator[Metric]:
    yield _counter("broker_process_restarts", "Times that the broker process was started again.", broker.process_restarts)
    yield _counter("broker_mosquitto_restarts", "Times that Mosquitto was started again.", broker.mosquitto_restarts)
    yield _gauge("broker_connections", "Connections of devices now.", broker.connections)
    yield _counters("broker_connects", "Connection attempts of devices, by result.", "result", broker.connects)
    yield _counters("broker_dropped", "What the broker did not deliver, or ended.", "reason", broker.dropped)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value)


def _counter(name: str, text: str, value: int) -> Metric:
    return CounterMetricFamily(PREFIX + name, text, value)


def _counters(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _seconds(name: str, text: str, milliseconds: Histogram) -> Metric:
    buckets, total = [], 0
    for bound, count in zip((*milliseconds.bounds, float("inf")), milliseconds.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else repr(bound / 1000), total))
    return HistogramMetricFamily(PREFIX + name, text, buckets=buckets, sum_value=milliseconds.sum / 1000)
