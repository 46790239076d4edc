"""OpenAPI documents as event types: what becomes of each webhook, and documents that nobody sane sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hookline.model import EventType
from hookline.services import EventTypeForm, InvalidError
from hookline.services.openapi_import import DRAFT_2020, list_webhooks, read_document, updated
from hookline.services.schemas import check_schemas
from hookline.services.validation import Findings


def document(schema: Any, *, openapi: str = "3.1.0", **parts: Any) -> dict[str, Any]:
    body = {"content": {"application/json": {"schema": schema}}}
    return {"openapi": openapi, "webhooks": {"a.b": {"post": {"requestBody": body}}}, **parts}


def imported(*arguments: Any, **parts: Any) -> dict[str, Any]:
    (form,) = list_webhooks(document(*arguments, **parts)).values()
    findings = Findings()
    check_schemas(form.schemas, findings)
    assert findings.problems == []
    assert form.schemas is not None
    schema: dict[str, Any] = form.schemas["1"]
    return schema


def test_yaml_is_read_as_json_would_have_it() -> None:
    text = "webhooks:\n  a.b:\n    post: {description: 2020-01-01, deprecated: true}\n"
    assert read_document(text) == {"webhooks": {"a.b": {"post": {"description": "2020-01-01", "deprecated": True}}}}
    assert read_document('{"openapi": "3.1.0"}') == {"openapi": "3.1.0"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "text",
        "a: [",
        "a: \x00",
        "a: '\ud800'",
        "a: &x [1]\nb: *x\n",
        "&x a: *x",
        "a: !!python/object/apply:os.system ['true']",
        "? [a]\n: b",
        "a: " + "9" * 5_000,
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 5_000 + "1" + "}" * 5_000,
        "a: " + "{b: " * 5_000 + "1" + "}" * 5_000,
        json.dumps({"a": [0] * 200_001}),
    ],
)
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        read_document(text)


def test_definitions_are_copied_under_names_of_their_own() -> None:
    parts = {
        "components": {
            "schemas": {
                "User": {"properties": {"home": {"$ref": "#/components/schemas/a~1b"}, "self": {"$ref": "#/x/User"}}},
                "a/b": {"type": "string"},
            },
        },
        "x": {"User": {"type": "integer"}},
    }
    schema = imported({"items": {"$ref": "#/components/schemas/User"}}, **parts)
    assert schema["items"] == {"$ref": "#/definitions/User"}
    user = schema["definitions"]["User"]["properties"]
    assert user["self"]["$ref"] != "#/definitions/User"
    for reference, expected in ((user["home"], {"type": "string"}), (user["self"], {"type": "integer"})):
        assert schema["definitions"][reference["$ref"].rpartition("/")[2]] == expected
    assert schema["$schema"] == DRAFT_2020


def test_what_openapi_30_says_otherwise() -> None:
    schema = imported(
        {
            "type": "object",
            "nullable": True,
            "properties": {
                "nullable": {"type": "boolean"},
                "n": {
                    "type": "integer",
                    "minimum": 1,
                    "exclusiveMinimum": True,
                    "maximum": 9,
                    "exclusiveMaximum": False,
                },
                "e": {"type": "string", "enum": ["x"], "nullable": True},
            },
        },
        openapi="3.0.3",
    )
    assert schema["type"] == ["object", "null"]
    assert schema["properties"]["nullable"] == {"type": "boolean"}
    assert schema["properties"]["n"] == {"type": "integer", "exclusiveMinimum": 1, "maximum": 9}
    assert schema["properties"]["e"] == {"type": ["string", "null"], "enum": ["x", None]}
    assert "$schema" not in schema


def test_data_in_a_schema_stays_as_it_is() -> None:
    data = {"$ref": "#/components/x", "nullable": True}
    schema = imported({"const": data, "properties": {"const": {"enum": [data]}}})
    assert schema["const"] == data
    assert schema["properties"]["const"] == {"enum": [data]}


@pytest.mark.parametrize(
    "webhooks", [None, [], {}, "x", {"a": None}, {"a": []}, {"a": {}}, {"a": {"post": 1}}, {"a": {"$ref": "#/none"}}]
)
def test_webhooks_that_are_none(webhooks: Any) -> None:
    with pytest.raises(InvalidError):
        list_webhooks({"webhooks": webhooks})


def test_the_older_name_and_other_places() -> None:
    item = {"put": {"summary": "s", "requestBody": {"$ref": "#/components/requestBodies/b"}}}
    parts = {
        "x-webhooks": {"a": {"$ref": "#/components/pathItems/i"}},
        "components": {
            "pathItems": {"i": item},
            "requestBodies": {"b": {"content": {"application/vnd.x+json": {"schema": {"type": "object"}}}}},
        },
    }
    assert list_webhooks(parts) == {"a": EventTypeForm("s", schemas={"1": {"type": "object"}})}
    assert list_webhooks({"webhooks": {"a": {"post": {}}}}) == {"a": EventTypeForm("")}
    for nonsense in ({"content": []}, {"content": {"text/plain": {}}}, {"content": {"application/json": 1}}, 5):
        assert list_webhooks({"webhooks": {"a": {"post": {"requestBody": nonsense}}}}) == {"a": EventTypeForm("")}


def test_references_that_lead_nowhere_or_in_circles() -> None:
    circle = {"components": {"x": {"$ref": "#/components/y"}, "y": {"$ref": "#/components/x"}}}
    for schema, parts in (({"items": {"$ref": "#/none"}}, {}), ({"$ref": "#/components/x"}, circle)):
        with pytest.raises(InvalidError) as error:
            list_webhooks(document(schema, **parts))
        assert error.value.problems[0].path == ("webhooks", "a.b")


def test_what_is_shared_is_not_copied_without_end() -> None:
    shared = {"schemas": {"Big": {"properties": {str(number): {"type": "string"} for number in range(2_000)}}}}
    body = {"content": {"application/json": {"schema": {"items": {"$ref": "#/components/schemas/Big"}}}}}
    webhooks = {f"t{number}": {"post": {"requestBody": body}} for number in range(500)}
    with pytest.raises(InvalidError, match="too large"):
        list_webhooks({"webhooks": webhooks, "components": shared})
    with pytest.raises(InvalidError, match="At most"):
        list_webhooks({"webhooks": {str(number): {"post": {}} for number in range(10_000)}})


def test_what_a_document_does_not_say_stays() -> None:
    form = EventTypeForm("new", schemas={"1": {"title": "new"}})
    kept = EventType("org_1", "a", "old", True, False, {"1": {}, "3": {}}, ("beta",), "group", 0, 0)
    assert updated(form, None) is form
    assert updated(form, kept) == EventTypeForm(
        "new", schemas={"1": {}, "3": {"title": "new"}}, feature_flags=("beta",), group_name="group"
    )
    assert updated(EventTypeForm("new"), kept).schemas == {"1": {}, "3": {}}
