"""docs/protocol.md: what it shows is what the server reads and writes."""

from __future__ import annotations

import json
import re

import pytest

from app.protocol.messages import UnknownMessage, from_device, from_server
from app.transport.hybrid import DOWNLINK_RATE
from tests.system.running_server import TOP

PAGE = (TOP / "docs" / "protocol.md").read_text("utf-8")


def lines_of(kind: str) -> list[str]:
    found = re.findall(rf"^```json {kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return [line for line in found[0].splitlines() if line]


@pytest.mark.parametrize("line", lines_of("from-device"))
def test_what_the_page_lets_devices_say_is_understood(line: str) -> None:
    assert not isinstance(from_device(line), UnknownMessage)


@pytest.mark.parametrize("line", lines_of("from-server"))
def test_what_the_page_lets_the_server_say_is_what_it_writes(line: str) -> None:
    message = from_server(line)
    assert not isinstance(message, UnknownMessage)
    assert json.loads(message.encode()) == json.loads(line)


def test_the_page_names_the_downlinks_rate() -> None:
    assert f"{DOWNLINK_RATE // 1000} kHz" in PAGE


def test_every_json_example_is_json() -> None:
    for example in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        json.loads(example)
