from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.foreign.certificates import Authority
from tests.foreign.tls_mosquitto import TlsMosquitto


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def foreign(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsMosquitto]:
    broker = TlsMosquitto(tmp_path_factory.mktemp("foreign"), authority, authority.sign("broker"))
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of an authority that signed nothing here."""
    return Authority(tmp_path_factory.mktemp("stranger"), "a stranger").ca
