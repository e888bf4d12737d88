"""What answers tell a browser not to do with them: the console's pages load, run, send and embed nothing that is not our own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Flask, Response, request

from app.protocol.malformed import Malformed
from app.sections import AUTO
from app.web.caller import CallerReader, parse_address
from app.web.node import Node

_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]+")
PERMISSIONS = "microphone=(self), camera=(), geolocation=()"


class SecurityHeaders:
    """``nosniff`` on every answer; on pages everything that this file knows."""

    def __init__(self, node: Node) -> None:
        self._callers = CallerReader.of(node.settings)
        self._elsewhere = _written_origins(node)

    def install(self, app: Flask) -> None:
        """Adds them to what ``app`` answers."""
        app.after_request(self._add)

    def _add(self, response: Response) -> Response:
        headers = response.headers
        headers["X-Content-Type-Options"] = "nosniff"
        if response.mimetype == "text/html":
            headers["Content-Security-Policy"] = self._policy()
            # Not no-referrer: with that a browser names no origin when a form of ours is sent (app/web/forgery.py).
            headers["Referrer-Policy"] = "same-origin"
            if self._is_trustworthy():  # a browser that does not think so ignores it, and complains
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Permissions-Policy"] = PERMISSIONS
            headers["Cache-Control"] = "no-store"
        return response

    def _policy(self) -> str:
        # 'self' covers our own WebSocket in present browsers; older ones want it named.
        return policy((*self._own_websocket(), *self._elsewhere))

    def _is_trustworthy(self) -> bool:
        """Whether the page comes over HTTPS, or from the browser's own machine (W3C Secure Contexts, 3.1)."""
        try:
            caller = self._callers.read(request.environ)
        except Malformed:
            return False
        address = parse_address(caller.reached.host)
        return caller.secure or caller.reached.host == "localhost" or (address is not None and address.is_loopback)

    def _own_websocket(self) -> tuple[str, ...]:
        try:
            caller = self._callers.read(request.environ)
        except Malformed:
            return ()
        return (f"{'wss' if caller.secure else 'ws'}://{caller.reached}",)


def policy(websockets: Sequence[str]) -> str:
    """The Content-Security-Policy of a page that may open these WebSockets (origins)."""
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "media-src 'self' blob:",
            " ".join(("connect-src 'self'", *websockets)),
            "worker-src 'self'",
            "manifest-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        )
    )


def _written_origins(node: Node) -> tuple[str, ...]:
    """Where the configuration sends WebSockets to: the page that tries the server opens the one that OTA names."""
    ota = node.settings.ota
    urls = [urlsplit(network.websocket.url) for network in (ota.test, ota.external) if network.websocket.url != AUTO]
    return tuple(
        sorted({f"{url.scheme}://{url.netloc}" for url in urls if url.scheme in ("ws", "wss") and _HOST.fullmatch(url.netloc)})
    )
