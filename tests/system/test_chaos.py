"""Parts die while ten devices talk: everything comes back by itself, and what need not end goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from app.client.converse import Rounds, converse
from app.client.reply import Reply
from tests.system.devices import LAMP, LOOSE_MS, SHORT, TalkingDevice, devices, one_device, together
from tests.system.running_server import RunningServer, wait_for

BACK_SECONDS = 60.0
"""Patience for a busy machine: alone it takes 3 to 6 s, and 10 are asked for."""
ROUND_SECONDS = len(SHORT) * 0.06
CROWD = 10
END_SECONDS = 10.0
"""What `docker stop` waits for an end by itself. Alone it takes 2 s."""


class Crowd:
    """Ten devices that talk without end; ``last_begun`` says when each began the last round that it completed."""

    def __init__(self, server: RunningServer) -> None:
        self.devices = [TalkingDevice(server.ota_url) for _ in range(CROWD)]
        self.rounds = [Rounds() for _ in self.devices]
        self.failed = [0] * CROWD
        self.last_begun = [0.0] * CROWD
        self._stop = Event()
        self._greenlets = [gevent.spawn(self._talk, index) for index in range(CROWD)]

    def _talk(self, index: int) -> None:
        def heard(reply: Reply) -> None:
            failed = self.rounds[index].failures.total()
            follows_a_failure, self.failed[index] = failed != self.failed[index], failed
            # What was still on its way when the device gave up is heard in the next round.
            assert reply.heard == SHORT or reply.lost or follows_a_failure, reply.summary()
            self.last_begun[index] = (reply.asked_at or 0.0) - ROUND_SECONDS

        # A message that is lost with a connection (QoS 0) costs its round: the device gives up after three seconds.
        converse(
            self.devices[index],
            SHORT,
            "manual",
            stop=self._stop,
            seconds=3.0,
            hello_seconds=3.0,
            on_reply=heard,
            counted=self.rounds[index],
        )

    def all_talk(self, since: float) -> bool:
        dead = [greenlet for greenlet in self._greenlets if greenlet.ready()]
        assert not dead, dead
        return all(begun > since for begun in self.last_begun)

    def wait_until_all_talk(self) -> None:
        """Every device completes a round that it begins from now on."""
        since = time.monotonic()
        try:
            wait_for(lambda: self.all_talk(since), BACK_SECONDS, "all devices talk again")
        except AssertionError as error:
            silent = [self.rounds[index] for index in range(CROWD) if self.last_begun[index] <= since]
            raise AssertionError(f"{error}: {silent}") from None

    @property
    def hellos(self) -> list[int]:
        return [rounds.hellos for rounds in self.rounds]

    def close(self) -> None:
        self._stop.set()
        gevent.joinall(self._greenlets, timeout=10)
        gevent.killall(self._greenlets)
        for device in self.devices:
            device.shutdown()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module's own: its parts are killed."""
    with RunningServer(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def crowd(server: RunningServer) -> Iterator[Crowd]:
    made = Crowd(server)
    try:
        made.wait_until_all_talk()
        yield made
    finally:
        made.close()


def die(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_after_the_death_of_mosquitto_all_talk_again(server: RunningServer, crowd: Crowd) -> None:
    worker, broker, before = server.worker_pid, server.broker_pid, server.mosquitto_pid
    die(before)
    crowd.wait_until_all_talk()
    assert (server.worker_pid, server.broker_pid) == (worker, broker)
    assert server.mosquitto_pid != before
    wait_for(lambda: server.metrics()["broker_mosquitto_restarts_total"] == 1, what="the restart is counted")
    assert server.metrics()["mqtt_reconnects_total"] >= 1


def test_after_the_death_of_the_broker_process_all_talk_again(server: RunningServer, crowd: Crowd) -> None:
    worker, before, mosquitto = server.worker_pid, server.broker_pid, server.mosquitto_pid
    die(before)
    crowd.wait_until_all_talk()
    assert server.worker_pid == worker
    assert server.broker_pid != before
    assert mosquitto not in server.pids()
    wait_for(lambda: server.metrics()["broker_process_restarts_total"] == 1, what="the restart is counted")


def test_after_the_death_of_the_worker_all_talk_again(server: RunningServer, crowd: Crowd) -> None:
    before, broker, mosquitto = server.worker_pid, server.broker_pid, server.mosquitto_pid
    die(before)
    crowd.wait_until_all_talk()
    assert server.worker_pid != before
    assert (server.broker_pid, server.mosquitto_pid) == (broker, mosquitto)
    assert "sessions of a process that was killed are ended with a goodbye" in server.log()


def test_after_a_cut_of_every_mqtt_connection_all_talk_again_in_their_sessions(server: RunningServer, crowd: Crowd) -> None:
    reconnects = [device.reconnects for device in crowd.devices]
    for device in crowd.devices:
        device.cut_mqtt()
    crowd.wait_until_all_talk()
    assert all(device.reconnects > before for device, before in zip(crowd.devices, reconnects, strict=True))
    assert server.is_ready()


@pytest.mark.parametrize("victim", ["mosquitto_pid", "broker_pid"])
def test_the_audio_of_a_running_session_goes_on_while_the_broker_is_gone(server: RunningServer, victim: str) -> None:
    with one_device(server) as device:
        device.hello()
        session = device.session_id
        talking = gevent.spawn(device.speak, LAMP[:24])
        device.wait_for_event("first_audio")
        die(getattr(server, victim))
        wait_for(lambda: len(device.reply.frames) == 24, what="the whole reply")
        reply = device.reply
        assert reply.heard == LAMP[:24]
        assert max(reply.lateness_ms) < LOOSE_MS
        talking.join(15)
        server.wait_until_ready()
        device.connect(patient=True)
        if victim == "mosquitto_pid":  # the front keeps the device's connection, so not even the end of the reply is lost
            assert device.of("mqtt_lost") == []
            assert reply.complete
        else:
            assert device.of("mqtt_lost")
        assert device.session_id == session
        assert device.speak(SHORT).heard == SHORT
        assert server.metrics()['sessions_ended_total{reason="fault"}'] == 0


def _end_of(server: RunningServer) -> float:
    began = time.monotonic()
    assert server.stop() == 0, server.log()
    return time.monotonic() - began


def test_sigterm_says_goodbye_and_leaves_nothing(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as server, devices(server, CROWD) as crowd:
        together([device.hello for device in crowd])
        talking = [gevent.spawn(device.speak, LAMP) for device in crowd[:5]]
        assert _end_of(server) < END_SECONDS, server.log()
        for device in crowd:
            device.wait_for_event("goodbye_received")
        gevent.killall(talking)
        assert "Traceback" not in server.log()


def test_sigterm_says_goodbye_in_time_although_http_clients_hang(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as server, devices(server, 2) as pair:
        together([device.hello for device in pair])
        silent = socket.create_connection(("127.0.0.1", server.http_port))
        slow = socket.create_connection(("127.0.0.1", server.http_port))
        with silent, slow:
            headers = ("Host: x", "Device-Id: 02:00:00:00:00:01", "Client-Id: c", "Content-Length: 999")
            head = "\r\n".join(["POST /xiaozhi/ota/ HTTP/1.1", *headers, "", "{"])
            slow.sendall(head.encode())
            dripping = gevent.spawn(_drip, slow)
            server.wait_until_ready()
            assert _end_of(server) < END_SECONDS, server.log()
            dripping.kill()
        for device in pair:
            device.wait_for_event("goodbye_received")


def _drip(slow: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            slow.sendall(b" ")
            gevent.sleep(0.3)


def test_sigint_as_from_a_terminal_ends_it_as_well(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as server, one_device(server) as device:
        device.hello()
        assert server.process is not None
        server.process.send_signal(signal.SIGINT)
        assert server.ended(END_SECONDS) == 0
        assert server.pids() == {}
        device.wait_for_event("goodbye_received")


def test_after_the_death_of_the_master_nothing_is_left(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as server, one_device(server) as device:
        device.hello()
        everything = server.pids()
        assert len(everything) == 4, everything
        die(server.master_pid)
        server.ended()
        wait_for(lambda: not server.pids(), what="worker, broker and Mosquitto end")


def test_a_start_at_once_after_the_death_of_the_master_succeeds(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as server:
        before = server.pids()
        die(server.master_pid)
        server.ended()
        server.start(wait=False)
        wait_for(lambda: not before.keys() & server.pids().keys(), what="the processes of the server before have ended")
        server.wait_until_ready()
        with one_device(server) as device:
            device.hello()
            assert device.speak(SHORT).heard == SHORT
