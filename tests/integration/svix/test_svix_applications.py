"""Applications, as the official SDK sees them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from svix.api import ApplicationIn, ApplicationListOptions, ApplicationPatch
from svix.exceptions import HttpError
from svix.models import Ordering

from integration.svix.driven import Driven
from support.server import Tenant


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


def test_two_changes_at_once_are_both_kept(svix: Driven, tenant: Tenant) -> None:
    """Whoever reads first and writes last makes their change anew from what is there then."""
    app_id = svix.application.create(ApplicationIn(name="Customer", metadata={"zero": "0"})).id
    with ThreadPoolExecutor(8) as threads:
        names = [f"n{number}" for number in range(8)]
        changes = [{"metadata": {name: "1"}} if number % 2 else {"name": name} for number, name in enumerate(names)]
        answers = list(threads.map(lambda body: tenant.http.patch(f"/app/{app_id}", json=body), changes))
    assert {answer.status_code for answer in answers} == {200}
    found = svix.application.get(app_id)
    assert found.name in names
    assert found.metadata != {"zero": "0"}
    assert len({answer.json()["updatedAt"] for answer in answers}) == len(answers)
