"""JSON Schemas of event types: what may be kept, what it may cost, and what a payload is told."""

from __future__ import annotations

import http.server
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from hookline.services.schema_cost import MAX_COST, Fault, examine
from hookline.services.schemas import (
    MAX_SCHEMAS_BYTES,
    SchemaProblem,
    Validator,
    check_schemas,
    count_values,
    newest_version,
)
from hookline.services.validation import Findings


def fault_of(schema: Any) -> Fault | None:
    return examine(schema).fault


def told(schema: Any, payload: Any) -> list[SchemaProblem]:
    return Validator(schema).problems(payload, len(json.dumps(payload)))


def faults(schema: Any, version: str = "1") -> list[tuple[tuple[str | int, ...], str]]:
    findings = Findings()
    check_schemas({version: schema}, findings)
    return [((*problem.field, *problem.path), problem.message) for problem in findings.problems]


def places(schema: Any) -> list[tuple[str | int, ...]]:
    return [path for path, _ in faults(schema)]


TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        TREE,
        {"definitions": {"a": {"type": "string"}}, "properties": {"x": {"$ref": "#/definitions/a"}}},
        {"$defs": {"a/b~c": {"type": "string"}}, "properties": {"x": {"$ref": "#/$defs/a~1b~0c"}}},
        {"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}},
        {"examples": [{"$ref": "http://127.0.0.1:1/x"}], "const": {"$ref": "file:///etc/passwd"}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "prefixItems": [{"type": "string"}]},
        {"$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://example.com/me"},
        {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}},
        {"properties": {"a": {"anyOf": [{"$ref": "#"}, {"type": "string"}]}}},
        {
            "definitions": {
                "a": {"properties": {"b": {"$ref": "#/definitions/b"}}},
                "b": {"items": {"$ref": "#/definitions/a"}},
            },
            "allOf": [{"$ref": "#/definitions/a"}, {"properties": {"x": {"$ref": "#/definitions/a"}}}],
        },
        {"pattern": "^(a+)+$"},
        {"patternProperties": {"^x-": {"type": "string"}}},
    ],
)
def test_schemas_that_may_be_kept(schema: Any) -> None:
    assert faults(schema) == []


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"$ref": "http://127.0.0.1:1/x"}, ("$ref",)),
        ({"properties": {"a": {"items": {"$ref": "file:///etc/passwd"}}}}, ("properties", "a", "items", "$ref")),
        ({"properties": {"default": {"$ref": "http://a/"}}}, ("properties", "default", "$ref")),
        (
            {"properties": {"properties": {"default": {"$ref": "a"}, "items": {"$ref": "b"}}}},
            ("properties", "properties", "items", "$ref"),
        ),
        ({"allOf": [{}, {"$ref": "other.json"}]}, ("allOf", 1, "$ref")),
        ({"$ref": "http://json-schema.org/draft-07/schema#"}, ("$ref",)),
        ({"definitions": {"unused": {"$ref": "//host/x"}}}, ("definitions", "unused", "$ref")),
        ({"$ref": "#/definitions/none"}, ("$ref",)),
        ({"$ref": "#anchor"}, ("$ref",)),
        ({"$ref": "#/allOf/7", "allOf": [{}]}, ("$ref",)),
        ({"$ref": "#/allOf/99999999999999999999", "allOf": [{}]}, ("$ref",)),
        ({"items": {"$dynamicRef": "#x"}}, ("items", "$dynamicRef")),
        ({"items": {"$recursiveRef": "#"}}, ("items", "$recursiveRef")),
        ({"properties": {"a": {"$id": "http://127.0.0.1:1/"}}}, ("properties", "a", "$id")),
        ({"properties": {"a_b": {"type": "nothing"}}}, ("properties", "a_b", "type")),
        ({"required": "a"}, ("required",)),
        ({"$schema": "http://127.0.0.1:1/schema"}, ()),
        ({"$schema": 1}, ()),
        ([], ()),
        (True, ()),
        ("x", ()),
    ],
)
def test_schemas_that_may_not(schema: Any, place: tuple[str | int, ...]) -> None:
    assert places(schema) == [("schemas", "1", *place)]


@pytest.mark.parametrize("version", ["", "01", "-1", "1.0", "one", "٣", "1" * 10, "\x00"])
def test_versions_are_numbers(version: str) -> None:
    assert [path for path, _ in faults({}, version)] == [("schemas", version)]


def test_no_more_than_a_bound_of_anything() -> None:
    findings = Findings()
    check_schemas({str(number): {} for number in range(51)}, findings)
    assert [problem.kind for problem in findings.problems] == ["too_long"]
    assert places({"description": "x" * MAX_SCHEMAS_BYTES}) == [("schemas",)]
    assert places({"title": "\ud800"}) == [("schemas",)]


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels):
        schema = {"not": schema}
    return schema


def test_depth() -> None:
    assert faults(nested(60)) == []
    assert "64 levels" in faults(nested(70))[0][1]
    assert "64 levels" in faults(nested(900))[0][1]


@pytest.mark.parametrize("pattern", ["(?=a)b", "(?<=a)b", r"(a)\1", "[", "(((a{100}){100}){100})"])
def test_patterns_that_are_not_linear_or_too_large(pattern: str) -> None:
    ((path, message),) = faults({"properties": {"a": {"type": "string", "pattern": pattern}}})
    assert path[:2] == ("schemas", "1")
    assert "pattern" in message


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "(a*)*b", "^([a-zA-Z0-9]+)*$", "(.*a){12}"])
def test_hostile_patterns_stay_linear(pattern: str) -> None:
    began_s = time.perf_counter()
    told({"properties": {"a": {"pattern": pattern}}}, {"a": "a" * 100_000 + "!"})
    assert time.perf_counter() - began_s < 2


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]},
        {"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]},
        {"properties": {"a": {"$ref": "#"}}, "patternProperties": {"a": {"$ref": "#"}}},
        {"items": {"$ref": "#"}, "contains": {"$ref": "#"}},
        {"not": {"additionalProperties": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}},
        {
            "definitions": {
                "a": {"items": {"allOf": [{"$ref": "#/definitions/b"}, {"$ref": "#/definitions/b"}]}},
                "b": {"items": {"$ref": "#/definitions/a"}},
            },
            "$ref": "#/definitions/a",
        },
    ],
)
def test_a_schema_comes_back_to_itself_once_at_most(schema: Any) -> None:
    fault = fault_of(schema)
    assert fault is not None
    assert "more than once" in fault.message


def test_references_that_double_at_each_step_are_refused() -> None:
    definitions: dict[str, Any] = {
        f"d{n}": {"anyOf": [{"$ref": f"#/definitions/d{n + 1}"}, {"$ref": f"#/definitions/d{n + 1}"}]}
        for n in range(40)
    }
    definitions["d40"] = {"type": "string"}
    fault = fault_of({"definitions": definitions, "properties": {"a": {"$ref": "#/definitions/d0"}}})
    assert fault is not None
    assert "steps" in fault.message
    assert fault_of({"anyOf": [{}] * (MAX_COST + 1)}) is not None
    assert fault_of({"anyOf": [{}] * (MAX_COST - 1)}) is None
    assert fault_of({"properties": {str(n): {} for n in range(10 * MAX_COST)}}) is None
    assert fault_of({"enum": list(range(100 * MAX_COST))}) is not None


def test_a_long_chain_of_references_is_walked_without_recursion() -> None:
    links: dict[str, Any] = {str(n): {"items": {"$ref": f"#/definitions/{n + 1}"}} for n in range(5_000)}
    links["5000"] = {"items": {"$ref": "#/definitions/0"}}
    fault = fault_of({"definitions": links, "items": {"$ref": "#/definitions/0"}})
    assert fault is not None
    assert "steps" in fault.message
    assert fault_of({"definitions": links}) is None  # nothing leads into it


def test_one_place_is_not_looked_at_for_each_way_to_refer_to_it() -> None:
    """`%64` is `d`: a small schema could make one large part of itself be looked at thousands of times."""
    large = {"properties": {f"p{number}": {} for number in range(2_000)}}
    spelled = [
        "".join(f"%{ord(letter):02x}" if number >> place & 1 else letter for place, letter in enumerate("definitions"))
        for number in range(400)
    ]
    schema = {
        "definitions": {"a": large},
        "properties": {f"r{number}": {"$ref": f"#/{name}/a"} for number, name in enumerate(spelled)},
    }
    began_s = time.perf_counter()
    ((path, message),) = faults(schema)
    assert time.perf_counter() - began_s < 5
    assert path == ("schemas", "1")
    assert "in one way" in message
    schema["properties"] = {f"r{number}": {"$ref": "#/definitions/a"} for number in range(400)}
    assert faults(schema) == []


def test_what_a_payload_is_told() -> None:
    schema = {
        "type": "object",
        "required": ["id"],
        "properties": {"user_name": {"items": {"type": "integer"}}, "at": {"format": "date-time"}},
    }
    assert told(schema, {"id": 1, "user_name": [1, 2], "at": "2026-01-01T00:00:00Z"}) == []
    found = {problem.path: problem.message for problem in told(schema, {"user_name": [1, "x"], "at": "now"})}
    assert set(found) == {(), ("user_name", 1), ("at",)}
    assert '"id" is a required property' in found[()]
    assert len(told(schema, {"user_name": ["x"] * 1_000})) == 10


def test_work_is_bounded_before_it_is_done() -> None:
    """Whatever a schema says of a payload, and however the payload is made, it is over in a moment."""
    dear = {"properties": {"a": {"items": {"anyOf": [{"const": number} for number in range(1_900)]}}}}
    nested = {"anyOf": [{"properties": {"a": {"items": {"anyOf": [{"const": 1}] * 20}}}}] * 3}
    objects = {"properties": {"a": {"items": {"enum": [{"k": number} for number in range(900)]}}}}
    began_s = time.perf_counter()
    for schema, value in ((dear, 1_899), (nested, 7), (objects, {"k": 899})):
        ((problem),) = told(schema, {"a": [value] * 200_000})
        assert (problem.path, problem.kind) == ((), "too_costly")
    ((problem),) = told(nested, {"a": [7] * 2_000})
    assert (problem.path, problem.kind) == ((), "json_schema")
    assert "too large to say where" in problem.message
    assert time.perf_counter() - began_s < 5


def test_a_large_payload_is_told_its_first_fault() -> None:
    schema = {"properties": {"a": {"items": {"type": "integer"}}}}
    payload: dict[str, Any] = {"a": [7] * 200_000}
    assert told(schema, payload) == []
    payload["a"][150_000] = "x"
    ((problem),) = told(schema, payload)
    assert problem.path == ("a", 150_000)


def test_values_are_counted_at_every_level() -> None:
    assert count_values({"a": [1, {"b": None}], "c": {}}) == 6
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert count_values(deep) == 100_001


def test_a_recursive_schema_checks_what_is_nested() -> None:
    payload: dict[str, Any] = {"name": 7}
    for _ in range(80):
        payload = {"children": [payload]}
    ((problem),) = told(TREE, payload)
    assert problem.path == ("children", 0) * 80 + ("name",)


def test_the_newest_version_is_the_highest_number() -> None:
    assert newest_version({"9": {}, "10": {}, "2": {}}) == "10"
    assert newest_version({}) is None


def test_nothing_is_fetched(tmp_path: Path) -> None:
    """Neither when a schema is looked at, nor when one that was kept anyhow is made into a validator."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"type": "string"}')

        def log_message(self, *_: object) -> None:
            return

    (tmp_path / "schema.json").write_text('{"type": "string"}', encoding="utf-8")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            for reference in (f"http://127.0.0.1:{server.server_address[1]}/x", f"file://{tmp_path}/schema.json"):
                for schema in ({"$ref": reference}, {"$id": reference, "$ref": "y"}, {"$schema": reference}):
                    assert faults(schema) != []
                    with pytest.raises(ValueError):
                        Validator(schema)
        finally:
            server.shutdown()
            thread.join()
    assert asked == []
