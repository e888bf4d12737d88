"""The addresses of this machine, at which devices may reach it."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from pathlib import Path

from app.sections import WebSocket
from app.transport.udp import address_of_this_machine
from app.web.host import HostPort

SIOCGIFADDR = 0x8915
IF_INET6 = Path("/proc/net/if_inet6")
GLOBAL_SCOPE = "00"
ANY_V4, ANY_V6 = ("0.0.0.0", ""), "::"


def main_url(settings: WebSocket, path: str) -> str:
    """The OTA address by which the rest of the network reaches this machine."""
    host = address_of_this_machine() if settings.host in (*ANY_V4, ANY_V6) else settings.host
    return f"http://{HostPort(host, settings.port)}{path}"


def local_urls(settings: WebSocket, path: str) -> list[str]:
    """The OTA addresses by every address of this machine at which the HTTP port listens."""
    if settings.host in ANY_V4:
        hosts = _ipv4()
    elif settings.host == ANY_V6:
        hosts = [*_ipv4(), *_ipv6()]
    else:
        hosts = [settings.host]
    return [f"http://{HostPort(host, settings.port)}{path}" for host in hosts]


def _ipv4() -> list[str]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # an interface without an IPv4 address
            found.append(socket.inet_ntoa(answer[20:24]))
    return found


def _ipv6() -> list[str]:
    """Without the link-local ones: a device's OTA address has no room for an interface's name."""
    if not IF_INET6.exists():
        return []
    rows = [line.split() for line in IF_INET6.read_text().splitlines()]
    return [str(ipaddress.IPv6Address(bytes.fromhex(row[0]))) for row in rows if row[3] == GLOBAL_SCOPE or row[5] == "lo"]
