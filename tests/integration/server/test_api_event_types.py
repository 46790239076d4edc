"""Event types and settings over HTTP: both eras of names, who sees what, and input that nobody sane sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.server import Tenant


def problems(answer: Any) -> list[list[Any]]:
    assert answer.status_code == 422, answer.text
    return [problem["loc"] for problem in answer.json()["detail"]]


def put(tenant: Tenant, name: str, **members: Any) -> Any:
    return tenant.http.put(f"/event-type/{name}", json={"description": "", **members})


class TestFeatureFlags:
    def test_both_eras_of_names(self, tenant: Tenant) -> None:
        old = put(tenant, "old", featureFlag="beta").json()
        assert (old["featureFlag"], old["featureFlags"]) == ("beta", ["beta"])
        new = put(tenant, "new", featureFlags=["a", "b", "a"], featureFlag="ignored").json()
        assert (new["featureFlag"], new["featureFlags"]) == ("a", ["a", "b"])
        for members in ({"featureFlag": None}, {"featureFlags": None}, {"featureFlags": []}):
            assert put(tenant, "old", featureFlag="beta").status_code == 200
            patched = tenant.http.patch("/event-type/old", json=members).json()
            assert (patched["featureFlag"], patched["featureFlags"]) == (None, None), members

    def test_customers_see_what_is_for_everybody(self, tenant: Tenant) -> None:
        put(tenant, "open")
        put(tenant, "hidden", featureFlag="beta")
        app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        customer = tenant.http_with(tenant.app_token(app_id))
        assert [row["name"] for row in customer.get("/event-type").json()["data"]] == ["open"]
        assert customer.get("/event-type/open").status_code == 200
        assert customer.get("/event-type/hidden").status_code == 404
        assert customer.get("/event-type/hidden").json() == customer.get("/event-type/none").json()

    def test_customers_change_nothing(self, tenant: Tenant) -> None:
        put(tenant, "open")
        app_id = tenant.http.post("/app", json={"name": "App"}).json()["id"]
        customer = tenant.http_with(tenant.app_token(app_id))
        body = {"name": "open", "description": ""}
        for answer in (
            customer.post("/event-type", json=body),
            customer.put("/event-type/open", json=body),
            customer.patch("/event-type/open", json=body),
            customer.delete("/event-type/open?expunge=true"),
            customer.get("/settings"),
            customer.patch("/settings", json={"eventTypeCheck": "known"}),
        ):
            assert answer.status_code == 403
        assert tenant.http.get("/event-type/open").json()["archived"] is False


def test_neighbours_see_nothing_of_each_other(tenant: Tenant, neighbour: Tenant) -> None:
    put(tenant, "mine")
    tenant.http.patch("/settings", json={"eventTypeCheck": "known"})
    assert neighbour.http.get("/event-type").json()["data"] == []
    assert neighbour.http.get("/event-type/mine").status_code == 404
    assert neighbour.http.patch("/event-type/mine", json={}).status_code == 404
    assert neighbour.http.delete("/event-type/mine?expunge=true").status_code == 404
    assert neighbour.http.get("/settings").json()["eventTypeCheck"] == "off"
    assert neighbour.http.post("/event-type", json={"name": "mine", "description": ""}).status_code == 201
    assert tenant.http.get("/event-type/mine").status_code == 200


class TestSettings:
    def test_the_defaults_and_changes(self, tenant: Tenant) -> None:
        answer = tenant.http.get("/settings")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        defaults = answer.json()
        assert (defaults["eventTypeCheck"], defaults["schemaValidation"]) == ("off", "off")
        changed = tenant.http.patch("/settings", json={"schemaValidation": "on"})
        assert changed.json() == {**defaults, "schemaValidation": "on"}
        changed = tenant.http.patch("/settings", json={"eventTypeCheck": "known", "schemaValidation": None})
        assert changed.json() == {**defaults, "eventTypeCheck": "known"} == tenant.http.get("/settings").json()
        assert tenant.http.patch("/settings", json={}).json() == changed.json()

    def test_what_is_wrong_is_said_member_by_member(self, tenant: Tenant) -> None:
        body = {"eventTypeCheck": "perhaps", "schemaValidation": 1, "colour": "red"}
        answer = tenant.http.patch("/settings", json=body)
        assert sorted(problems(answer)) == [["body", name] for name in sorted(body)]
        assert "eventTypeCheck" in answer.text
        assert problems(tenant.http.patch("/settings", json=[])) == [["body"]]
        assert tenant.http.get("/settings").json()["eventTypeCheck"] == "off"

    def test_the_description_lists_every_member(self, tenant: Tenant) -> None:
        document = tenant.http.get(f"{tenant.server.url}/openapi.json").json()
        described = document["components"]["schemas"]
        there_are = set(tenant.http.get("/settings").json())
        for name in ("OrganizationSettings", "OrganizationSettingsPatch"):
            assert set(described[name]["properties"]) == there_are


DEEP: Any = {}
for _ in range(300):
    DEEP = {"not": DEEP}


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"name": "a b"}, ["name"]),
        ({"name": ""}, ["name"]),
        ({"name": "x" * 257}, ["name"]),
        ({"name": "a\x00b"}, ["name"]),
        ({"description": "x" * 4_097}, ["description"]),
        ({"description": "a\x00b"}, ["description"]),
        ({"description": None}, ["description"]),
        ({"groupName": "a b"}, ["groupName"]),
        ({"groupName": ""}, ["groupName"]),
        ({"featureFlag": "a b"}, ["featureFlags", 0]),
        ({"featureFlags": ["ok", "a,b"]}, ["featureFlags", 1]),
        ({"featureFlags": ["f"] * 10_000}, ["featureFlags"]),
        ({"archived": "yes"}, ["archived"]),
        ({"schemas": []}, ["schemas"]),
        ({"schemas": {"1": []}}, ["schemas", "1"]),
        ({"schemas": {"first": {}}}, ["schemas", "first"]),
        ({"schemas": {str(number): {} for number in range(10_000)}}, ["schemas"]),
        ({"schemas": {"1": {"enum": ["x" * 100] * 10_000}}}, ["schemas"]),
        ({"schemas": {"1": {"allOf": [{}] * 10_000}}}, ["schemas", "1"]),
        ({"schemas": {"1": {"properties": {"a_b": {"type": "none"}}}}}, ["schemas", "1", "properties", "a_b", "type"]),
        ({"schemas": {"1": {"$ref": "file:///etc/passwd"}}}, ["schemas", "1", "$ref"]),
        ({"schemas": {"1": {"pattern": "(?=a)b"}}}, ["schemas", "1", "pattern"]),
        ({"schemas": {"1": {"pattern": "(((a{100}){100}){100})"}}}, ["schemas", "1", "pattern"]),
        ({"schemas": {"1": DEEP}}, []),
    ],
)
def test_input_that_is_refused_with_its_place(tenant: Tenant, members: dict[str, Any], place: list[Any]) -> None:
    answer = tenant.http.post("/event-type", json={"name": "a", "description": "", **members})
    assert problems(answer)[0] == ["body", *place]
    assert tenant.http.get("/event-type").json()["data"] == []


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"a","description":"\\ud800"}',
        b'{"name":"a","description":"","schemas":{"1":{"title":"\\udfff"}}}',
        b'{"name":"a","description":"","schemas":{"1":{},"1":{}}}',
        b'{"name":"a","description":"","schemas":{"1":{"minimum":NaN}}}',
        b'{"name":"a","description":"","schemas":{"1":' + b'{"not":' * 5_000 + b"{}" + b"}" * 5_001 + b"}",
        b"[" * 10_000,
        b"",
        b"null",
        b"[]",
    ],
)
def test_bodies_that_are_no_strict_json_object(tenant: Tenant, body: bytes) -> None:
    answer = tenant.http.post("/event-type", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]


def test_strange_numbers_and_texts_in_schemas_come_back_as_they_were(tenant: Tenant) -> None:
    schema = {
        "title": 'nul \x00, quote " and \U0001f600',
        "minimum": -1e300,
        "maximum": 18446744073709551615,
        "properties": {"a\x00b": {"const": "\x00"}, "": {}, "__proto__": {}},
    }
    assert put(tenant, "strange", schemas={"1": schema}).status_code == 201
    assert tenant.http.get("/event-type/strange").json()["schemas"] == json.loads(json.dumps({"1": schema}))


@pytest.mark.parametrize("name", ["a%00b", "%ff", "a%20b", "x" * 300, "a%2Fb"])
def test_names_in_paths_that_nothing_has(tenant: Tenant, name: str) -> None:
    for answer in (
        tenant.http.get(f"/event-type/{name}"),
        tenant.http.patch(f"/event-type/{name}", json={}),
        tenant.http.delete(f"/event-type/{name}"),
    ):
        assert answer.status_code == 404
    assert put(tenant, name).status_code in {404, 422}


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"spec": {}}, ["spec"]),
        ({"spec": {"webhooks": {"a b": {"post": {}}}}}, ["spec", "webhooks", "a b"]),
        ({"specRaw": "a: &x 1\nb: *x"}, ["spec"]),
        ({"spec": []}, ["spec"]),
    ],
)
def test_imports_that_are_refused_with_their_place(tenant: Tenant, body: Any, place: list[Any]) -> None:
    assert problems(tenant.http.post("/event-type/import/openapi", json=body)) == [["body", *place]]


def test_an_import_follows_nothing_out_of_the_document(tenant: Tenant) -> None:
    for reference in ("http://127.0.0.1:1/x", "file:///etc/passwd"):
        content = {"application/json": {"schema": {"properties": {"a": {"$ref": reference}}}}}
        spec = {"webhooks": {"good": {"post": {}}, "a": {"post": {"requestBody": {"content": content}}}}}
        answer = tenant.http.post("/event-type/import/openapi", json={"spec": spec, "replaceAll": True})
        assert problems(answer) == [["body", "spec", "webhooks", "a", "1", "properties", "a", "$ref"]]
    assert tenant.http.get("/event-type").json()["data"] == [], "all of it, or nothing"
