"""Both databases that the server can use, the real ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.devices.database import Database, read_url
from tests.devices.postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    cluster = Postgres()
    yield cluster
    cluster.clear()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/devices.db"
    cluster: Postgres = request.getfixturevalue("postgres")
    return cluster.new_url()


@pytest.fixture
def database(url: str, tmp_path: Path) -> Iterator[Database]:
    database = Database(read_url(url, tmp_path), tmp_path / "database.lock")
    database.migrate()
    yield database
    database.close()
