"""The console's scripts and styles: read once at the start, served as they are. They hold nothing secret."""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path

from flask import Blueprint, Response, abort, request

FOLDER = Path(__file__).with_name("static")
PATH = "/console/static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".wav": "audio/wav"}


class Assets:
    """Every file of ``folder``, by its name."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        self._tags = {name: hashlib.sha256(content).hexdigest()[:16] for name, content in self._files.items()}

    def url(self, name: str) -> str:
        """Where the browser gets it. Raises KeyError for a name that is none."""
        return f"{PATH}/{name}?v={self._tags[name]}"

    def serve(self, name: str) -> Response:
        """The file; the browser asks each time whether it has changed, since modules import each other by their bare names."""
        content = self._files.get(name)
        if content is None:
            abort(404)
        suffix = Path(name).suffix
        response = Response(content, mimetype=TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream")
        response.set_etag(self._tags[name])
        response.headers["Cache-Control"] = "no-cache"
        response.make_conditional(request)
        return response


def blueprint(assets: Assets) -> Blueprint:
    """The route."""
    routes = Blueprint("console_assets", __name__)
    routes.add_url_rule(f"{PATH}/<name>", "asset", assets.serve, methods=["GET"], provide_automatic_options=False)
    return routes
