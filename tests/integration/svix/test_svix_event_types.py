"""Event types, as the official SDK sees them."""

from __future__ import annotations

import json

import pytest
from svix.api import (
    EventTypeDeleteOptions,
    EventTypeImportOpenApiIn,
    EventTypeIn,
    EventTypeListOptions,
    EventTypePatch,
    EventTypeUpsertIn,
)
from svix.exceptions import HttpError
from svix.models import Ordering

from integration.svix.driven import Driven

SCHEMAS = {"1": {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}}}


def test_create_get_update_patch(svix: Driven) -> None:
    wish = EventTypeIn(
        name="invoice.paid", description="Paid", schemas=SCHEMAS, group_name="money", feature_flags=["beta"]
    )
    created = svix.event_type.create(wish)
    assert (created.name, created.description, created.schemas) == ("invoice.paid", "Paid", SCHEMAS)
    assert (created.archived, created.deprecated, created.group_name) == (False, False, "money")
    assert created.feature_flags == ["beta"]
    assert svix.event_type.get("invoice.paid") == created
    updated = svix.event_type.upsert("invoice.paid", EventTypeUpsertIn(description="Settled", deprecated=True))
    assert (updated.description, updated.deprecated, updated.schemas) == ("Settled", True, None)
    patched = svix.event_type.patch("invoice.paid", EventTypePatch(schemas=SCHEMAS))
    assert (patched.description, patched.schemas) == ("Settled", SCHEMAS)
    assert svix.event_type.upsert("new.one", EventTypeUpsertIn(description="New")).name == "new.one"


def test_list_by_name(svix: Driven) -> None:
    for name in ("b", "a", "c"):
        svix.event_type.create(EventTypeIn(name=name, description="", schemas=SCHEMAS))
    first = svix.event_type.list(EventTypeListOptions(limit=2))
    assert ([found.name for found in first.data], first.done, first.data[0].schemas) == (["a", "b"], False, None)
    rest = svix.event_type.list(EventTypeListOptions(limit=2, iterator=first.iterator, with_content=True))
    assert ([found.name for found in rest.data], rest.done, rest.data[0].schemas) == (["c"], True, SCHEMAS)
    down = svix.event_type.list(EventTypeListOptions(order=Ordering.DESCENDING))
    assert [found.name for found in down.data] == ["c", "b", "a"]


def test_deleting_archives_and_creating_brings_it_back(svix: Driven) -> None:
    svix.event_type.create(EventTypeIn(name="a.b", description="First"))
    with pytest.raises(HttpError) as error:
        svix.event_type.create(EventTypeIn(name="a.b", description="Again"))
    assert error.value.status_code == 409
    svix.event_type.delete("a.b")
    assert svix.event_type.list().data == []
    archived = svix.event_type.list(EventTypeListOptions(include_archived=True)).data
    assert [(found.name, found.archived) for found in archived] == [("a.b", True)]
    assert svix.event_type.create(EventTypeIn(name="a.b", description="Again")).archived is False
    svix.event_type.delete("a.b", EventTypeDeleteOptions(expunge=True))
    with pytest.raises(HttpError) as error:
        svix.event_type.get("a.b")
    assert error.value.status_code == 404


def test_import_from_openapi(svix: Driven) -> None:
    svix.event_type.create(EventTypeIn(name="old.one", description="Old"))
    webhook = {
        "post": {
            "description": "Paid",
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Invoice"}}}},
            "responses": {"200": {"description": "Taken"}},
        }
    }
    spec = {
        "openapi": "3.1.0",
        "info": {"title": "Ours", "version": "1"},
        "webhooks": {"invoice.paid": webhook},
        "components": {"schemas": {"Invoice": {"type": "object", "required": ["amount"]}}},
    }
    rehearsed = svix.event_type.import_openapi(EventTypeImportOpenApiIn(spec=spec, dry_run=True)).data
    assert [found.name for found in rehearsed.to_modify] == ["invoice.paid"]
    assert [found.name for found in svix.event_type.list().data] == ["old.one"]
    done = svix.event_type.import_openapi(EventTypeImportOpenApiIn(spec_raw=json.dumps(spec), replace_all=True)).data
    assert "invoice.paid" in done.modified
    assert [found.name for found in svix.event_type.list().data] == ["invoice.paid"]
    imported = svix.event_type.get("invoice.paid")
    assert (imported.description, len(imported.schemas)) == ("Paid", 1)
    with pytest.raises(HttpError) as error:
        svix.event_type.import_openapi(EventTypeImportOpenApiIn())
    assert error.value.status_code == 400
