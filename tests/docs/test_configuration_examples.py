"""The configurations that the documents show: the server takes them as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from app.settings import load
from tests.system.running_server import TOP

PAGES = ("docs/external-broker.md", "docs/installing.md", "docs/providers.md")
BLOCK = re.compile(r"^ *```json\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def examples() -> list[Any]:
    found = [(page, block) for page in PAGES for block in BLOCK.findall((TOP / page).read_text("utf-8"))]
    return [pytest.param(block, id=f"{page} {number}") for number, (page, block) in enumerate(found)]


def document_of(block: str) -> dict[str, Any]:
    """Some are sections alone, to be pasted between the braces of a file."""
    return dict(json.loads(block if block.lstrip().startswith("{") else f"{{{block}}}"))


@pytest.mark.parametrize("block", examples())
def test_an_example_is_a_configuration(block: str, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(re.sub(r'"/etc/[^"]*"', json.dumps(__file__), json.dumps(document_of(block))))  # a file that can be read
    assert load(path, {}).origins.unknown == ()


def test_an_example_with_a_misspelled_key_would_be_found(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"mqtt": {"brokker": "broker.example.com"}}')
    assert len(load(path, {}).origins.unknown) == 1
