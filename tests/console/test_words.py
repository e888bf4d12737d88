"""What the console says: there are words for every code that the server speaks by, and the same places in every language."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from app.session.saying import Saying
from app.voice.provider import FaultCode
from app.web.console import words

WORDS = words.load()
PLACE = re.compile(r"\{(\w+)\}")


def under(prefix: str) -> set[str]:
    return {key.removeprefix(prefix) for key in WORDS[words.DEFAULT].under(prefix)}


@pytest.mark.parametrize(
    ("prefix", "codes"),
    [("said.", Saying), ("settings.fault.", FaultCode)],
    ids=["what becomes of a request", "what is wrong with a provider"],
)
def test_every_code_has_its_words(prefix: str, codes: Iterable[str]) -> None:
    assert under(prefix) == {str(code) for code in codes}


def test_every_part_of_the_server_has_a_name_and_a_meaning() -> None:
    parts = ("broker", "mqtt", "udp", "websocket", "devices")
    assert under("devices.part.") == {*parts, *(f"{part}.means" for part in parts)}


def test_a_text_has_the_same_places_in_every_language() -> None:
    places = {key: {frozenset(PLACE.findall(texts(key))) for texts in WORDS.values()} for key in under("")}
    assert [key for key, found in places.items() if len(found) > 1] == []


def test_one_person_is_addressed_alike_everywhere() -> None:
    assert [key for key, text in WORDS["zh"].under("").items() if "您" in text] == []
