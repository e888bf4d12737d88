"""An HTTP server for the tests that plays OTA and its activation, answer by answer."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CODE, CHALLENGE = "738133", "0f7a3c1e-challenge"
TOLD = {"code": CODE, "message": f"Activate\n{CODE}", "challenge": CHALLENGE, "timeout_ms": 30_000}
MQTT = {"endpoint": "h:2883", "client_id": "c", "username": "u", "password": "p", "publish_topic": "device-server"}
Said = tuple[int, Any]
WAITS: Said = (200, {"activation": TOLD})
LET_IN: Said = (200, {"mqtt": MQTT})


class Peer:
    """An HTTP server that answers what it is told, by path; the last answer of a path is given again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Said]] = {"ota": [WAITS, LET_IN], "activate": [(200, {})]}
        self.answers_polls = threading.Event()
        self.answers_polls.set()
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        peer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                peer.requests.append((self.path, dict(self.headers), posted))
                polled = self.path.endswith("/activate")
                if polled:
                    peer.answers_polls.wait()
                waiting = peer.answers["activate" if polled else "ota"]
                status, said = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                body = said if isinstance(said, bytes) else json.dumps(said).encode()
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/xiaozhi/ota/"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def polls(self) -> list[tuple[str, dict[str, str], Any]]:
        return [request for request in self.requests if request[0] == "/xiaozhi/ota/activate"]

    def close(self) -> None:
        self.answers_polls.set()
        self._server.shutdown()
        self._server.server_close()
