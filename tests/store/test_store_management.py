"""Applications, endpoints and API keys: what is kept, uids, scopes, routing versions, and secrets at rest."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from hookline.model import ApiKey, BearerAuth, ClientCertificate, EndpointStatus, Extras, OAuth2Auth
from hookline.model.ids import API_KEY
from hookline.store import AppScope, ChangedMeanwhileError, ConflictError, Disable, OrgScope, Page, StoreError
from support.store import DAY, FULL_ENDPOINT, NOW, World, application, endpoint, message, new_id

OTHER_ORG = "org_two"


# --- applications


async def test_applications_come_back_as_they_went_in(store):
    created = await store.create_application(
        application(uid="Acme", name="Acme ä", throttle_rate=5, metadata={"a": "b", "ü": ""}, updated_at_ms=NOW + 1)
    )
    bare = await store.create_application(application())
    org = OrgScope(created.org_id)
    assert await store.get_application(org, created.id) == created
    assert await store.get_application(org, "Acme") == created
    assert await store.get_application(org, bare.id) == bare
    assert await store.get_application(org, "acme") is None


async def test_two_changes_of_an_application_made_from_the_same_state(world):
    """The second one is told, whoever made the first."""
    read = await world.store.get_application(world.org, world.app.id)
    first = msgspec.structs.replace(read, name="First", updated_at_ms=read.updated_at_ms + 1)
    second = msgspec.structs.replace(read, metadata={"a": "b"}, updated_at_ms=read.updated_at_ms + 1)
    assert await world.store.update_application(first, read_at_ms=read.updated_at_ms)
    with pytest.raises(ChangedMeanwhileError):
        await world.store.update_application(second, read_at_ms=read.updated_at_ms)
    assert (await world.store.get_application(world.org, world.app.id)).name == "First"
    gone = msgspec.structs.replace(second, id="app_none")
    assert await world.store.update_application(gone, read_at_ms=read.updated_at_ms) is None


async def test_an_applications_update_replaces_what_may_change(store):
    created = await store.create_application(application(uid="a"))
    changed = msgspec.structs.replace(
        created, uid=None, name="New", throttle_rate=9, metadata={"k": "v"}, updated_at_ms=NOW + 5, created_at_ms=1
    )
    updated = await store.update_application(changed)
    org = OrgScope(created.org_id)
    assert updated == await store.get_application(org, created.id)
    assert (updated.uid, updated.name, updated.throttle_rate) == (None, "New", 9)
    assert (updated.metadata, updated.updated_at_ms, updated.created_at_ms) == ({"k": "v"}, NOW + 5, NOW)
    assert await store.get_application(org, "a") is None


async def test_nobody_updates_what_is_gone(world):
    gone = application()
    assert await world.store.update_application(gone) is None
    await world.store.delete_application(world.scope, NOW)
    assert await world.store.update_application(world.app) is None


async def test_uids_are_unique_in_an_organization(store):
    await store.create_application(application(uid="same"))
    await store.create_application(application(uid="same", org_id=OTHER_ORG))
    other = await store.create_application(application(uid="other"))
    with pytest.raises(ConflictError):
        await store.create_application(application(uid="same"))
    with pytest.raises(ConflictError):
        await store.update_application(msgspec.structs.replace(other, uid="same"))
    found = await store.get_application(OrgScope(other.org_id), other.id)
    assert found.uid == "other"


async def test_many_may_have_no_uid(store):
    for _ in range(3):
        await store.create_application(application(uid=None))


async def test_deleting_an_application_frees_its_uids(world):
    one = await world.store.create_application(application(uid="again"))
    await world.store.create_endpoint(endpoint(one.id, uid="hook"))
    scope = AppScope(one.org_id, one.id)
    assert await world.store.delete_application(scope, NOW) is True
    assert await world.store.delete_application(scope, NOW) is False
    assert await world.store.get_application(world.org, one.id) is None
    assert await world.store.get_endpoint(scope, "hook") is None
    assert (await world.store.list_endpoints(scope, Page())).rows == []
    assert await world.store.load_routing(one.id) is None
    await world.store.create_application(application(uid="again"))


# --- endpoints


async def test_endpoints_come_back_as_they_went_in(world):
    full = await world.endpoint(**FULL_ENDPOINT)
    bare = await world.endpoint()
    empty = await world.endpoint(event_types=(), channels=())
    for one in (full, bare, empty):
        assert await world.store.get_endpoint(world.scope, one.id) == one
    assert await world.store.get_endpoint(world.scope, "billing") == full
    assert (await world.store.list_endpoints(world.scope, Page(ascending=True))).rows == [full, bare, empty]
    assert (await world.store.load_routing(world.app.id))[1] == [full, bare, empty]


@pytest.mark.parametrize(
    "extras",
    [
        Extras(order_key="customer.id", transform="{id: id}", ca_pem="PEM"),
        Extras(
            filter={"data.amount": {">": 100}}, auth=OAuth2Auth("https://a.example/t", "me", "s", "x", True, {"a": "b"})
        ),
        Extras(auth=BearerAuth("t"), client_certificate=ClientCertificate("cert", "key")),
    ],
)
async def test_what_few_endpoints_want_comes_back_and_goes(world, extras):
    wishing = await world.store.create_endpoint(endpoint(world.app.id, extras=extras))
    assert (await world.store.get_endpoint(world.scope, wishing.id)).extras == extras
    plain = msgspec.structs.replace(wishing, extras=Extras())
    await world.store.update_endpoint(plain)
    assert await world.store.get_endpoint(world.scope, wishing.id) == plain
    await world.store.update_endpoint(wishing)
    assert wishing in (await world.store.load_routing(world.app.id))[1]


async def test_an_endpoints_update_replaces_everything_but_owner_and_birth(world):
    one = await world.endpoint()
    changed = msgspec.structs.replace(one, **FULL_ENDPOINT, created_at_ms=1)
    updated = await world.store.update_endpoint(changed)
    assert updated == msgspec.structs.replace(changed, created_at_ms=NOW)
    assert await world.store.get_endpoint(world.scope, one.id) == updated


async def test_a_change_made_from_an_older_state_is_refused(world):
    read = await world.endpoint()
    first = msgspec.structs.replace(read, description="first", updated_at_ms=NOW + 1)
    assert await world.store.update_endpoint(first, read_at_ms=NOW) == first
    with pytest.raises(ChangedMeanwhileError):
        await world.store.update_endpoint(msgspec.structs.replace(read, url="https://x.example"), read_at_ms=NOW)
    assert await world.store.get_endpoint(world.scope, read.id) == first


async def test_a_disable_is_a_change_even_within_the_same_millisecond(world):
    read = await world.endpoint(updated_at_ms=NOW)
    await world.write(now_ms=NOW, disables=[Disable(world.app.id, read.id, "gone")])
    with pytest.raises(ChangedMeanwhileError):
        await world.store.update_endpoint(read, read_at_ms=NOW)
    found = await world.store.get_endpoint(world.scope, read.id)
    assert (found.status, found.status_reason, found.updated_at_ms) == (EndpointStatus.DISABLED, "gone", NOW + 1)


async def test_of_changes_from_one_state_one_wins(world):
    read = await world.endpoint()
    results = []

    async def change(number: int) -> None:
        changed = msgspec.structs.replace(read, description=str(number), updated_at_ms=NOW + 1)
        try:
            results.append(await world.store.update_endpoint(changed, read_at_ms=NOW))
        except ChangedMeanwhileError:
            results.append(None)

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(change, number)
    kept = [result for result in results if result is not None]
    assert len(results) == 6
    assert kept == [await world.store.get_endpoint(world.scope, read.id)]


async def test_endpoints_are_counted_by_state(world):
    gone = await world.endpoint()
    await world.store.delete_endpoint(world.scope, gone.id, NOW)
    for status in (EndpointStatus.ENABLED, EndpointStatus.ENABLED, EndpointStatus.PAUSED):
        await world.endpoint(status=status)
    counted = await world.store.count_endpoints()
    assert counted == {EndpointStatus.ENABLED: 2, EndpointStatus.PAUSED: 1, EndpointStatus.DISABLED: 0}


async def test_endpoint_uids_are_unique_in_an_application(world):
    other = await world.store.create_application(application())
    await world.endpoint(uid="same")
    await world.store.create_endpoint(endpoint(other.id, uid="same"))
    second = await world.endpoint(uid="second")
    with pytest.raises(ConflictError):
        await world.endpoint(uid="same")
    with pytest.raises(ConflictError):
        await world.store.update_endpoint(msgspec.structs.replace(second, uid="same"))


async def test_a_deleted_endpoint_is_gone_and_its_uid_free(world):
    one = await world.endpoint(uid="hook")
    assert await world.store.delete_endpoint(world.scope, one.id, NOW) is True
    assert await world.store.delete_endpoint(world.scope, one.id, NOW) is False
    assert await world.store.get_endpoint(world.scope, one.id) is None
    assert await world.store.update_endpoint(one) is None
    assert (await world.store.list_endpoints(world.scope, Page())).rows == []
    await world.endpoint(uid="hook")


async def test_no_endpoint_under_a_deleted_application(world, database):
    await world.store.delete_application(world.scope, NOW)
    with pytest.raises(StoreError):
        await world.endpoint()
    assert await database.count("endpoints") == 0


# --- routing versions


async def version(world: World) -> int:
    loaded = await world.store.load_routing(world.app.id)
    assert loaded is not None
    return loaded[0]


async def test_every_change_of_an_endpoint_moves_the_version(world):
    seen = [await version(world)]
    one = await world.endpoint()
    seen.append(await version(world))
    await world.store.update_endpoint(msgspec.structs.replace(one, description="x"))
    seen.append(await version(world))
    await world.set_status(one, EndpointStatus.PAUSED)
    seen.append(await version(world))
    await world.store.delete_endpoint(world.scope, one.id, NOW)
    seen.append(await version(world))
    assert seen == sorted(set(seen))


async def test_routing_holds_endpoints_of_every_status_but_the_deleted(world):
    kept = [await world.endpoint(status=status) for status in EndpointStatus]
    gone = await world.endpoint()
    await world.store.delete_endpoint(world.scope, gone.id, NOW)
    assert (await world.store.load_routing(world.app.id))[1] == kept


async def test_changes_are_told_in_order_without_gaps(world):
    other = await world.store.create_application(application())
    start = max(change.version for change in await world.store.routing_changes(0, 100))
    await world.endpoint()
    await world.store.create_endpoint(endpoint(other.id))
    changes = await world.store.routing_changes(start, 100)
    assert [change.app_id for change in changes] == [world.app.id, other.id]
    assert [change.version for change in changes] == sorted(change.version for change in changes)
    assert await version(world) == changes[0].version
    assert await world.store.routing_changes(start, 1) == changes[:1]
    assert await world.store.routing_changes(changes[-1].version, 100) == []
    await world.endpoint()
    assert [change.app_id for change in await world.store.routing_changes(start, 100)] == [other.id, world.app.id]


async def test_a_deleted_application_is_among_the_changes(world):
    before = await version(world)
    await world.store.delete_application(world.scope, NOW)
    assert [change.app_id for change in await world.store.routing_changes(before, 10)] == [world.app.id]


# --- whose data


async def test_no_scope_reaches_another_tenant(world, database):
    one = await world.endpoint(uid="hook")
    (sent,) = await world.accept(one.id)
    neighbour = await world.store.create_application(application())
    strangers = [AppScope(OTHER_ORG, world.app.id), AppScope(world.app.org_id, neighbour.id)]
    for scope in strangers:
        for name in (one.id, "hook"):
            assert await world.store.get_endpoint(scope, name) is None
        assert await world.store.get_message(scope, sent.id) is None
        assert await world.store.deliveries_of_message(scope, sent.id, NOW) == []
        assert (await world.store.list_endpoints(scope, Page())).rows == []
        assert await world.store.delete_endpoint(scope, one.id, NOW) is False
        assert await world.store.request_resend(scope, sent.id, one.id, NOW) is False
        assert (
            await world.store.update_endpoint(
                msgspec.structs.replace(one, org_id=scope.org_id, app_id=scope.app_id, url="https://evil.example")
            )
            is None
        )
    stranger = OrgScope(OTHER_ORG)
    assert await world.store.get_application(stranger, world.app.id) is None
    assert (await world.store.list_applications(stranger, Page())).rows == []
    assert await world.store.delete_application(strangers[0], NOW) is False
    assert await world.store.update_application(msgspec.structs.replace(world.app, org_id=OTHER_ORG)) is None
    assert await world.store.get_endpoint(world.scope, one.id) == one
    assert await database.count("pending") == 0


async def test_a_resend_needs_an_endpoint_of_the_same_application(world, database):
    neighbour = await world.store.create_application(application())
    theirs = await world.store.create_endpoint(endpoint(neighbour.id))
    mine = await world.endpoint()
    (sent,) = await world.accept(mine.id)
    assert await world.store.request_resend(world.scope, sent.id, theirs.id, NOW) is False
    assert await world.store.request_resend(world.scope, "msg_none", mine.id, NOW) is False
    await world.store.delete_endpoint(world.scope, mine.id, NOW)
    assert await world.store.request_resend(world.scope, sent.id, mine.id, NOW) is False
    assert await database.count("pending") == 0


async def test_a_resend_is_due_now_and_asked_for_once(world, database):
    one = await world.endpoint()
    (sent,) = await world.accept(one.id)
    assert await world.store.request_resend(world.scope, sent.id, one.id, NOW) is True
    assert await world.store.request_resend(world.scope, sent.id, one.id, NOW + 1) is True
    assert await database.fetch("SELECT kind, attempts, rescues, due_at_ms, lease_node FROM hookline_pending") == [
        ("manual", 0, 0, NOW, None)
    ]
    assert await world.due() == [one.id]


# --- API keys


def api_key(**changes) -> ApiKey:
    fields = {
        "id": new_id(API_KEY),
        "org_id": "org_one",
        "app_id": None,
        "name": "deploy",
        "key_hash": b"\x00\xff" * 16,
        "hint": "…x9",
        "created_at_ms": NOW,
    }
    return ApiKey(**fields | changes)


async def test_api_keys_are_found_by_hash_even_when_over(store):
    one = await store.create_api_key(api_key())
    narrow = await store.create_api_key(api_key(key_hash=b"n" * 32, app_id="app_x", expires_at_ms=NOW - DAY))
    assert await store.find_api_key(one.key_hash) == one
    assert await store.find_api_key(narrow.key_hash) == narrow
    assert await store.find_api_key(b"?" * 32) is None
    revoked = msgspec.structs.replace(one, name="old", revoked_at_ms=NOW, expires_at_ms=NOW + 1)
    assert await store.update_api_key(revoked) == revoked
    assert await store.find_api_key(one.key_hash) == revoked


async def test_api_keys_belong_to_their_organization(store):
    one = await store.create_api_key(api_key())
    theirs = await store.create_api_key(api_key(key_hash=b"t" * 32, org_id=OTHER_ORG))
    assert await store.list_api_keys(OrgScope("org_one")) == [one]
    assert await store.list_api_keys(OrgScope(OTHER_ORG)) == [theirs]
    assert await store.update_api_key(msgspec.structs.replace(one, org_id=OTHER_ORG, name="stolen")) is None
    assert (await store.find_api_key(one.key_hash)).name == "deploy"


async def test_an_api_keys_update_changes_nothing_else(store):
    one = await store.create_api_key(api_key())
    changed = msgspec.structs.replace(one, key_hash=b"z" * 32, hint="?", app_id="app_y", created_at_ms=1, name="new")
    assert await store.update_api_key(changed) == msgspec.structs.replace(one, name="new")


# --- secrets at rest


async def test_no_secret_stands_in_the_rows(world, database):
    one = await world.endpoint(**FULL_ENDPOINT)
    raw = repr(await database.fetch("SELECT * FROM hookline_endpoints")).encode()
    for secret in (*(secret.key for secret in one.secrets), "s3cret", "Authorization", "hush"):
        assert secret.encode() not in raw
    assert b"https://example.com/hook" in raw


async def test_sealed_values_cannot_be_moved_to_another_row(world, database):
    rich, poor = await world.endpoint(), await world.endpoint()
    await database.fetch(
        "UPDATE hookline_endpoints SET secrets = "
        f"(SELECT e.secrets FROM hookline_endpoints e WHERE e.id = '{rich.id}') WHERE id = '{poor.id}'"
    )
    with pytest.raises(StoreError):
        await world.store.get_endpoint(world.scope, poor.id)
    assert await world.store.get_endpoint(world.scope, rich.id) == rich


async def test_messages_of_nobody_are_kept_with_their_note(world):
    from hookline.store import NewMessage

    note = message(world.app.id, note="no endpoint takes this type")
    await world.write(messages=[NewMessage(note)])
    assert await world.store.get_message(world.scope, note.id) == note


async def test_what_was_revoked_stays_so(store):
    """Whoever read the key before the revocation, to give it another end or name, does not bring it back."""
    read = await store.create_api_key(api_key())
    await store.update_api_key(msgspec.structs.replace(read, revoked_at_ms=NOW))
    late = await store.update_api_key(msgspec.structs.replace(read, expires_at_ms=NOW + DAY))
    assert (late.revoked_at_ms, late.expires_at_ms) == (NOW, NOW + DAY)
    assert (await store.find_api_key(read.key_hash)).revoked_at_ms == NOW
