"""What can be seen from this machine alone: the configuration, the state directory, the ports, the kernel's buffer."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from app.doctor.finding import Finding, fault, ok, warning
from app.doctor.kept import kept_warnings
from app.settings import TOP, Settings, SettingsError, load
from app.transport.udp import SO_RCVBUFFORCE

GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def configuration() -> tuple[Settings | None, list[Finding]]:
    """The settings, None when they cannot be used, and what there is to say of them."""
    with kept_warnings("app.settings") as kept:
        try:
            settings = load()
        except SettingsError as error:
            return None, [fault("configuration", line) for line in str(error).splitlines()]
    findings = [warning("configuration", f"{words}.") for words in kept]
    return settings, [*findings, ok("configuration", "The configuration can be read.")]


def state_directory(settings: Settings) -> Iterator[Finding]:
    """Whether it can be written, and whether its secrets are secret."""
    folder = settings.state_dir
    if not folder.exists():
        yield ok("state", f"{folder} does not exist yet; the server makes it when it starts.")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield fault("state", f"{folder} cannot be written by this user: change its owner, or name another in XIAOZHI_STATE_DIR.")
        return
    path = folder / "secrets.json"
    if not path.exists():
        yield ok("state", f"{path} does not exist yet; the server makes it when it starts.")
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & GROUP_AND_OTHERS:
        yield fault("secrets", f"{path} can be read by others (mode {mode:04o}): type chmod 600 {path}")
    elif _secrets(path) is None:
        yield fault("secrets", f"{path} cannot be read as secrets: restore it, or delete it to have new ones generated.")
    else:
        yield ok("secrets", f"{path} is there, for its owner only.")


def signature_key(settings: Settings) -> str | None:
    """The key that this configuration signs with; None when there is none yet. Nothing is generated."""
    if settings.ota.signature_key:
        return settings.ota.signature_key
    kept = _secrets(settings.state_dir / "secrets.json")
    return kept.get("signature_key") if kept else None


def _secrets(path: Path) -> dict[str, str] | None:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and all(isinstance(value, str) for value in document.values()) else None


def ports(settings: Settings, server_runs: bool) -> Iterator[Finding]:
    """The ports that the server needs: taken by it while it runs, free while it does not."""
    server, web, udp = settings.mqtt_server, settings.websocket, settings.udp
    wanted = [("websocket.port", web.host, web.port, socket.SOCK_STREAM)]
    if settings.runs_broker:
        wanted.append(("mqtt_server.listen_port", server.listen_host, server.listen_port, socket.SOCK_STREAM))
        if server.tls.enable:
            wanted.append(("mqtt_server.tls.port", server.listen_host, server.tls.port, socket.SOCK_STREAM))
    if not settings.http_only:
        wanted.append(("udp.listen_port", udp.listen_host, udp.listen_port, socket.SOCK_DGRAM))
    for setting, host, port, kind in wanted:
        name = f"{'UDP' if kind == socket.SOCK_DGRAM else 'TCP'} port {port} ({setting})"
        error = _bind_error(host, port, kind)
        if error is None and server_runs:
            yield fault("port", f"The server runs, but nobody has {name}: see the server's log.")
        elif error is None:
            yield ok("port", f"{name} is free.")
        elif error.errno != errno.EADDRINUSE:
            yield fault("port", f"{name} cannot be used at {host}: {error.strerror}: correct the host or the port.")
        elif server_runs:
            yield ok("port", f"{name} is in use while the server runs.")
        else:
            yield fault("port", f"{name} is taken by another program: stop that one, or set another {setting}.")


def _bind_error(host: str, port: int, kind: socket.SocketKind) -> OSError | None:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            if kind == socket.SOCK_STREAM:
                probe.listen(1)
    except OSError as error:
        return error
    return None


def receive_buffer(settings: Settings) -> Finding:
    """Whether the kernel gives the audio socket the buffer that the settings ask for."""
    wanted = settings.udp.receive_buffer_bytes
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, wanted)
        except OSError:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
    if granted < wanted:
        return warning(
            "receive buffer",
            f"The kernel grants {granted // 1024} KiB instead of {wanted // 1024}, so bursts of audio may be lost: "
            f"type sysctl -w net.core.rmem_max={wanted}",
        )
    return ok("receive buffer", f"The kernel grants {granted // 1024} KiB.")


def clock(now: float | None = None) -> Finding:
    """Whether this machine's clock may be right: it cannot be earlier than the program's own files."""
    installed = (TOP / "requirements.txt").stat().st_mtime
    now = time.time() if now is None else now
    day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(now))
    if now < installed - 86_400:
        return fault(
            "clock", f"This machine's clock says {day} UTC, before this program was installed: set it (timedatectl set-ntp on)."
        )
    return ok("clock", f"This machine's clock says {day} UTC.")
