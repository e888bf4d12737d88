"""The database: both kinds, their schema, and that neither holds the hub."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from app.devices.database import BadDatabaseUrl, Database, DatabaseUnavailable, read_url
from app.devices.models import METADATA
from tests.devices.postgres import Postgres

TOP = Path(__file__).resolve().parents[2]

HEARTBEAT = """
from gevent import monkey; monkey.patch_all()
import sys, time, gevent
from pathlib import Path
from sqlalchemy import text
from app.devices.database import Database, read_url
folder = Path(sys.argv[2])
database = Database(read_url(sys.argv[1], folder), folder / "lock")
database.migrate()
if sys.argv[1].startswith("sqlite"):
    slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT count(*) FROM n"
else:
    slow = "SELECT pg_sleep(0.6)"
beats = []
def beat():
    while True:
        beats.append(time.monotonic())
        gevent.sleep(0.005)
heart = gevent.spawn(beat)
gevent.sleep(0.02)
begun = time.monotonic()
database.read(lambda connection: connection.execute(text(slow)).all(), 30)
took = time.monotonic() - begun
heart.kill()
database.close()
print(took, len([at for at in beats if at > begun]))
"""

MIGRATION = """
from gevent import monkey; monkey.patch_all()
import sys
from pathlib import Path
from app.devices.database import Database, read_url
folder = Path(sys.argv[2])
database = Database(read_url(sys.argv[1], folder), folder / "lock")
database.migrate()
database.close()
"""


def python(source: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(TOP)}
    return subprocess.Popen(command, cwd=TOP, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_question_lets_other_greenlets_run(url: str, tmp_path: Path) -> None:
    process = python(HEARTBEAT, url, tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    took, beats = out.split()
    assert float(took) > 0.05
    assert int(beats) > float(took) / 0.005 / 8, out


def test_several_processes_bring_the_schema_up_to_date_at_once(url: str, tmp_path: Path) -> None:
    processes = [python(MIGRATION, url, tmp_path) for _ in range(3)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err


def test_migrations_run_again_change_nothing(database: Database) -> None:
    database.migrate()
    tables = database.read(lambda connection: set(inspect(connection).get_table_names()))
    assert tables == {"devices", "activations", "serials", "histories", "alembic_version"}


def test_the_migrations_make_the_schema_that_the_code_means(database: Database) -> None:
    differences = database.read(lambda connection: compare_metadata(MigrationContext.configure(connection), METADATA))
    assert differences == []


def test_work_that_fails_leaves_nothing_behind(database: Database) -> None:
    def work(connection: object) -> None:
        connection.execute(text("INSERT INTO serials VALUES ('S', '00')"))  # type: ignore[attr-defined]
        raise LookupError

    with pytest.raises(LookupError):
        database.write(work)
    assert database.read(lambda connection: connection.execute(text("SELECT count(*) FROM serials")).scalar()) == 0


def test_the_file_of_sqlite_can_be_read_by_its_owner_only(tmp_path: Path) -> None:
    database = Database(read_url("", tmp_path / "state"), tmp_path / "lock")
    database.migrate()
    assert (tmp_path / "state" / "xiaozhi.db").stat().st_mode & 0o777 == 0o600
    assert database.read(lambda connection: connection.execute(text("PRAGMA journal_mode")).scalar()) == "wal"
    database.close()


def test_a_postgresql_that_is_gone_is_said_and_one_that_comes_back_is_used(postgres: Postgres, tmp_path: Path) -> None:
    database = Database(read_url(postgres.new_url(), tmp_path), tmp_path / "lock")
    database.migrate()
    question = text("SELECT 1")
    postgres.stop()
    try:
        with pytest.raises(DatabaseUnavailable):
            database.read(lambda connection: connection.execute(question).scalar())
    finally:
        postgres.start()
    assert database.read(lambda connection: connection.execute(question).scalar()) == 1
    database.close()


def test_a_sqlite_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    database = Database(read_url(f"sqlite:///{tmp_path}/file/devices.db", tmp_path), tmp_path / "lock")
    with pytest.raises(DatabaseUnavailable):
        database.migrate()
    database.close()


def test_a_failure_does_not_tell_the_password(tmp_path: Path) -> None:
    database = Database(read_url("postgres://user:hush-hush@127.0.0.1:1/name", tmp_path), tmp_path / "lock")
    with pytest.raises(DatabaseUnavailable) as failure:
        database.migrate()
    assert "hush-hush" not in str(failure.value)
    database.close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_all_spellings_of_postgresql_are_understood(scheme: str, tmp_path: Path) -> None:
    url = read_url(f"{scheme}://user:word@db.example.org:5433/name?sslmode=require", tmp_path)
    assert url.drivername == "postgresql+psycopg"
    assert (url.host, url.port, url.query["sslmode"]) == ("db.example.org", 5433, "require")


@pytest.mark.parametrize("written", ["mysql://host/name", "sqlite://", "nonsense", "postgres://host:port/name"])
def test_another_database_is_refused_with_a_sentence(written: str, tmp_path: Path) -> None:
    with pytest.raises(BadDatabaseUrl, match="postgresql://"):
        read_url(written, tmp_path)
