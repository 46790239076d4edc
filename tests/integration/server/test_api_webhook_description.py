"""`webhooks` in the OpenAPI description: operational ones for everybody, registered ones for those who may see them."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jsonschema_rs
import pytest

from hookline.model.operational import OPERATIONAL_NAMES
from hookline.server.surfaces.svix import description
from hookline.services import EventTypeForm, Principal
from support.server import Tenant

SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "$id": "https://example.com/user",
    "type": "object",
    "definitions": {"default": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    "properties": {
        "user_name": {"$ref": "#/definitions/default"},
        "default": {"$ref": "#/definitions/default"},
        "friends": {"type": "array", "items": {"$ref": "#"}},
        "odd": {"const": {"$ref": "#/definitions/default"}},
    },
    "examples": [{"user_name": {"n": 1}}, {"default": {"n": 2}}],
}


def documents(tenant: Tenant) -> tuple[dict[str, Any], dict[str, Any]]:
    """What everybody may read, and what the caller may."""
    public = tenant.http.get(f"{tenant.server.url}/openapi.json", headers={"authorization": ""})
    own = tenant.http.get("/openapi.json")
    assert (public.status_code, own.status_code) == (200, 200)
    return public.json(), own.json()


def resolve(document: Any, reference: str) -> Any:
    for part in reference.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


@pytest.fixture
def described(tenant: Tenant) -> Tenant:
    tenant.http.put("/event-type/user.signup", json={"description": "Signed up", "schemas": {"2": SCHEMA, "1": {}}})
    tenant.http.put("/event-type/bare", json={"description": "Bare", "deprecated": True})
    tenant.http.put("/event-type/hidden", json={"description": "Hidden", "featureFlag": "beta"})
    tenant.http.put("/event-type/gone", json={"description": "Gone", "archived": True})
    return tenant


def test_strangers_read_of_operational_ones_only(described: Tenant) -> None:
    public, own = documents(described)
    assert set(public["webhooks"]) == OPERATIONAL_NAMES
    assert set(own["webhooks"]) == OPERATIONAL_NAMES | {"user.signup", "bare", "hidden"}
    assert {name: part for name, part in own.items() if name != "webhooks"} == {
        name: part for name, part in public.items() if name != "webhooks"
    }
    assert "user.signup" not in str(documents(described)[0]), "nothing of it stays in the public one"


def test_neighbours_and_customers(described: Tenant, neighbour: Tenant) -> None:
    assert set(neighbour.http.get("/openapi.json").json()["webhooks"]) == OPERATIONAL_NAMES
    app_id = described.http.post("/app", json={"name": "App"}).json()["id"]
    customer = described.http_with(described.app_token(app_id))
    assert set(customer.get("/openapi.json").json()["webhooks"]) == OPERATIONAL_NAMES | {"user.signup", "bare"}
    assert described.http.get("/openapi.json", headers={"authorization": "Bearer none"}).status_code == 401


def test_an_entry_says_what_a_receiver_gets(described: Tenant) -> None:
    _, document = documents(described)
    operation = document["webhooks"]["user.signup"]["post"]
    headers = [resolve(document, parameter["$ref"]) for parameter in operation["parameters"]]
    assert [(header["name"], header["in"]) for header in headers] == [
        ("webhook-id", "header"),
        ("webhook-timestamp", "header"),
        ("webhook-signature", "header"),
    ]
    assert (operation["description"], "deprecated" in operation) == ("Signed up", False)
    content = operation["requestBody"]["content"]["application/json"]
    assert [example["value"] for example in content["examples"].values()] == SCHEMA["examples"]
    properties = content["schema"]["properties"]
    assert resolve(document, properties["user_name"]["$ref"]) == SCHEMA["definitions"]["default"]
    assert resolve(document, properties["default"]["$ref"]) == SCHEMA["definitions"]["default"]
    assert resolve(document, properties["friends"]["items"]["$ref"]) == content["schema"]
    assert properties["odd"] == SCHEMA["properties"]["odd"], "data stays as it is"
    bare = document["webhooks"]["bare"]["post"]
    assert bare["deprecated"] is True
    assert bare["requestBody"]["content"]["application/json"] == {"schema": {"type": "object"}}


def test_every_example_fits_its_schema_where_it_stands(described: Tenant) -> None:
    _, document = documents(described)
    for name, item in document["webhooks"].items():
        place = f"#/webhooks/{name}/post/requestBody/content/application~1json/schema"
        validator = jsonschema_rs.Draft7Validator({**document, "$ref": place}, offline=True)
        examples = resolve(document, place.removesuffix("/schema")).get("examples", {})
        assert examples or name in {"bare", "hidden"}
        for example in examples.values():
            assert validator.is_valid(example["value"]), name
        assert item["post"]["responses"]


def test_more_types_than_a_page_has(tenant: Tenant) -> None:
    caller = Principal(tenant.org_id)
    forms = {f"type.{number:03d}": EventTypeForm("") for number in range(501)}
    tenant.server.call(tenant.server.runtime.event_types.put_all(caller, forms, archive_others=False))
    assert set(tenant.http.get("/openapi.json").json()["webhooks"]) == OPERATIONAL_NAMES | set(forms)


def test_a_long_description_holds_up_nobody(described: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is being written the node goes on answering, and others wait for their turn."""
    entered, go_on = threading.Semaphore(0), threading.Event()
    describe = description.describe_event_type

    def describe_late(event_type: Any) -> Any:
        entered.release()
        assert go_on.wait(10)
        return describe(event_type)

    monkeypatch.setattr(description, "describe_event_type", describe_late)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(described.http.get, "/openapi.json") for _ in range(2)]
        assert entered.acquire(timeout=10)
        assert described.http.get("/settings").status_code == 200
        described.server.call(asyncio.sleep(0.2))
        assert not entered.acquire(blocking=False)
        go_on.set()
        assert {answer.result().status_code for answer in asked} == {200}
