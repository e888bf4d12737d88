"""PROTOCOL.md 2: MQTT credentials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.credentials import issue, password_is_valid, sign
from app.protocol.topics import ClientId
from tests.shared import vectors


@pytest.mark.parametrize("case", vectors("credentials")["cases"], ids=lambda case: case["device_id"])
def test_golden_credentials(case: dict) -> None:
    client_id = str(ClientId(case["group"], case["device_id"], case["uuid"]))
    assert client_id == case["client_id"]
    issued = issue(case["signature_key"], client_id, case["ip"])
    assert (issued.username, issued.password) == (case["username"], case["password"])
    assert password_is_valid(case["signature_key"], client_id, case["username"], case["password"])


@given(
    key=st.text(min_size=1, max_size=40),
    client_id=st.text(max_size=60),
    username=st.text(max_size=60),
    other=st.text(max_size=60),
)
def test_only_the_signed_password_is_valid(key: str, client_id: str, username: str, other: str) -> None:
    password = sign(key, client_id, username)
    assert password_is_valid(key, client_id, username, password)
    assert password_is_valid(key, client_id, username, other) == (other == password)
    assert not password_is_valid(key, client_id + "x", username, password)
    assert not password_is_valid(key, client_id, username + "x", password)


def test_a_password_is_not_part_of_a_repr() -> None:
    issued = issue("key", "client", "1.2.3.4")
    assert issued.password not in repr(issued)
