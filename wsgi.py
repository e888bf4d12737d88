"""The WSGI entry: ``gunicorn -k gevent wsgi:app``. ``gunicorn.conf.py`` beside it starts and stops the node."""

import sys

from gevent import monkey

from app.node_lock import NodeLockedError
from app.server import create_app
from app.settings import SettingsError

HALT = 3
"""The exit status by which gunicorn knows that starting this worker again is of no use."""


def refuse(sentence: object) -> None:
    """Says why there is no server, and ends gunicorn."""
    print(f"The server cannot start: {sentence}", file=sys.stderr, flush=True)
    sys.exit(HALT)


if not monkey.is_module_patched("socket"):
    refuse("it runs in a gevent worker that loads it after the fork: type `gunicorn -k gevent wsgi:app`, without --preload.")
try:
    app = create_app()
except (SettingsError, NodeLockedError) as error:
    refuse(error)
