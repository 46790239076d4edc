"""Examples of events: taken from a schema, or made by it and admitted by it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.model import EventType
from hookline.model.operational import OPERATIONAL_NAMES, OPERATIONAL_TYPES
from hookline.services import InvalidError
from hookline.services.examples import example_of, make_example
from hookline.services.schema_cost import examine
from hookline.services.schemas import Validator

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def event_type(schemas: dict[str, Any] | None) -> EventType:
    return EventType("org_1", "a.b", "", False, False, schemas, None, None, 0, 0)


def test_the_newest_schemas_own_examples() -> None:
    kept = event_type({"2": {"examples": [{"n": 2}]}, "10": {"examples": [{"n": 0}, {"n": 1}, "text"]}})
    assert example_of(kept) == example_of(kept, 0) == {"n": 0}
    assert example_of(kept, 1) == {"n": 1}
    for index in (-1, 3, 2):
        with pytest.raises(InvalidError) as error:
            example_of(kept, index)
        assert error.value.problems[0].field == ("example_index",)
    assert example_of(event_type({"1": {"examples": []}}), 7) == {}


def test_without_a_schema_there_is_none() -> None:
    for schemas in (None, {}):
        with pytest.raises(InvalidError, match="no schema"):
            example_of(event_type(schemas))


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"properties": {"a": {"type": "integer", "minimum": 5}, "b": {"type": "number", "exclusiveMinimum": 1.5}}},
        {
            "properties": {
                "a": {"type": "integer", "multipleOf": 7, "minimum": 8},
                "b": {"maximum": -3, "type": "number"},
            }
        },
        {"properties": {"a": {"type": "integer", "exclusiveMaximum": 0}, "b": {"type": "integer", "maximum": 0}}},
        {"properties": {"at": {"type": "string", "format": "date-time"}, "id": {"type": "string", "format": "uuid"}}},
        {"properties": {"s": {"type": "string", "minLength": 9}, "t": {"type": "string", "maxLength": 2}}},
        {"properties": {"e": {"enum": ["x", "y"]}, "c": {"const": 3}, "d": {"default": None}, "n": {"type": "null"}}},
        {"properties": {"l": {"type": "array", "minItems": 3, "items": {"type": "boolean"}}}},
        {
            "properties": {
                "l": {"type": "array", "maxItems": 0},
                "t": {"items": [{"type": "string"}, {"type": "integer"}]},
            }
        },
        {"required": ["what", "ever"]},
        {"properties": {"o": {"type": ["null", "object"], "properties": {"a": {"type": "string"}}, "required": ["a"]}}},
        {"properties": {"o": {"oneOf": [{"type": "null"}, {"type": "string"}]}}},
        {"allOf": [{"required": ["a"], "properties": {"a": {"type": "integer"}}}, {"properties": {"b": {}}}]},
        {
            "definitions": {"m": {"type": "integer"}},
            "properties": {"m": {"$ref": "#/definitions/m"}},
            "required": ["m"],
        },
        {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#"}}}},
        {"properties": {"never": False, "n": {"type": "integer"}}},
        {"properties": {"p": {"type": "string", "pattern": "^[0-9]{4}$"}, "n": {"type": "integer"}}, "required": ["n"]},
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "properties": {"t": {"prefixItems": [{"const": 1}]}},
        },
        {"title": "Only a name", "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    ],
)
def test_what_is_made_is_admitted(schema: dict[str, Any]) -> None:
    example = make_example(schema)
    assert Validator(schema).problems(dict(example), 999) == []
    for name in schema.get("required", ()):
        assert name in example


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": "string"},
        {"not": {}},
        {"required": ["p"], "properties": {"p": {"type": "string", "pattern": "^[0-9]{4}$"}}},
        {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]},
        {
            "properties": {"n": {"type": "integer", "minimum": 1e308, "multipleOf": 1e-308}},
            "required": ["n"],
        },
        {"properties": {"n": {"type": "number", "minimum": 1e308, "multipleOf": 1e-308}}, "required": ["n"]},
    ],
)
def test_where_none_can_be_made_it_is_said(schema: dict[str, Any]) -> None:
    with pytest.raises(InvalidError, match="under `examples`"):
        make_example(schema)


_LEAVES = st.sampled_from(
    [{"type": "string"}, {"type": "integer", "minimum": 3}, {"type": "boolean"}, {"enum": [1, "a"]}, {"const": None}]
)
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda properties: {"type": "object", "properties": properties, "required": sorted(properties)},
            st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
        ),
        st.builds(lambda item, count: {"type": "array", "items": item, "minItems": count}, inner, st.integers(0, 3)),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text("xyz", min_size=1, max_size=2), _SCHEMAS, max_size=3))
def test_any_plain_schema_has_an_example(properties: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": properties, "required": sorted(properties)}
    assert examine(schema).fault is None
    assert set(make_example(schema)) == set(properties)


def test_operational_examples_are_what_their_schemas_say() -> None:
    assert len(OPERATIONAL_NAMES) == len(OPERATIONAL_TYPES)
    for operational in OPERATIONAL_TYPES:
        assert Validator(operational.schema).problems(dict(operational.example), 999) == [], operational.name
        assert operational.example["type"] == operational.name
