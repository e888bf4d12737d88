"""How gunicorn runs this server: it reads this file by itself (``gunicorn -k gevent wsgi:app``)."""

import os
import signal
import sys

from gunicorn import glogging

from app import hosting, logs, open_files, secrets
from app.broker.child import broker_child
from app.settings import SettingsError, load

logs.hold()
try:
    settings = load()
    secrets.load_or_create(settings)
except SettingsError as error:
    sys.exit(f"The server cannot start: {error}")

logs.set_up(settings.log)


class OneLog(glogging.Logger):
    """gunicorn's own lines go where the server's go, in their format; --error-logfile takes them elsewhere, as gunicorn does."""

    def _set_handler(self, log, output, fmt, stream=None):
        log.propagate = log is self.error_log and output == "-"
        super()._set_handler(log, None if log.propagate else output, fmt, stream)


logger_class = OneLog

bind = (
    f"[{settings.websocket.host}]:{settings.websocket.port}"
    if ":" in settings.websocket.host
    else (f"{settings.websocket.host}:{settings.websocket.port}")
)
worker_class = "gevent"
workers = 1
worker_connections = 10_000
# For more than a third of a megabyte of headers gunicorn takes longer than others should wait; app/web/connection.py allows less.
limit_request_fields = 40
limit_request_field_size = 8190
graceful_timeout = 3
control_socket_disable = True
# What a proxy says is judged in app/web/caller.py by websocket.trusted_proxies; gunicorn's own rules would believe this machine.
forwarded_allow_ips = ""
secure_scheme_headers = {}


def on_starting(server):
    """Refuses what cannot work, and starts the built-in broker."""
    if server.cfg.workers != 1:
        sys.exit(
            "This server runs one worker: its UDP socket and its sessions live in one process. Start gunicorn without -w; "
            "for more, run several servers, each with its own ports and XIAOZHI_STATE_DIR."
        )
    if server.cfg.worker_class_str != "gevent":
        sys.exit("This server runs in a gevent worker: start it with `gunicorn -k gevent wsgi:app`.")
    open_files.allow_many()
    hosting.announce(settings, os.environ)
    if settings.runs_broker:
        broker_child.start()


def nworkers_changed(server, new_value, old_value):
    """SIGTTIN asks for another worker; there is one."""
    if old_value is not None and new_value > 1:
        server.log.warning("this server runs one worker; SIGTTIN is ignored")
        server.num_workers = 1


def post_fork(server, worker):
    """The broker is the master's child, not the worker's."""
    broker_child.forget()


def post_worker_init(worker):
    """The application is loaded: the node starts; it stops when the worker is told to end, not after the last HTTP request."""
    import gevent

    from app import welcome

    node = worker.wsgi.extensions["node"]
    node.start()
    bound = [listener.getsockname() for listener in worker.sockets]
    worker.welcome = gevent.spawn(welcome.say_when_ready, node.parts, bound, settings.http_only)
    end = signal.getsignal(signal.SIGTERM)

    def told_to_end(number, frame):
        end(number, frame)
        worker.node_end = gevent.spawn(node.stop)

    signal.signal(signal.SIGTERM, told_to_end)


def worker_exit(server, worker):
    """Sessions get their goodbye while the broker still runs."""
    if hasattr(worker, "welcome"):
        worker.welcome.kill()
    if hasattr(worker, "node_end"):
        worker.node_end.join()
    if getattr(worker, "wsgi", None) is not None:
        worker.wsgi.extensions["node"].stop()


def on_exit(server):
    """The workers are gone: so goes the broker."""
    broker_child.stop()
