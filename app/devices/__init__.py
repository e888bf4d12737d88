"""Who the devices are, and where they reached this server."""

import logging

logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # it names each of its own parts at every start
