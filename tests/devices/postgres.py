"""A PostgreSQL cluster of the tests' own: Debian's programs, a folder of its own, a port of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg

from tests.ports import free_port
from tests.waiting import eventually

PROGRAMS = "/usr/lib/postgresql"


class Postgres:
    """Started when made; ``stop`` and ``start`` make an outage."""

    def __init__(self) -> None:
        found = sorted(Path(PROGRAMS).glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
        assert found, "PostgreSQL is not installed: run `deploy/system-packages --tests`"
        self._bin = found[-1].parent
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        # It refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._data = self.folder / "data"
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [self._bin / "postgres", "-D", self._data, "-k", self.folder, "-p", str(self.port), "-F"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB"],
                cwd=self.folder,
                user=self._user,
                stdout=log,
                stderr=log,
            )
        eventually(self._answers, 20, "PostgreSQL answers")

    def stop(self) -> None:
        """At once: connections are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(20)
            self._process = None

    def clear(self) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def new_url(self, scheme: str = "postgresql") -> str:
        """The URL of a database that is empty."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self._url("postgresql", "postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url(scheme, name)

    def _url(self, scheme: str, name: str) -> str:
        return f"{scheme}://postgres@localhost:{self.port}/{name}"

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._url("postgresql", "postgres"), connect_timeout=20).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [self._bin / program, *map(str, arguments)], cwd=self.folder, user=self._user, check=True, capture_output=True
        )
