"""Certificates made by openssl for one test run: an authority, and what it signs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    pem: Path
    key: Path


class Authority:
    """``ca`` is its own certificate, which clients believe."""

    def __init__(self, directory: Path, name: str = "test authority") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self.ca, self._key = directory / "ca.pem", directory / "ca.key"
        _openssl("req", "-x509", *_new_key(self._key), "-days", "2", "-subj", f"/CN={name}", "-out", str(self.ca))

    def sign(self, name: str, *alternatives: str, days: int = 2) -> Certificate:
        """A certificate for ``name``; ``alternatives`` like ``DNS:localhost`` or ``IP:127.0.0.1``."""
        pem, key, request = (self._directory / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        _openssl("req", *_new_key(key), "-subj", f"/CN={name}", "-out", str(request))
        extensions = self._directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName={','.join(alternatives or ('DNS:localhost', 'IP:127.0.0.1'))}\n")
        signed = ("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self._key), "-CAcreateserial")
        _openssl(*signed, "-days", str(days), "-extfile", str(extensions), "-out", str(pem))
        return Certificate(pem, key)


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def _new_key(path: Path) -> tuple[str, ...]:
    return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path))
