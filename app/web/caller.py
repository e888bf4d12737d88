"""Who sent an HTTP request and where it reached us, seen through trusted proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.protocol.malformed import Malformed
from app.settings import Settings
from app.web.host import HostPort

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")
_NEAR: tuple[IPNetwork, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),  # private (RFC 1918)
        *("127.0.0.0/8", "::1/128"),  # loopback
        *("169.254.0.0/16", "fe80::/10"),  # link-local
        "fc00::/7",  # unique local (RFC 4193)
    )
)


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's sender."""

    address: IPAddress
    """The client's own address."""
    reached: HostPort
    """Where it reached us, as it spelled it."""
    secure: bool
    """Whether it came by HTTPS."""

    @property
    def is_near(self) -> bool:
        """Whether the client is on this machine or in a private network."""
        return is_near(self.address)

    @property
    def origin(self) -> str:
        """Our address as the client sees it, up to the path: ``https://voice.example.org``."""
        return f"{'https' if self.secure else 'http'}://{self.reached}"


class CallerReader:
    """Finds the caller of a request; believes the ``X-Forwarded-`` headers of the ``trusted`` networks only.

    ``routers``: networks of a hosting platform's router. It passes the Host header on and an X-Forwarded-Host that anybody can
    have written, so that one is not believed, and of X-Forwarded-For only the address that the router itself has added.
    """

    def __init__(self, trusted: Sequence[IPNetwork], routers: Sequence[IPNetwork] = ()) -> None:
        self._trusted = tuple(trusted)
        self._routers = tuple(routers)

    @classmethod
    def of(cls, settings: Settings) -> CallerReader:
        """The one for this configuration."""
        return cls(settings.websocket.trusted_proxies, settings.platform.routers)

    def read(self, environ: Mapping[str, Any]) -> Caller:
        """The caller of the WSGI request ``environ``. Raises Malformed when its Host header is no host."""
        # Without a peer address the request came over a Unix socket: from this machine.
        peer = parse_address(environ.get("REMOTE_ADDR", "")) or _LOOPBACK
        scheme = environ.get("wsgi.url_scheme", "http")
        host = environ.get("HTTP_HOST", "")
        if self._is_trusted(peer):
            peer = self._forwarded_for(peer, environ.get("HTTP_X_FORWARDED_FOR", ""))
            scheme = _last(environ.get("HTTP_X_FORWARDED_PROTO", "")) or scheme
            host = _last(environ.get("HTTP_X_FORWARDED_HOST", "")) or host
        elif any(peer in network for network in self._routers):
            peer = _parse_hop(_last(environ.get("HTTP_X_FORWARDED_FOR", ""))) or peer
            scheme = _last(environ.get("HTTP_X_FORWARDED_PROTO", "")) or scheme
        return Caller(peer, _reached(host) if host else _local_address(environ), scheme.lower() in ("https", "wss"))

    def _is_trusted(self, address: IPAddress) -> bool:
        return any(address in network for network in self._trusted)

    def _forwarded_for(self, peer: IPAddress, header: str) -> IPAddress:
        """The last hop that no trusted proxy was: what stands left of it anybody can have written."""
        client = peer
        for hop in reversed(header.split(",")):
            address = _parse_hop(hop.strip())
            if address is None:
                break
            client = address
            if not self._is_trusted(client):
                break
        return client


@lru_cache(maxsize=4096)
def parse_address(text: str) -> IPAddress | None:
    """``text`` as an IP address, an IPv4 one that IPv6 carries as what it is; None when it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address


@lru_cache(maxsize=4096)
def is_near(address: IPAddress) -> bool:
    """Whether ``address`` is private, loopback, link-local or unique local."""
    return any(address in network for network in _NEAR)


def _parse_hop(text: str) -> IPAddress | None:
    """One element of X-Forwarded-For, which some proxies write with a port."""
    address = parse_address(text)
    if address is not None:
        return address
    try:
        return parse_address(HostPort.parse(text).host)
    except Malformed:
        return None


def _reached(header: str) -> HostPort:
    try:
        return HostPort.parse(header)
    except Malformed as fault:
        raise Malformed(f"Host header: {fault}") from None


def _last(header: str) -> str:
    return header.rpartition(",")[2].strip()


def _local_address(environ: Mapping[str, Any]) -> HostPort:
    """The address of our end of the connection, for a client that names no host (HTTP/1.0)."""
    connection = environ.get("gunicorn.socket")
    name = connection.getsockname() if connection is not None else None
    host, port = name[:2] if isinstance(name, tuple) else (environ.get("SERVER_NAME", ""), environ.get("SERVER_PORT", ""))
    address = parse_address(host)
    if address is None:
        return HostPort.parse(f"{host}:{port}")
    return HostPort(str(address).partition("%")[0], int(port))
