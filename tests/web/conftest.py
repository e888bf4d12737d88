from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.web.fake_node import FakeNode, make_node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FakeNode]:
    """A node with a database, and ``the-token`` for its API."""
    made = make_node(tmp_path)
    made.secrets = replace(made.secrets, api_token="the-token")
    made.database.migrate()
    yield made
    made.database.close()
