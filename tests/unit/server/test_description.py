"""The API's description: it is the one that is committed, it holds together, and its examples are true."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from hookline.server import description
from hookline.server.surfaces.svix.examples import EXAMPLES
from support.documents import ROOT
from support.operations import list_operations

DESCRIPTION = description.describe()
SCHEMAS = DESCRIPTION["components"]["schemas"]
OPERATIONS = {operation["operationId"]: operation for _, _, operation in description.list_operations(DESCRIPTION)}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for item in node.values():
            yield from references(item)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def bodies() -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema of every body that goes in or out."""
    for name, operation in OPERATIONS.items():
        for content in (operation.get("requestBody", {}), *operation["responses"].values()):
            for media in content.get("content", {}).values():
                yield name, media["schema"]


def test_it_is_the_one_that_is_committed() -> None:
    """If this fails and you changed the API: `hookline openapi --output docs/openapi.json`."""
    kept = (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8")
    assert kept == description.to_text(DESCRIPTION)


def test_every_operation_of_the_api_is_in_it() -> None:
    described = {
        (operation["operationId"], method.upper(), path.removeprefix("/api/v1"))
        for path, method, operation in description.list_operations(DESCRIPTION)
        if path.startswith("/api/v1")
    }
    assert described == {(one.id, one.method, one.path) for one in list_operations()}


def test_operations_say_what_they_do() -> None:
    for name, operation in OPERATIONS.items():
        assert re.fullmatch(r"v1\.[a-z.-]+|[a-z]+", name)
        assert operation["summary"], name
        assert set(operation["tags"]) <= description.TAGS.keys(), f"{name}: give its tag a line in TAGS"
    told = [item["post"] for item in DESCRIPTION["webhooks"].values()]
    tags = {tag for operation in [*OPERATIONS.values(), *told] for tag in operation["tags"]}
    assert tags == description.TAGS.keys()


def test_whatever_it_refers_to_is_there() -> None:
    found = set(references(DESCRIPTION))
    assert len(found) > 20
    for reference in found:
        part = DESCRIPTION
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


def test_each_body_has_an_example() -> None:
    """If this names a schema of yours: give it one in `surfaces/svix/examples.py`."""
    named = {schema["$ref"].rpartition("/")[2] for _, schema in bodies() if "$ref" in schema}
    own = {name for name in named if not name.startswith("ListOut_")} - {"Error", "HTTPValidationError"}
    assert own <= EXAMPLES.keys()


@pytest.mark.parametrize("name", sorted(name for name in SCHEMAS if name in EXAMPLES or name.startswith("ListOut_")))
def test_examples_are_true(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}
    validator = jsonschema_rs.Draft202012Validator(schema)
    [example] = SCHEMAS[name]["examples"]
    assert [str(error) for error in validator.iter_errors(example)] == []
    assert example.keys() <= SCHEMAS[name]["properties"].keys()


def test_no_example_is_of_something_else() -> None:
    assert EXAMPLES.keys() <= SCHEMAS.keys()


def test_each_operation_says_how_it_can_fail() -> None:
    for one in list_operations():
        statuses = OPERATIONS[one.id]["responses"].keys()
        if one.asks_who:
            assert {"401", "403", "503"} <= statuses, one.id
            assert ("404" in statuses) is ("{" in one.path), one.id
            assert ("413" in statuses) is ("requestBody" in OPERATIONS[one.id]), one.id
        assert any(status.startswith("2") for status in statuses), one.id


def test_text_is_easy_to_merge() -> None:
    text = description.to_text(DESCRIPTION)
    assert json.loads(text) == DESCRIPTION
    assert text == json.dumps(DESCRIPTION, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_a_copy_may_be_changed() -> None:
    description.describe()["paths"].clear()
    assert description.describe() == DESCRIPTION
