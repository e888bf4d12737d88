"""JSON-RPC as devices speak it."""

from __future__ import annotations

from typing import Any

import pytest

from app.mcp import rpc
from app.mcp.known import KnownTools
from app.mcp.rpc import Failure, Notification, Request, Result
from app.protocol.malformed import Malformed


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"id": 1, "result": {"a": 1}}, Result(1, {"a": 1})),
        ({"id": 1, "result": None}, Result(1, None)),
        ({"id": 1, "error": {"message": "no"}}, Failure(1, "no")),
        ({"id": 1, "error": {"code": -1}, "result": 1}, Failure(1, "")),
        ({"id": 1, "error": "no"}, Failure(1, "no")),
        ({"id": "x", "method": "ping"}, Request("x", "ping")),
        ({"method": "notifications/x"}, Notification("notifications/x")),
        ({"id": None, "method": "notifications/x"}, Notification("notifications/x")),
    ],
)
def test_a_payload_is_told_by_its_method_its_id_and_its_result(payload: dict[str, Any], message: object) -> None:
    assert rpc.read({"jsonrpc": "2.0"} | payload) == message


@pytest.mark.parametrize(
    "payload",
    [{}, {"id": 1}, {"id": True, "result": 1}, {"id": 1.5, "result": 1}, {"id": "x" * 65, "method": "m"}, {"method": 1}],
)
def test_what_is_none_of_them_is_malformed(payload: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        rpc.read(payload)


def test_ids_fit_what_firmware_reads_and_begin_again_at_one() -> None:
    known = KnownTools(first_id=lambda: rpc.MAX_ID - 1)
    assert [known.next_id() for _ in range(3)] == [rpc.MAX_ID - 1, rpc.MAX_ID, 1]


def test_the_device_used_least_recently_is_forgotten_first() -> None:
    known = KnownTools(devices=2)
    for device_id in ("a", "b"):
        known.put(device_id, ())
    known.get("a")
    known.put("c", ())
    assert len(known) == 2
    assert list(known._tools) == ["a", "c"]
