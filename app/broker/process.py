"""The broker process: Mosquitto, the front, the announcements; from start to an orderly end."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event

from app import open_files
from app.broker.announcer import Announcer
from app.broker.counters import Counters
from app.broker.front import Front
from app.broker.listening import listen_patiently, server_tls
from app.broker.lock import held_run_directory
from app.broker.rundir import BrokerError, mosquitto_socket, run_directory
from app.broker.supervisor import Broker
from app.broker.upstream import Upstream
from app.node_lock import node_runs
from app.secrets import load_or_create
from app.settings import Settings, SettingsError

log = logging.getLogger(__name__)

PARENT_VARIABLE = "XIAOZHI_PARENT_PID"
"""Whoever starts us with ``die_with_parent`` may name itself here: so its death before our first line is noticed too."""
PR_SET_PDEATHSIG = 1
GOODBYE_SECONDS = 3.0
"""As long as a worker has to end gracefully (gunicorn.conf.py)."""


def run_broker(settings: Settings, upstream: str | None = None, die_with_parent: bool = False) -> int:
    """Runs until SIGTERM or SIGINT; the exit status. ``upstream`` is a foreign broker's URL, None for the built-in Mosquitto."""
    stop = _told_to_end()
    if die_with_parent and not _die_with_parent():
        log.error("the process that started the broker process has ended already")
        return 1
    open_files.allow_many()
    process = BrokerProcess(settings, upstream, follows_server=die_with_parent)
    work = gevent.spawn(_run_until_killed, process)
    work.link(lambda _: stop.set())
    stop.wait()
    if work.dead:
        return 1
    if process.serves and not die_with_parent:
        _let_the_server_end_first(settings.state_dir)
    log.info("the broker process stops")
    work.kill()
    return 0


def wait_for_the_end() -> None:
    """Until SIGTERM or SIGINT."""
    stop = _told_to_end()
    while not stop.wait(3600):  # with a timer, so that gevent sees something to wait for
        pass


def _told_to_end() -> Event:
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.set)
    return stop


def _let_the_server_end_first(state_dir: Path) -> None:
    """A process manager tells all its processes at once to end; the server's goodbyes to its devices still need the broker."""
    deadline = time.monotonic() + GOODBYE_SECONDS
    while node_runs(state_dir) and time.monotonic() < deadline:
        gevent.sleep(0.05)


def _run_until_killed(process: BrokerProcess) -> None:
    """Ends by itself only when the process cannot go on; has said why then."""
    try:
        process.run()
    except (BrokerError, SettingsError) as error:
        log.error("%s", error)


def broker_config(settings: Settings) -> dict[str, Any]:
    """The built-in Mosquitto's configuration with hbmqtt's keys.

    Anybody who reaches its socket may log in: the socket stands in a directory that only this server's processes can enter.
    """
    return {
        "listeners": {"default": {"type": "unix", "bind": str(mosquitto_socket(settings.state_dir))}},
        "auth": {"allow-anonymous": True},
    }


class BrokerProcess:
    """The parts, started in order by ``run`` and stopped in reverse when its greenlet is killed."""

    def __init__(self, settings: Settings, upstream: str | None, *, follows_server: bool = False) -> None:
        """``follows_server``: it was started with a server, which ends it after itself; so it takes over from another broker
        process only while that server runs, and not in the moment in which both end."""
        self._settings = settings
        self._upstream_url = upstream
        self._follows_server = follows_server
        self._started_at = time.time_ns() // 1_000_000
        self._counters = Counters()
        self._broker: Broker | None = None
        self._front: Front | None = None
        server = settings.mqtt_server
        self._closed_ports = {server.listen_port, *([server.tls.port] if server.tls.enable else [])}
        """Ports on which devices cannot be served yet."""
        self.serves = False
        """Whether it holds the run directory: another broker process may."""
        self._tell: Callable[[], None] = lambda: None

    def run(self) -> None:
        """Raises BrokerError when it cannot begin, SettingsError when there are no secrets to be had."""
        settings = self._settings
        secrets = load_or_create(settings)
        tls = _tls(settings)
        directory = run_directory(settings.state_dir)
        with contextlib.ExitStack() as parts:
            parts.enter_context(held_run_directory(directory, self._is_needed))
            self.serves = True
            upstream = self._upstream(parts, directory)
            server = settings.mqtt_server
            announcer = Announcer(upstream, self._counters, self._status, server.max_connections)
            parts.callback(announcer.stop)
            announcer.start()
            self._tell = announcer.status
            if self._broker is not None:
                self._broker.on_change = announcer.status
            self._front = Front(server, secrets, upstream, announcer, self._counters)
            parts.callback(self._front.stop)
            if tls is not None:
                parts.callback(gevent.spawn(self._listen, server.tls.port, "mqtt_server.tls.port", tls).kill)
            self._listen(server.listen_port, "mqtt_server.listen_port", None)
            Event().wait()

    def _is_needed(self) -> bool:
        return not self._follows_server or node_runs(self._settings.state_dir)

    def _upstream(self, parts: contextlib.ExitStack, directory: Path) -> Upstream:
        mqtt = self._settings.mqtt
        if self._upstream_url is not None:
            return Upstream.from_url(self._upstream_url, mqtt)
        self._broker = Broker(broker_config(self._settings), run_dir=directory)
        parts.callback(self._broker.shutdown)
        self._broker.start()
        return Upstream(mosquitto_socket(self._settings.state_dir))

    def _listen(self, port: int, setting: str, tls: ssl.SSLContext | None) -> None:
        host = self._settings.mqtt_server.listen_host
        listener = listen_patiently(host, port, setting)
        if self._front is not None:
            self._front.serve(listener, tls)
            self._closed_ports.discard(port)
            self._tell()
            log.info("devices can connect to %s port %d%s", host, port, " with TLS" if tls is not None else "")

    def _status(self) -> dict[str, Any]:
        broker = self._broker
        return {
            "type": "broker_status",
            "started_at": self._started_at,
            "mosquitto_restarts": broker.restarts if broker is not None else 0,
            "mosquitto_running": broker is not None and broker.running,
            "closed_ports": sorted(self._closed_ports),
            "connections": self._front.connections if self._front is not None else 0,
            **self._counters.as_dict(),
            "ts": time.time_ns() // 1_000_000,
        }


def _tls(settings: Settings) -> ssl.SSLContext | None:
    tls = settings.mqtt_server.tls
    if not tls.enable:
        return None
    if tls.pem is None or tls.key is None:
        raise BrokerError("mqtt_server.tls.enable is true, so mqtt_server.tls.pem and mqtt_server.tls.key have to name files.")
    return server_tls(tls.pem, tls.key)


def _die_with_parent() -> bool:
    """Asks the kernel for a SIGTERM when our parent dies; False when it is dead already."""
    parent = int(os.environ.get(PARENT_VARIABLE) or os.getppid())
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    return os.getppid() == parent
