"""A device's connection: MQTT 3.1, 3.1.1 or 5 is spoken with the device here, and 3.1.1 with the broker behind.

Two greenlets: the connection's own reads the device, a second one the broker. What a device may do stands in
app/broker/device_rules.py. Its will is ignored: the server learns of its end from our announcement.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from dataclasses import dataclass

import gevent
from gevent.exceptions import ConcurrentObjectUseError

from app.broker.counters import Counters
from app.broker.device_rules import DeviceRules, LinkEnded, Reason
from app.broker.limits import PatientLog, TokenBucket
from app.broker.outlet import SEND_SECONDS, Outlet, say_goodbye
from app.broker.presence import Presence
from app.broker.uplink import Uplink
from app.broker.upstream import Upstream, UpstreamError
from app.logs import about
from app.protocol.malformed import Malformed
from app.protocol.mqtt import (
    Connack,
    Connect,
    Disconnect,
    Frame,
    Kind,
    Name,
    Property,
    Splitter,
    TooLarge,
    Version,
    number,
    packet,
    text,
)
from app.protocol.topics import ClientId, device_sub_topic
from app.turn import give_way

log = logging.getLogger(__name__)
patient_log = PatientLog(log)

RECEIVE_BYTES = 8192
PACKETS_PER_SECOND, BURST = 50.0, 200
PACKET_BYTES = 4096
"""A longer packet counts as several: the server's work on it grows with its length."""
UPSTREAM_SECONDS = 5.0
TAKEOVER_SECONDS = 1.0
DRAIN_SECONDS = 0.4
RECEIVE_MAXIMUM = 32
LINGERING = frozenset(
    {Reason.MALFORMED, Reason.PROTOCOL_ERROR, Reason.PACKET_TOO_LARGE, Reason.TOPIC_ALIAS_INVALID, Reason.SHUTTING_DOWN}
)
"""Ends at which the device may still be sending."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all links share."""

    upstream: Upstream
    counters: Counters
    presence: Presence[DeviceLink]
    max_packet_bytes: int


class DeviceLink:
    """One device's connection from its accepted CONNECT to its end; ``run`` is all of it.

    ``client_id`` as the device wrote it; ``device_id`` its MAC in the server's spelling; ``server_host`` our address that the
    device reached; ``address`` the device's.
    """

    __slots__ = (
        "_bucket",
        "_connect",
        "_ending",
        "_greenlet",
        "_largest_downlink",
        "_outlet",
        "_rules",
        "_socket",
        "_splitter",
        "_surroundings",
        "_topic_field",
        "_uplink",
        "address",
        "client_id",
        "device_id",
        "server_host",
    )

    def __init__(
        self,
        sock: socket.socket,
        splitter: Splitter,
        connect: Connect,
        client: ClientId,
        surroundings: Surroundings,
        *,
        server_host: str,
        address: str,
    ) -> None:
        self.client_id = connect.client_id
        self.device_id = client.device_id
        self.server_host = server_host
        self.address = address
        self._socket = sock
        self._splitter = splitter
        self._connect = connect
        self._surroundings = surroundings
        self._ending = False
        self._bucket = TokenBucket(PACKETS_PER_SECOND, BURST)
        self._outlet = Outlet(sock)
        topic = device_sub_topic(client.mac)
        self._topic_field = text(topic)
        self._uplink = Uplink(surroundings.upstream, connect.client_id, topic, surroundings.counters)
        self._rules = DeviceRules(connect.version, client, self._uplink, self._outlet.send, surroundings.counters)
        own = number(connect.properties, Name.MAXIMUM_PACKET_SIZE)
        self._largest_downlink = min(surroundings.max_packet_bytes, own or surroundings.max_packet_bytes)
        self._greenlet: gevent.Greenlet = gevent.getcurrent()

    def run(self) -> None:
        """Serves the device until the connection ends, in the calling greenlet. Does not raise."""
        ended = LinkEnded(Reason.NONE, "ended")
        reader: gevent.Greenlet | None = None
        presence = self._surroundings.presence
        older = presence.enter(self)
        try:
            if older is not None:
                older.end(Reason.TAKEN_OVER, "the same client connected again")
                self._surroundings.counters.dropped.taken_over += 1
                older.join(TAKEOVER_SECONDS)
            if self._open_uplink():
                reader = gevent.spawn(self._serve_broker)
                self._serve_device()
        except LinkEnded as reason:
            ended = reason
        except TimeoutError:
            ended = self._slow_reader()
        except (OSError, ConcurrentObjectUseError) as error:
            ended = LinkEnded(Reason.NONE, f"the connection failed: {error}")
        except gevent.GreenletExit:
            ended = LinkEnded(Reason.SHUTTING_DOWN, "the broker stops")
        finally:
            self._ending = True
            presence.leave(self)
            # An ``end`` from outside may arrive as late as here; it must not keep us from tidying up.
            with contextlib.suppress(LinkEnded, gevent.GreenletExit):
                if reader is not None:
                    if ended.reason is Reason.SHUTTING_DOWN:  # the server's goodbyes are on their way
                        self._uplink.finish()
                        reader.join(DRAIN_SECONDS)
                    reader.kill()
                self._leave(ended)
            self._uplink.close()
            self._socket.close()

    def end(self, reason: Reason, why: str) -> None:
        """Ends the connection from another greenlet; returns at once."""
        if not self._ending:
            self._ending = True
            self._greenlet.kill(LinkEnded(reason, why), block=False)

    def join(self, seconds: float) -> None:
        """Waits until ``run`` has returned, at most so long."""
        self._greenlet.join(seconds)

    def _open_uplink(self) -> bool:
        counters = self._surroundings.counters
        version = self._connect.version
        try:
            self._uplink.open(UPSTREAM_SECONDS)
        except UpstreamError as error:
            counters.connects.refused_upstream += 1
            patient_log.warning(
                "%s (%s) is refused, the broker cannot be reached: %s",
                self.client_id,
                self.address,
                error,
                extra=about(self.device_id),
            )
            self._outlet.send(Connack(0x88 if version is Version.V5 else 0x03).encode(version))
            return False
        counters.connects.accepted += 1
        log.info("%s connected from %s with MQTT level %d", self.client_id, self.address, version, extra=about(self.device_id))
        # Announced first: the server is to know the connection when the device's first message comes.
        self._surroundings.presence.online(self)
        self._outlet.send(Connack(0, properties=self._offer()).encode(version))
        return True

    def _offer(self) -> tuple[Property, ...]:
        """What a version 5 client has to know of us (MQTT 5.0: 3.2.2.3); there is no topic alias maximum, so it is 0."""
        return (
            Property(Name.SESSION_EXPIRY, 0),
            Property(Name.RECEIVE_MAXIMUM, RECEIVE_MAXIMUM),
            Property(Name.MAXIMUM_PACKET_SIZE, self._surroundings.max_packet_bytes),
            Property(Name.WILDCARDS_AVAILABLE, 0),
            Property(Name.SUBSCRIPTION_IDENTIFIERS_AVAILABLE, 0),
            Property(Name.SHARED_SUBSCRIPTIONS_AVAILABLE, 0),
        )

    def _serve_device(self) -> None:
        splitter, handle, sock = self._splitter, self._rules.handle, self._socket
        patience = self._connect.keep_alive * 1.5  # MQTT 5.0: 3.1.2.10
        splitter.limit = self._surroundings.max_packet_bytes
        now = time.monotonic()
        heard = now
        while True:
            try:
                while frame := splitter.next():
                    heard = now
                    handle(frame)
                    wait = self._bucket.take(now, 1 + len(frame.body) // PACKET_BYTES)
                    if wait:
                        self._surroundings.counters.dropped.throttled += 1
                        gevent.sleep(wait)
                        now = time.monotonic()
            except TooLarge as error:
                self._surroundings.counters.dropped.too_large += 1
                raise LinkEnded(Reason.PACKET_TOO_LARGE, str(error)) from None
            except Malformed as error:
                raise LinkEnded(Reason.MALFORMED, f"it sent {error}") from None
            try:
                sock.settimeout(max(0.001, heard + patience - time.monotonic()) if patience else None)
                data = sock.recv(RECEIVE_BYTES)
            except TimeoutError:
                raise LinkEnded(Reason.KEEP_ALIVE, f"nothing came for {patience:.1f} s, its keep-alive and a half") from None
            if not data:
                raise LinkEnded(Reason.NONE, "the device closed the connection without DISCONNECT")
            now = time.monotonic()
            splitter.feed(data)
            if len(data) == RECEIVE_BYTES:
                give_way()  # there is more, and recv would not let the others run before it has to wait

    def _serve_broker(self) -> None:
        try:
            for frame in self._uplink.frames():
                kind = frame.kind
                if kind == Kind.PUBLISH:
                    self._deliver(frame)
                elif kind in (Kind.PUBACK, Kind.PUBREC, Kind.PUBCOMP) and len(frame.body) == 2:
                    if kind != Kind.PUBREC:
                        self._uplink.settle(int.from_bytes(frame.body, "big"))
                    self._outlet.send(frame.encode())  # version 5 knows the short form too (3.4.2.1)
        except TimeoutError:
            slow = self._slow_reader()
            self.end(slow.reason, str(slow))
        except (OSError, ConcurrentObjectUseError) as error:
            self.end(Reason.NONE, f"the connection failed: {error}")

    def _slow_reader(self) -> LinkEnded:
        self._surroundings.counters.dropped.slow_reader += 1
        return LinkEnded(Reason.NONE, f"the device took nothing of what it was sent for {SEND_SECONDS:.0f} s")

    def _deliver(self, frame: Frame) -> None:
        """A message for the device: its topic stays, QoS is 0 as we subscribed, and only version 5 has properties."""
        body, field = frame.body, self._topic_field
        dropped = self._surroundings.counters.dropped
        if frame.first & 0x06 or not body.startswith(field):
            dropped.downlink_foreign += 1
            return
        if self._connect.version is Version.V5:
            body = field + b"\0" + body[len(field) :]
        data = packet(Kind.PUBLISH << 4 | frame.first & 1, body)
        if len(data) > self._largest_downlink:
            dropped.downlink_too_large += 1
            return
        self._outlet.send(data)

    def _leave(self, ended: LinkEnded) -> None:
        level = logging.INFO if ended.reason in (Reason.NONE, Reason.SHUTTING_DOWN) else logging.WARNING
        log.log(level, "%s from %s is disconnected: %s", self.client_id, self.address, ended, extra=about(self.device_id))
        version = self._connect.version
        words = Disconnect(ended.reason).encode(version) if version is Version.V5 and ended.reason else b""
        say_goodbye(self._socket, words, linger=ended.reason in LINGERING)
