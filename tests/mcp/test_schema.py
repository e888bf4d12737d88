"""The schema of a tool's arguments: cleaned for models, and held against what they send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.mcp import schema
from app.protocol.malformed import Malformed

VOLUME = {"type": "object", "properties": {"volume": {"type": "integer", "minimum": 0, "maximum": 100}}, "required": ["volume"]}
NOTHING = {"type": "object", "properties": {}}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def test_what_firmware_writes_stays_as_it_is() -> None:
    firmware = {
        "type": "object",
        "properties": {
            "url": {"type": "string", "maxLength": 200},
            "quality": {"type": "integer", "default": 80, "minimum": 1, "maximum": 100},
            "loud": {"type": "boolean", "default": False},
        },
        "required": ["url"],
    }
    assert schema.clean(firmware) == firmware


def test_what_is_not_known_is_dropped() -> None:
    strange = {"$ref": "#/x", "type": ["integer", "null"], "x-unit": "%", "minimum": True, "description": "how", "pattern": "("}
    dirty = {"type": "object", "properties": {"a": strange, "b": 5}, "required": ["a", "gone", 7], "additionalProperties": False}
    assert schema.clean(dirty) == {
        "type": "object",
        "properties": {"a": {"type": ["integer", "null"], "description": "how"}, "b": {}},
        "required": ["a"],
    }


@pytest.mark.parametrize("missing", [None, {}, {"type": "object"}])
def test_a_tool_without_a_schema_takes_no_arguments(missing: Any) -> None:
    assert schema.clean(missing) == NOTHING


@pytest.mark.parametrize(
    "unusable",
    [
        "object",
        {"type": "string"},
        of(**{f"p{index}": {} for index in range(33)}),
        of(a={"enum": ["x" * 390] * 11}),
        of(**{"\ud800": {}}),
    ],
)
def test_what_is_no_schema_of_an_object_or_too_large_is_refused(unusable: Any) -> None:
    with pytest.raises(Malformed):
        schema.clean(unusable)


@pytest.mark.parametrize(
    ("properties", "arguments", "sentence"),
    [
        ({"on": {"type": "boolean"}}, {"on": 1}, "on has to be true or false"),
        ({"n": {"type": "integer"}}, {"n": True}, "n has to be an integer"),
        ({"n": {"type": "integer"}}, {"n": 1.5}, "n has to be an integer"),
        ({"n": {"type": "number", "maximum": 5}}, {"n": 6}, "n has to be a number of at most 5; it is 6"),
        ({"n": {"exclusiveMinimum": 0}}, {"n": 0}, "n has to be a number more than 0; it is 0"),
        ({"n": {"type": "integer", "maximum": 9}}, {"n": 10**400}, "n has to be an integer of at most 9"),
        ({"c": {"enum": ["red", "blue"]}}, {"c": "green"}, 'c has to be one of ["red", "blue"]'),
        ({"c": {"enum": [0, 1]}}, {"c": True}, "c has to be one of"),
        ({"t": {"type": "string", "maxLength": 3}}, {"t": "four"}, "t has to have at most 3 characters; it has 4"),
        ({"l": {"type": "array", "items": {"type": "integer"}}}, {"l": [1, "2"]}, "l[1] has to be an integer"),
        ({"o": of(x={"type": "string"})}, {"o": {"x": 1}}, "x has to be a text"),
        ({"n": {"type": ["integer", "null"]}}, {"n": "1"}, "n has to be an integer or null"),
        ({}, {"n": float("nan")}, "no JSON"),
        ({}, {"n": "x" * 5000}, "shorten"),
        ({}, [], "have to be an object"),
    ],
)
def test_a_refusal_says_what_is_wrong(properties: dict[str, Any], arguments: Any, sentence: str) -> None:
    with pytest.raises(Malformed) as refused:
        schema.fit(schema.clean(of(**properties)), arguments)
    assert sentence in str(refused.value)


def test_what_is_missing_is_named_with_what_it_has_to_be() -> None:
    theme = {"type": "object", "properties": {"theme": {"enum": ["light", "dark"]}, "x": {}}, "required": ["theme", "x"]}
    with pytest.raises(Malformed, match=r'missing: theme \(one of \["light", "dark"\]\), x \(any value\)'):
        schema.fit(theme, {})


def test_what_fits_is_sent_with_whole_numbers_as_integers() -> None:
    fitted = schema.fit(VOLUME, {"volume": 50.0, "unit": 1.0})
    assert json.dumps(fitted) == '{"volume": 50, "unit": 1.0}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda one: st.lists(one, max_size=4) | st.dictionaries(st.sampled_from([*"ab", "type", "properties", "items"]), one),
    max_leaves=5,
)
KINDS = st.sampled_from(["object", "array", "integer", "string", "boolean", "null", "thing"])
SCHEMAS = st.recursive(
    st.dictionaries(st.sampled_from(["minimum", "maxLength", "enum", "default", "required", "items", "type"]), JSON | KINDS),
    lambda one: st.fixed_dictionaries(
        {"type": KINDS}, optional={"properties": st.dictionaries(st.sampled_from("abc"), one), "items": one}
    ),
    max_leaves=6,
)


@settings(max_examples=60)
@given(SCHEMAS, JSON)
def test_a_cleaned_schema_is_clean_and_small_and_can_be_held_against_anything(dirty: dict[str, Any], arguments: Any) -> None:
    try:
        cleaned = schema.clean({**dirty, "type": "object"})
    except Malformed:
        return
    assert schema.clean(cleaned) == cleaned
    assert len(schema.as_json(cleaned)) <= schema.MAX_BYTES
    try:
        fitted = schema.fit(cleaned, arguments)
    except Malformed:
        return
    assert schema.fit(cleaned, fitted) == fitted == arguments
