"""Whose certificates a connection of ours believes: those of the system's authorities, or of the authorities in a file."""

from __future__ import annotations

import ssl
from pathlib import Path


def trusting(cafile: Path | None = None) -> ssl.SSLContext:
    """TLS 1.2 and above; the other side has to show a certificate for its name. Raises OSError, ssl.SSLError included, for a
    file without certificates."""
    context = ssl.create_default_context(cafile=cafile)
    # Since Python 3.13 this refuses authorities that do not say what their key is for (RFC 5280, 4.2.1.3), as
    # `openssl req -x509` makes them. Devices believe those, and so do older Pythons.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
