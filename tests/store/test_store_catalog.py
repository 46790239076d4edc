"""Organizations' settings and event types: what is kept, who sees it, versions, and who hears of changes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookline.model import EventType, OrganizationSettings
from hookline.store import ChangedMeanwhileError, ConflictError, EventTypeFilter, OrgScope, Page
from support.store import NOW, ORG

SCOPE, OTHER = OrgScope(ORG), OrgScope("org_two")
ALL = EventTypeFilter(with_archived=True)


def event_type(name: str = "invoice.paid", **changes: Any) -> EventType:
    fields: dict[str, Any] = {
        "org_id": ORG,
        "name": name,
        "description": "",
        "archived": False,
        "deprecated": False,
        "schemas": None,
        "feature_flags": None,
        "group_name": None,
        "created_at_ms": NOW,
        "updated_at_ms": NOW,
    }
    return EventType(**fields | changes)


FULL = event_type(
    description="paid: ä 'q'",
    deprecated=True,
    schemas={"1": {"type": "object", "title": "nul \x00 and ü"}, "2": {"properties": {"a": {"minimum": 1.5}}}},
    feature_flags=("beta", "internal"),
    group_name="billing",
)


async def version(store, scope: OrgScope = SCOPE) -> int:
    return (await store.get_organization(scope)).catalog_version


async def names(store, page: Page | None = None, where: EventTypeFilter = ALL, scope: OrgScope = SCOPE) -> list[str]:
    page = page or Page(ascending=True)
    return [row.name for row in (await store.list_event_types(scope, page, where)).rows]


# --- settings


async def test_an_organization_that_said_nothing_has_the_defaults(store):
    organization = await store.get_organization(SCOPE)
    assert (organization.id, organization.settings, organization.catalog_version) == (ORG, OrganizationSettings(), 0)


async def test_settings_come_back_and_move_the_version(store):
    wanted = OrganizationSettings(event_type_check="known", schema_validation="on")
    updated = await store.update_settings(SCOPE, wanted, read_version=0)
    assert await store.get_organization(SCOPE) == updated
    assert (updated.settings, updated.catalog_version) == (wanted, 1)
    assert (await store.get_organization(OTHER)).settings == OrganizationSettings()


async def test_only_what_differs_from_the_default_is_kept(store, database):
    await store.update_settings(SCOPE, OrganizationSettings(schema_validation="on"), read_version=0)
    assert await database.value("SELECT settings FROM hookline_organizations") == '{"schemaValidation":"on"}'


async def test_settings_that_were_read_too_early_are_not_written(store):
    await store.update_settings(SCOPE, OrganizationSettings(event_type_check="known"), read_version=0)
    with pytest.raises(ChangedMeanwhileError):
        await store.update_settings(SCOPE, OrganizationSettings(), read_version=0)
    assert (await store.get_organization(SCOPE)).settings.event_type_check == "known"
    assert await version(store) == 1, "what was rolled back moved nothing"


# --- event types


async def test_event_types_come_back_as_they_went_in(store):
    assert await store.create_event_type(FULL) == FULL
    assert await store.get_event_type(SCOPE, FULL.name) == FULL
    bare = await store.create_event_type(event_type("bare"))
    assert await store.get_event_type(SCOPE, "bare") == bare
    assert await store.get_event_type(OTHER, "bare") is None


async def test_a_live_name_is_taken_and_an_archived_one_is_not(store):
    await store.create_event_type(FULL)
    with pytest.raises(ConflictError):
        await store.create_event_type(event_type())
    assert await store.archive_event_type(SCOPE, FULL.name, NOW + 1)
    again = await store.create_event_type(event_type(created_at_ms=NOW + 9, updated_at_ms=NOW + 9))
    assert again == event_type(created_at_ms=NOW, updated_at_ms=NOW + 9)
    assert await store.get_event_type(SCOPE, FULL.name) == again
    await store.create_event_type(event_type(org_id=OTHER.org_id))


async def test_an_update_replaces_what_may_change(store):
    await store.create_event_type(FULL)
    changed = event_type(description="new", archived=True, created_at_ms=1, updated_at_ms=NOW + 7)
    updated = await store.update_event_type(changed, read_at_ms=NOW)
    assert updated == msgspec.structs.replace(changed, created_at_ms=NOW)
    assert await store.get_event_type(SCOPE, FULL.name) == updated
    with pytest.raises(ChangedMeanwhileError):
        await store.update_event_type(changed, read_at_ms=NOW)
    assert await store.update_event_type(event_type("gone")) is None


async def test_updates_within_one_millisecond_are_told_apart(store):
    await store.create_event_type(FULL)
    first = await store.update_event_type(FULL, read_at_ms=NOW)
    assert first.updated_at_ms == NOW + 1


async def test_putting_creates_replaces_and_archives_the_rest(store):
    for name in ("a", "b", "c"):
        await store.create_event_type(event_type(name))
    before = await version(store)
    put = await store.put_event_types(SCOPE, [event_type("b", description="new"), event_type("d")])
    assert [(row.name, row.description) for row in put] == [("b", "new"), ("d", "")]
    assert await names(store) == ["a", "b", "c", "d"]
    assert await version(store) > before
    await store.create_event_type(event_type("a", org_id=OTHER.org_id))
    await store.put_event_types(SCOPE, [event_type("d")], archive_others_at_ms=NOW + 5)
    assert await names(store, where=EventTypeFilter()) == ["d"]
    assert (await store.get_event_type(SCOPE, "a")).updated_at_ms == NOW + 5
    assert await names(store, scope=OTHER, where=EventTypeFilter()) == ["a"]
    await store.put_event_types(SCOPE, [], archive_others_at_ms=NOW + 6)
    assert await names(store, where=EventTypeFilter()) == []


async def test_archived_ones_stay_until_they_are_expunged(store):
    await store.create_event_type(FULL)
    assert not await store.archive_event_type(OTHER, FULL.name, NOW)
    assert await store.archive_event_type(SCOPE, FULL.name, NOW)
    assert (await store.get_event_type(SCOPE, FULL.name)).archived
    assert not await store.expunge_event_type(OTHER, FULL.name)
    assert await store.expunge_event_type(SCOPE, FULL.name)
    assert not await store.expunge_event_type(SCOPE, FULL.name)
    assert not await store.archive_event_type(SCOPE, FULL.name, NOW)
    assert await store.get_event_type(SCOPE, FULL.name) is None


async def test_lists_go_by_name_in_both_directions(store):
    ordered = sorted(["-odd", "A", "Z", "_", "a", "a-b", "a.b", "a.b.c", "b", "0"])
    for name in reversed(ordered):
        await store.create_event_type(event_type(name))
    assert await names(store) == ordered
    assert await names(store, Page()) == ordered[::-1]
    for ascending in (True, False):
        whole = ordered if ascending else ordered[::-1]
        walked, after = [], None
        while True:
            page = await store.list_event_types(SCOPE, Page(3, after=after, ascending=ascending), ALL)
            walked += [row.name for row in page.rows]
            if page.done:
                break
            after = walked[-1]
        assert walked == whole
        assert await names(store, Page(3, before=whole[5], ascending=ascending)) == whole[2:5]


async def test_lists_leave_out_what_was_not_asked_for(store):
    await store.create_event_type(FULL)
    await store.create_event_type(event_type("old", archived=True))
    assert await names(store, where=EventTypeFilter()) == [FULL.name]
    (row,) = (await store.list_event_types(SCOPE, Page(), EventTypeFilter(with_schemas=False))).rows
    assert row == msgspec.structs.replace(FULL, schemas=None)


@pytest.mark.parametrize(
    ("flags", "seen"),
    [
        (None, ["a", "b", "c", "d"]),
        ((), ["a"]),
        (("beta",), ["a", "b", "c"]),
        (("internal", "nothing"), ["a", "c"]),
        (("bet", "eta", "beta-2"), ["a", "d"]),
    ],
)
async def test_feature_flags_hide_types(store, flags, seen):
    for name, own in (("a", None), ("b", ("beta",)), ("c", ("beta", "internal")), ("d", ("beta-2",))):
        await store.create_event_type(event_type(name, feature_flags=own))
    assert await names(store, where=EventTypeFilter(flags=flags)) == seen


async def test_what_messages_are_checked_by(store):
    await store.create_event_type(FULL)
    await store.create_event_type(event_type("bare"))
    await store.create_event_type(event_type("old", archived=True))
    assert sorted(await store.list_live_types(SCOPE, with_schemas=False)) == [("bare", None), (FULL.name, None)]
    found = dict(await store.list_live_types(SCOPE, with_schemas=True))
    assert found["bare"] is None
    assert msgspec.json.decode(found[FULL.name]) == FULL.schemas
    assert await store.list_live_types(OTHER, with_schemas=True) == []


async def test_measuring(store):
    assert await store.measure_event_types(SCOPE, besides=[]) == (0, 0)
    await store.create_event_type(FULL)
    await store.create_event_type(event_type("bare", archived=True))
    size = len(msgspec.json.encode(FULL.schemas))
    assert await store.measure_event_types(SCOPE, besides=["other"]) == (2, size)
    assert await store.measure_event_types(SCOPE, besides=[FULL.name]) == (1, 0)


async def test_every_change_moves_the_version_and_is_announced(store):
    heard: list[tuple[str, str]] = []
    store.subscribe(lambda topic, subject: heard.append((topic, subject)))
    changes = [
        lambda: store.create_event_type(event_type()),
        lambda: store.update_event_type(event_type()),
        lambda: store.put_event_types(SCOPE, [event_type("b")]),
        lambda: store.put_event_types(SCOPE, [], archive_others_at_ms=NOW),
        lambda: store.archive_event_type(SCOPE, "b", NOW),
        lambda: store.expunge_event_type(SCOPE, "b"),
    ]
    for index, change in enumerate(changes):
        before = await version(store)
        await change()
        assert await version(store) > before
        await _until(lambda index=index: heard.count(("catalog", ORG)) > index)
    assert await version(store, OTHER) == 0


async def _until(condition) -> None:
    import anyio

    with anyio.fail_after(10):
        while not condition():
            await anyio.sleep(0.005)
