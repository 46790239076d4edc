"""Event types through the official SDK: every method."""

from __future__ import annotations

import json

import pytest
from svix.api import (
    ApplicationIn,
    EndpointIn,
    EventExampleIn,
    EventTypeDeleteOptions,
    EventTypeImportOpenApiIn,
    EventTypeIn,
    EventTypeListOptions,
    EventTypePatch,
    EventTypeUpsertIn,
    MessagePrecheckIn,
)
from svix.exceptions import HttpError, HTTPValidationError
from svix.models import Ordering
from svix.webhooks import Webhook

from support.server import Receiver, Tenant

SCHEMA = {"type": "object", "properties": {"user_name": {"type": "string"}}, "required": ["user_name"]}


def refused(error: pytest.ExceptionInfo[HttpError]) -> tuple[int, str]:
    return error.value.status_code, error.value.code


def test_create_get_upsert_patch_delete(tenant: Tenant) -> None:
    types = tenant.svix.event_type
    created = types.create(
        EventTypeIn(
            name="user.signup",
            description="Somebody signed up",
            deprecated=True,
            schemas={"1": SCHEMA},
            feature_flags=["beta", "internal"],
            group_name="user",
        )
    )
    assert (created.name, created.description, created.archived, created.deprecated) == (
        "user.signup", "Somebody signed up", False, True,
    )  # fmt: skip
    assert (created.schemas, created.feature_flags, created.group_name) == ({"1": SCHEMA}, ["beta", "internal"], "user")
    assert created.created_at.tzinfo is not None
    assert types.get("user.signup") == created

    patched = types.patch("user.signup", EventTypePatch(description="New words"))
    assert patched.description == "New words"
    assert (patched.schemas, patched.feature_flags, patched.group_name) == ({"1": SCHEMA}, ["beta", "internal"], "user")
    assert patched.updated_at > created.updated_at
    emptied = types.patch("user.signup", EventTypePatch(schemas=None, feature_flags=None, group_name=None))
    assert (emptied.schemas, emptied.feature_flags, emptied.group_name) == (None, None, None)

    replaced = types.upsert("user.signup", EventTypeUpsertIn(description="Replaced", schemas={"2": SCHEMA}))
    assert (replaced.description, replaced.deprecated, replaced.schemas) == ("Replaced", False, {"2": SCHEMA})
    assert replaced.created_at == created.created_at
    made = types.upsert("user.left", EventTypeUpsertIn(description="Gone", archived=True))
    assert types.get("user.left") == made
    assert made.archived

    types.delete("user.signup")
    assert types.get("user.signup").archived
    types.delete("user.signup", EventTypeDeleteOptions(expunge=True))
    for act in (
        lambda: types.get("user.signup"),
        lambda: types.patch("user.signup", EventTypePatch(description="")),
        lambda: types.delete("user.signup"),
    ):
        with pytest.raises(HttpError) as error:
            act()
        assert refused(error) == (404, "not_found")


def test_a_name_is_unique_until_it_is_archived(tenant: Tenant) -> None:
    types = tenant.svix.event_type
    first = types.create(EventTypeIn(name="a.b", description="first", schemas={"1": SCHEMA}))
    with pytest.raises(HttpError) as error:
        types.create(EventTypeIn(name="a.b", description="second"))
    assert refused(error) == (409, "event_type_exists")
    types.delete("a.b")
    again = types.create(EventTypeIn(name="a.b", description="second"))
    assert (again.description, again.archived, again.schemas) == ("second", False, None)
    assert again.created_at == first.created_at


def test_lists(tenant: Tenant) -> None:
    types = tenant.svix.event_type
    names = ["-odd", "a.a", "a.b", "b.a", "c"]
    for name in reversed(names):
        types.create(EventTypeIn(name=name, description=name, schemas={"1": SCHEMA}))
    types.delete("b.a")
    live = [name for name in names if name != "b.a"]

    def listed(**options: object) -> list[str]:
        return [row.name for row in types.list(EventTypeListOptions(**options)).data]

    assert listed() == live
    assert listed(order=Ordering.DESCENDING) == live[::-1]
    assert listed(include_archived=True) == names
    assert types.list().data[0].schemas is None
    assert types.list(EventTypeListOptions(with_content=True)).data[0].schemas == {"1": SCHEMA}

    for order in Ordering:
        whole = live if order is Ordering.ASCENDING else live[::-1]
        walked, iterator = [], None
        while True:
            page = types.list(EventTypeListOptions(limit=1, iterator=iterator, order=order))
            walked += [row.name for row in page.data]
            if page.done:
                break
            iterator = page.iterator
        assert walked == whole
        last = types.list(EventTypeListOptions(limit=1, order=order, iterator=page.prev_iterator))
        assert [row.name for row in last.data] == [whole[-2]]
    empty = types.list(EventTypeListOptions(iterator="zzz"))
    assert (empty.data, empty.iterator, empty.prev_iterator, empty.done) == ([], None, None, True)
    for wrong in ({"limit": 251}, {"limit": 0}, {"iterator": "no name"}):
        with pytest.raises(HTTPValidationError):
            types.list(EventTypeListOptions(**wrong))


def test_a_schema_that_leads_elsewhere_is_refused_with_its_place(tenant: Tenant) -> None:
    schema = {"properties": {"user_name": {"$ref": "http://127.0.0.1:1/schema.json"}}}
    with pytest.raises(HTTPValidationError) as error:
        tenant.svix.event_type.create(EventTypeIn(name="a", description="", schemas={"1": schema}))
    (problem,) = error.value.detail
    assert problem.loc == ["body", "schemas", "1", "properties", "user_name", "$ref"]


def test_examples_and_precheck(tenant: Tenant, receiver: Receiver) -> None:
    app_id = tenant.svix.application.create(ApplicationIn(name="App")).id
    asked = MessagePrecheckIn(event_type="user.signup", channels=["north"])
    assert not tenant.svix.message.precheck(app_id, asked).active
    endpoint_id = tenant.svix.endpoint.create(app_id, EndpointIn(url=f"{receiver.url}/200/x")).id
    assert tenant.svix.message.precheck(app_id, asked).active
    sent = tenant.svix.endpoint.send_example(app_id, endpoint_id, EventExampleIn(event_type="svix.ping"))
    assert (sent.event_type, sent.payload) == ("svix.ping", {"success": True})
    arrived = receiver.next()
    secret = tenant.svix.endpoint.get_secret(app_id, endpoint_id).key
    Webhook(secret).verify(arrived.body, arrived.headers)
    assert arrived.body == b'{"success":true}'
    assert arrived.headers["svix-id"] == sent.id


SPEC = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1"},
    "webhooks": {
        "order.paid": {
            "post": {
                "description": "Somebody paid",
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"$ref": "#/components/schemas/Order"},
                            "example": {"id": "o1", "lines": []},
                        }
                    }
                },
            }
        },
        "order.lost": {"post": {"summary": "Nobody paid", "deprecated": True}},
    },
    "components": {
        "schemas": {
            "Order": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string"},
                    "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
                },
            },
            "Line": {"type": "object", "properties": {"order": {"$ref": "#/components/schemas/Order"}}},
        }
    },
}


def test_importing_webhooks_of_an_openapi_document(tenant: Tenant) -> None:
    types = tenant.svix.event_type
    types.create(EventTypeIn(name="old", description="not in the document"))
    types.create(EventTypeIn(name="order.lost", description="", feature_flags=["beta"], group_name="order"))
    types.delete("order.lost")

    planned = types.import_openapi(EventTypeImportOpenApiIn(spec=SPEC, dry_run=True)).data
    assert planned.modified == ["order.paid", "order.lost"]
    assert [one.name for one in planned.to_modify] == planned.modified
    assert [row.name for row in types.list().data] == ["old"], "nothing was changed"

    done = types.import_openapi(EventTypeImportOpenApiIn(spec=SPEC)).data
    assert (done.modified, done.to_modify) == (planned.modified, None)
    paid, lost = types.get("order.paid"), types.get("order.lost")
    assert (paid.description, paid.deprecated) == ("Somebody paid", False)
    assert paid.schemas["1"]["properties"]["lines"]["items"] == {"$ref": "#/definitions/Line"}
    assert paid.schemas["1"]["definitions"]["Line"]["properties"]["order"] == {"$ref": "#/definitions/Order"}
    assert paid.schemas["1"]["examples"] == [{"id": "o1", "lines": []}]
    assert (lost.description, lost.deprecated, lost.archived) == ("Nobody paid", True, False)
    assert (lost.feature_flags, lost.group_name) == (["beta"], "order"), "what the document does not say stays"

    assert types.import_openapi(EventTypeImportOpenApiIn(spec_raw=json.dumps(SPEC))).data.modified == []
    assert not types.get("old").archived
    types.import_openapi(EventTypeImportOpenApiIn(spec=SPEC, replace_all=True))
    assert types.get("old").archived

    for neither_or_both in (EventTypeImportOpenApiIn(), EventTypeImportOpenApiIn(spec=SPEC, spec_raw="{}")):
        with pytest.raises(HttpError) as error:
            types.import_openapi(neither_or_both)
        assert refused(error) == (400, "generic_error")
