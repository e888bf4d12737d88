"""The page ``/try``: the browser as a device, for whoever has no hardware at hand."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, Response

from app.web.console.rendering import Pages
from app.web.node import Node

PATH = "/try"


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording to speak in the microphone's place. ``file``: in static/, made by try_samples.py; ``words``: what it says."""

    file: str
    words: str


SAMPLES = (
    Sample("try_time.wav", "What time is it?"),
    Sample("try_light_on.wav", "Turn on the light."),
    Sample("try_light_off.wav", "Turn off the light."),
)
"""In English, which the recognizer understands that needs no server."""


def blueprint(_node: Node, pages: Pages) -> Blueprint:
    """The route. What the page does it does over /api/v1/try and the device's WebSocket."""
    routes = Blueprint("try_it", __name__)

    @routes.get(PATH, provide_automatic_options=False)
    def page() -> Response:
        return pages.render("try_it.html", here="try_it", script_words=("try.",), samples=SAMPLES)

    return routes
