"""``python -m app``. Everything below runs on gevent, so the standard library is patched before it is used."""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

from app.cli import main  # noqa: E402

sys.exit(main())
