"""The console at ``/``: pages for the operator, rendered here and kept alive by a little JavaScript and event streams.

A page is a module with ``blueprint(node, pages)``, a template, a script in ``static/`` where it needs one, and its words in
``words/``. What its script asks for or changes goes over ``/api/v1``, as any other program's requests do.
"""

from __future__ import annotations

from flask import Flask

from app.web.console import assets, device, devices, firmware_page, login, no_page, settings, try_it
from app.web.console.rendering import Pages
from app.web.guard import Guard
from app.web.node import Node


def install(app: Flask, node: Node, guard: Guard) -> None:
    """Adds the pages to ``app``."""
    files = assets.Assets()
    pages = Pages(guard, files)
    app.register_blueprint(assets.blueprint(files))
    app.register_blueprint(login.blueprint(guard, pages))
    no_page.install(app, guard, pages)
    for page in (devices, device, try_it, firmware_page, settings):
        app.register_blueprint(page.blueprint(node, pages))
