"""Every operation of the API, asked what its description allows and what it forbids, at a real server (schemathesis)."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks as openapi_checks

from app.web import openapi
from tests.system.running_server import RunningServer

DEVICE = "aa:bb:cc:dd:ee:ff"
EXAMPLES = 15
"""Of an operation, besides the examples that the document itself gives."""
CHECKS = [
    schemathesis.checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.negative_data_rejection,
    openapi_checks.positive_data_acceptance,
    openapi_checks.unsupported_method,
    openapi_checks.ignored_auth,
]
UNDESCRIBED = ("putFirmware", "testVoice", "testRecognizer", "testMind")
"""What they take is more than a schema can say: a whole image, a recording, a text with a letter in it."""
STREAMS = "/events$"
"""Their answers have no end: tests/web/test_streams.py reads them."""

schemathesis.serializer.alias(["audio/wav", "audio/ogg"], "application/octet-stream")
numbers = itertools.count()
schema = schemathesis.openapi.from_dict(openapi.load(), config=SchemathesisConfig(seed=1)).exclude(path_regex=STREAMS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """It has seen the device that the document takes for its examples."""
    with RunningServer(tmp_path_factory.mktemp("fuzz")) as running:
        request = Request(running.ota_url, b"{}", {"Device-Id": DEVICE, "Client-Id": "11111111-1111-1111-1111-111111111111"})
        urlopen(request, timeout=30).close()
        yield running


@pytest.fixture(scope="module")
def ask(server: RunningServer) -> Callable[[Any], None]:
    """Sends one case and checks the answer. Each comes from a network of its own: wrong tokens are counted by network."""
    token = json.loads((server.state_dir / "secrets.json").read_text())["api_token"]

    def send(case: Any) -> None:
        """What is described is what happens, and nobody who brings the token is turned away for lack of one."""
        number = next(numbers)
        headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": f"11.{number >> 8 & 255}.{number & 255}.1"}
        excluded = (
            [openapi_checks.positive_data_acceptance] if case.operation.definition.raw["operationId"] in UNDESCRIBED else []
        )
        url = f"http://127.0.0.1:{server.http_port}"
        answer = case.call_and_validate(url, headers=headers, checks=CHECKS, excluded_checks=excluded, timeout=30)
        assert answer.status_code != 401 or case.meta.generation.mode is not schemathesis.GenerationMode.POSITIVE

    return send


@schema.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_what_is_described_is_what_happens(case: Any, ask: Callable[[Any], None]) -> None:
    ask(case)
