"""Applications, as the official SDK sees them."""

from __future__ import annotations

import pytest
from svix.api import ApplicationIn, ApplicationListOptions, ApplicationPatch
from svix.exceptions import HttpError
from svix.models import Ordering

from integration.svix.driven import Driven


def test_create_get_update_patch_delete(svix: Driven) -> None:
    created = svix.application.create(ApplicationIn(name="One", uid="one", throttle_rate=5, metadata={"plan": "gold"}))
    assert created.id.startswith("app_")
    assert (created.name, created.uid, created.throttle_rate, created.metadata) == (
        "One",
        "one",
        5,
        {"plan": "gold"},
    )
    assert created.created_at.tzinfo is not None
    assert svix.application.get("one") == svix.application.get(created.id) == created

    updated = svix.application.upsert("one", ApplicationIn(name="Two", uid="two"))
    assert (updated.id, updated.name, updated.uid, updated.throttle_rate, updated.metadata) == (
        created.id, "Two", "two", None, {},
    )  # fmt: skip
    patched = svix.application.patch("two", ApplicationPatch(name="Three"))
    assert (patched.name, patched.uid) == ("Three", "two")
    assert svix.application.patch("two", ApplicationPatch(uid=None)).uid is None

    svix.application.delete(created.id)
    with pytest.raises(HttpError) as error:
        svix.application.get(created.id)
    assert (error.value.status_code, error.value.code, error.value.detail) == (404, "not_found", "Entity not found")


def test_get_or_create(svix: Driven) -> None:
    first = svix.application.get_or_create(ApplicationIn(name="A", uid="same"))
    second = svix.application.get_or_create(ApplicationIn(name="B", uid="same"))
    assert first == second
    with pytest.raises(HttpError) as error:
        svix.application.create(ApplicationIn(name="C", uid="same"))
    assert (error.value.status_code, error.value.code) == (409, "conflict")


def test_update_creates_what_is_not_there(svix: Driven) -> None:
    made = svix.application.upsert("new", ApplicationIn(name="New", uid="new"))
    assert svix.application.get("new").id == made.id


def test_a_deleted_uid_is_free_again(svix: Driven) -> None:
    first = svix.application.create(ApplicationIn(name="A", uid="again"))
    svix.application.delete("again")
    assert svix.application.create(ApplicationIn(name="B", uid="again")).id != first.id


def test_list_in_pages_both_ways(svix: Driven) -> None:
    made = [svix.application.create(ApplicationIn(name=f"app {number}")).id for number in range(5)]
    first = svix.application.list(ApplicationListOptions(limit=2))
    assert [app.id for app in first.data] == made[:2]
    assert not first.done
    second = svix.application.list(ApplicationListOptions(limit=2, iterator=first.iterator))
    assert [app.id for app in second.data] == made[2:4]
    last = svix.application.list(ApplicationListOptions(limit=2, iterator=second.iterator))
    assert ([app.id for app in last.data], last.done) == (made[4:], True)
    back = svix.application.list(ApplicationListOptions(limit=2, iterator=second.prev_iterator))
    assert [app.id for app in back.data] == made[:2]
    newest = svix.application.list(ApplicationListOptions(limit=2, order=Ordering.DESCENDING))
    assert [app.id for app in newest.data] == [made[4], made[3]]


def test_an_empty_list(svix: Driven) -> None:
    empty = svix.application.list()
    assert (empty.data, empty.done, empty.iterator, empty.prev_iterator) == ([], True, None, None)
