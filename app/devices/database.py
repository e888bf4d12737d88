"""The database, reached without holding the hub: SQLite in a thread of its own, PostgreSQL by sockets that gevent patched."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gevent
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from gevent.threadpool import ThreadPool
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, SQLAlchemyError

T = TypeVar("T")

MIGRATIONS = Path(__file__).parent / "migrations"
SECONDS = 5.0
"""A question that has no answer by then has failed."""
MIGRATION_SECONDS = 600.0
MIGRATION_LOCK = 0x7869616F
"""Of PostgreSQL's advisory locks; any number that nobody else uses."""


class DatabaseUnavailable(Exception):
    """The database did not answer. Its text says why, and holds nothing secret."""


class BadDatabaseUrl(Exception):
    """The text is a sentence about what to write instead."""


def read_url(written: str, state_dir: Path) -> URL:
    """The URL of the database; empty: SQLite in ``state_dir``. Raises BadDatabaseUrl."""
    if not written:
        return URL.create("sqlite", database=str(state_dir / "xiaozhi.db"))
    try:
        url = make_url(written)
    except (ArgumentError, ValueError):
        raise BadDatabaseUrl("it is no URL; write one like postgresql://user:password@host:5432/name") from None
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database and url.database != ":memory:":
        return url
    raise BadDatabaseUrl(f"{url.drivername} is not served; write postgresql://user:password@host/name or sqlite:////path/file.db")


class Database:
    """Runs work in transactions. Both kinds of call raise DatabaseUnavailable.

    All of SQLite happens in one thread: its calls block, and gevent's locks, which SQLAlchemy uses unknowingly, are never shared.
    """

    def __init__(self, url: URL, lock_file: Path) -> None:
        self._url = url
        self._lock_file = lock_file
        self._is_sqlite = url.get_backend_name() == "sqlite"
        self._threads = ThreadPool(1) if self._is_sqlite else None
        self._engine: Engine | None = None

    def read(self, work: Callable[[Connection], T], seconds: float = SECONDS) -> T:
        """What ``work`` returns."""
        return self._run(work, seconds, writing=False)

    def write(self, work: Callable[[Connection], T], seconds: float = SECONDS) -> T:
        """What ``work`` returns; what it did is kept."""
        return self._run(work, seconds, writing=True)

    def migrate(self) -> None:
        """Brings the schema up to date. Several processes may do so at once."""
        self.write(self._upgrade, MIGRATION_SECONDS)

    def close(self) -> None:
        """Closes the connections. Can be called twice."""
        engine, self._engine = self._engine, None
        if engine is None:
            return
        if self._threads is None:
            engine.dispose()
            return
        self._threads.apply(engine.dispose)
        self._threads.kill()

    def _run(self, work: Callable[[Connection], T], seconds: float, writing: bool) -> T:
        patience = gevent.Timeout(seconds)
        try:
            with patience:
                if self._threads is None:
                    return self._transaction(work, writing)
                outcome: T
                outcome, fault = self._threads.apply(self._in_thread, (work, writing))
        except gevent.Timeout as timeout:
            if timeout is not patience:
                raise
            raise DatabaseUnavailable(f"the database did not answer within {seconds:g} s") from None
        except (DataError, IntegrityError):
            raise
        except (SQLAlchemyError, OSError) as error:
            raise DatabaseUnavailable(_sentence(error)) from error
        if fault is None:
            return outcome
        if isinstance(fault, SQLAlchemyError | OSError) and not isinstance(fault, DataError | IntegrityError):
            raise DatabaseUnavailable(_sentence(fault)) from fault
        raise fault

    def _in_thread(self, work: Callable[[Connection], T], writing: bool) -> tuple[Any, BaseException | None]:
        # As a value, because gevent prints what a thread raises.
        try:
            return self._transaction(work, writing), None
        except Exception as fault:  # noqa: BLE001
            return None, fault

    def _transaction(self, work: Callable[[Connection], T], writing: bool) -> T:
        if self._engine is None:
            self._engine = self._open_sqlite() if self._is_sqlite else self._open_postgresql()
        with self._engine.connect().execution_options(writing=writing) as connection, connection.begin():
            return work(connection)

    def _open_sqlite(self) -> Engine:
        path = Path(str(self._url.database))
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # it holds keys
        engine = create_engine(
            self._url, hide_parameters=True, pool_size=1, max_overflow=0, connect_args={"check_same_thread": False}
        )

        @event.listens_for(engine, "connect")
        def _connected(connection: Any, _record: object) -> None:
            connection.isolation_level = None  # BEGIN is ours, so that a schema change is a transaction too
            connection.execute("PRAGMA busy_timeout=4000")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            writing = connection.get_execution_options().get("writing")
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

        return engine

    def _open_postgresql(self) -> Engine:
        arguments: dict[str, Any] = {"connect_timeout": 5, "tcp_user_timeout": 10_000, "prepare_threshold": None}
        for name in list(arguments):
            if name in self._url.query:
                del arguments[name]
        engine = create_engine(
            self._url,
            hide_parameters=True,
            pool_size=5,
            max_overflow=0,
            pool_timeout=SECONDS,
            pool_pre_ping=True,
            pool_recycle=600,
            connect_args=arguments,
        )
        event.listen(engine, "do_connect", _resolve)
        return engine

    def _upgrade(self, connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        if not self._is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            command.upgrade(config, "head")
            return
        with self._lock_file.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            command.upgrade(config, "head")


def known_revisions() -> frozenset[str]:
    """The versions of the schema that this server can bring up to date."""
    return frozenset(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())


def _resolve(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
    """libpq would look the name up by itself, and hold the hub meanwhile."""
    host = parameters.get("host")
    if not isinstance(host, str) or not host or host.startswith("/") or "," in host or "hostaddr" in parameters:
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        found = socket.getaddrinfo(host, parameters.get("port") or 5432, type=socket.SOCK_STREAM)
        parameters["hostaddr"] = found[0][4][0]


def _sentence(error: BaseException) -> str:
    cause = getattr(error, "orig", None) or error
    line = str(cause).strip().partition("\n")[0][:200]
    return f"the database cannot be used: {line or type(cause).__name__}"
