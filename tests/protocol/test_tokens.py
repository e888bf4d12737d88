"""Bearer tokens: whom they let in, and whom not."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol import credentials
from app.protocol.tokens import Purpose, TokenRefused, bearer, check, is_same, issue

KEY, MAC, NOW = "a-signature-key", "AA:bb:cc:dd:ee:ff", 1_700_000_000


def test_a_token_lets_its_device_in_until_it_expires() -> None:
    token = issue(KEY, MAC, NOW + 10)
    check(KEY, token, "aa-bb-cc-dd-ee-ff", NOW)
    check(KEY, token, MAC, NOW + 9.9)
    with pytest.raises(TokenRefused, match="expired"):
        check(KEY, token, MAC, NOW + 10)


def test_it_fits_a_url_and_a_devices_flash() -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,100}", issue(KEY, MAC, NOW))


def test_another_devices_token_and_another_servers_are_refused() -> None:
    with pytest.raises(TokenRefused, match="another device"):
        check(KEY, issue(KEY, "aa:bb:cc:dd:ee:00", NOW + 10), MAC, NOW)
    with pytest.raises(TokenRefused, match="not signed"):
        check(KEY, issue("another key", MAC, NOW + 10), MAC, NOW)


def test_an_mqtt_password_is_no_token() -> None:
    bare = issue(KEY, MAC, NOW + 10).rpartition(".")[0]
    password = credentials.sign(KEY, bare, "").rstrip("=").replace("+", "-").replace("/", "_")
    with pytest.raises(TokenRefused, match="not signed"):
        check(KEY, f"{bare}.{password}", MAC, NOW)


@pytest.mark.parametrize(("given", "wanted"), [(Purpose.VISION, Purpose.WEBSOCKET), (Purpose.WEBSOCKET, Purpose.VISION)])
def test_a_token_is_good_for_its_own_purpose_only(given: Purpose, wanted: Purpose) -> None:
    token = issue(KEY, MAC, NOW + 10, given)
    check(KEY, token, MAC, NOW, given)
    with pytest.raises(TokenRefused, match="not signed"):
        check(KEY, token, MAC, NOW, wanted)


@given(st.text())
def test_whatever_is_brought_is_refused_with_a_sentence_that_does_not_hold_it(text: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        check(KEY, text, MAC, NOW)
    assert len(text) < 4 or text not in str(refused.value)


@given(st.integers(0, 66), st.integers(1, 127))
def test_a_token_with_one_character_changed_is_refused(index: int, change: int) -> None:
    token = issue(KEY, MAC, NOW + 10)
    index %= len(token)
    changed = token[:index] + chr(ord(token[index]) ^ change) + token[index + 1 :]
    with pytest.raises(TokenRefused):
        check(KEY, changed, MAC, NOW)


def test_the_word_bearer_may_be_missing() -> None:
    assert [bearer(header) for header in ("Bearer abc", "bearer  abc ", "abc", "")] == ["abc", "abc", "abc", ""]


def test_secrets_are_compared_whole() -> None:
    assert is_same("ä", "ä")
    assert not is_same("a", "ab")
