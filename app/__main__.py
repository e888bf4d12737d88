"""``python -m app``. Everything below runs on gevent, so the standard library is patched before it is used."""

import sys

try:
    from gevent import monkey
except ModuleNotFoundError:
    sys.exit(
        "This Python has not the packages that the server needs. After `make run` type .venv/bin/python -m app; "
        "where deploy/install was used, sudo xiaozhi."
    )

monkey.patch_all()

from app.cli import main  # noqa: E402

sys.exit(main())
