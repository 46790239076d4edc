"""Deletion that deletes: nothing of a deleted application is left in any table, and nothing of others goes with it."""

from __future__ import annotations

import msgspec
import pytest

from hookline.model import ApiKey, EndpointSecret, Kind
from hookline.model.ids import API_KEY, BATCH
from hookline.store import AppScope, MessageKey, NewMessage, Outcome, PruneReport, Spill
from hookline.store.changes import ERASURE_GRACE_MS
from support.store import (
    DAY,
    FULL_ENDPOINT,
    NOW,
    ORG,
    SECOND,
    World,
    application,
    attempt,
    failure,
    key,
    message,
    new_id,
)

SECRETS = ("whsec_doomed", "doomed-header", "doomed-name", "doomed-payload", "doomed-answer", "https://doomed.example")


async def dump(database) -> str:
    """Everything that is written in any of our tables."""
    if database.name == "postgres":
        tables = "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'hookline%'"
    else:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'hookline%'"
    text = []
    for (table,) in await database.fetch(tables):
        text += [f"{table}: {row!r}" for row in await database.fetch(f"SELECT * FROM {table}")]
    return "\n".join(text)


async def fill(world: World) -> set[str]:
    """Give the world's application something in every table that can know of it; the ids of all that."""
    store, scope = world.store, world.scope
    app = msgspec.structs.replace(world.app, uid="doomed-uid", name="doomed-name", metadata={"doomed-key": "x"})
    await store.update_application(app)
    secrets = (EndpointSecret("whsec_doomed", NOW),)
    one = await world.endpoint(**FULL_ENDPOINT | {"secrets": secrets, "headers": {"x": "doomed-header"}})
    two = await world.endpoint(url="https://doomed.example", ordered=True)
    gone = await world.endpoint()
    many = [(await world.endpoint()).id for _ in range(65)]
    await store.create_api_key(ApiKey(new_id(API_KEY), ORG, app.id, "doomed-name", b"doomed", "hk_", NOW))
    keys = (MessageKey("event:doomed-event", b"f", NOW + DAY),)
    first = message(app.id, one.id, payload=b"doomed-payload", event_id="doomed-event", tags=("doomed-tag",))
    later = message(app.id, one.id, deliver_at_ms=NOW + DAY)
    wide = message(app.id, *many)
    batch_id = new_id(BATCH)
    news = [NewMessage(first, keys=keys), NewMessage(later), NewMessage(wide)]
    await world.write(messages=news, batch_id=batch_id)
    in_order = await world.accept_ordered(two.id, count=2)
    (parked,) = await world.free(gone.id)
    await world.write(
        outcomes=[
            Outcome(attempt(first, one.id, response_body=b"doomed-answer")),
            *(Outcome(failure(wide, name, final=True)) for name in many),
        ],
        settled_batches=[batch_id],
    )
    await store.request_resend(scope, first.id, one.id, NOW)
    await store.delete_endpoint(scope, gone.id, NOW)
    await database_outbox(world, "doomed-uid")
    made = [one.id, two.id, gone.id, *many, first.id, later.id, wide.id, parked.id, *(each.id for each in in_order)]
    return {app.id, "doomed-uid", "doomed-event", "doomed-tag", "doomed-key", *SECRETS, *made}


async def database_outbox(world: World, app: str) -> None:
    payload = "x'7b7d'" if world.database.name != "postgres" else "'{}'"
    await world.database.fetch(
        "INSERT INTO hookline_outbox (org_id, app, event_type, payload) "
        f"VALUES ('{ORG}', '{app}', 'doomed.type', {payload})"
    )


@pytest.fixture
async def doomed(world: World, database) -> World:
    found = World(world.store)
    found.node, found.app = world.node, await world.store.create_application(application())
    found.database = database
    return found


async def erase_all(world: World, now_ms: int = NOW, limit: int = 10) -> list[PruneReport]:
    reports: list[PruneReport] = []
    while not reports or reports[-1].more:
        reports.append(await world.store.erase_deleted(now_ms, limit))
        assert len(reports) < 100
    return reports


async def test_nothing_of_a_deleted_application_is_left(world, doomed, database):
    names = await fill(doomed)
    (kept,) = await world.accept((await world.endpoint()).id)
    before = await dump(database)
    missing = {name for name in names if name not in before} - set(SECRETS)
    assert missing == set(), "the test should have put these somewhere"
    assert await doomed.store.delete_application(doomed.scope, NOW)
    told = await dump(database)
    for word in ("doomed-uid", "doomed-name", "doomed-key", "https://doomed.example"):
        assert word not in told.replace(str(await database.fetch("SELECT url FROM hookline_attempts")), ""), word
    assert await database.value("SELECT count(*) FROM hookline_endpoints WHERE deleted_at_ms IS NOT NULL") == 68
    empty = "secrets = '' AND headers = ''" if database.name == "postgres" else "secrets = x'' AND headers = x''"
    assert await database.count("endpoints", f"deleted_at_ms IS NOT NULL AND NOT ({empty})") == 0
    await erase_all(doomed)
    for table in ("messages", "attempts", "pending", "message_keys"):
        assert await database.count(table, f"app_id = '{doomed.app.id}'") == 0, table
    assert await database.count("outbox") == await database.count("api_keys") == 0
    assert await database.count("applications") == 2  # the bare row stays while a request may be on its way
    await erase_all(doomed, NOW + ERASURE_GRACE_MS)
    assert await database.count("applications") == 2
    await erase_all(doomed, NOW + ERASURE_GRACE_MS + 1)
    after = await dump(database)
    assert {name for name in names if name in after} == set()
    assert await world.store.get_message(world.scope, kept.id) == kept
    assert await world.store.erase_deleted(NOW + DAY, 10) == PruneReport()


async def test_it_goes_in_bounded_rounds(world, database):
    target = (await world.endpoint()).id
    sent = await world.accept(target, count=7)
    await world.record(*(Outcome(attempt(one, target)) for one in sent))
    await world.store.delete_application(world.scope, NOW)
    first = await world.store.erase_deleted(NOW, 3)
    assert (first.messages, first.attempts, first.more) == (3, 3, True)
    reports = await erase_all(world, limit=3)
    assert sum(report.messages for report in reports) == 4
    assert await database.count("messages") == await database.count("attempts") == 0


async def test_what_was_on_its_way_goes_too(world, database):
    """A request that was leased when its application went: its outcome comes later, and is erased with the rest."""
    target = (await world.endpoint()).id
    (leased,) = await world.free(target)
    await world.lease(target)
    (born,) = await world.accept(target)
    await world.store.delete_application(world.scope, NOW)
    await erase_all(world)
    assert await database.count("pending") == 1
    await world.write(
        outcomes=[
            Outcome(failure(leased, target), retry_at_ms=NOW, has_row=True),
            Outcome(failure(born, target), retry_at_ms=NOW),
        ],
        settled_batches=[row[0] for row in await database.fetch("SELECT id FROM hookline_batches")],
    )
    assert await database.count("pending") == await database.count("attempts") == 2
    await erase_all(world, NOW + ERASURE_GRACE_MS + 1)
    for table in ("pending", "attempts", "messages", "endpoints", "applications", "lanes", "batches"):
        assert await database.count(table) == 0, table


async def test_a_row_that_is_leased_keeps_the_application_until_it_is_free(world, database):
    target = (await world.endpoint()).id
    await world.free(target)
    await world.lease(target)
    await world.store.delete_application(world.scope, NOW)
    await erase_all(world, NOW + DAY)
    assert await database.count("applications") == 1
    await world.store.retire_node(world.node)
    await erase_all(world, NOW + DAY)
    await erase_all(world, NOW + DAY)
    assert await database.count("applications") == await database.count("pending") == 0


async def test_a_deleted_endpoint_forgets_what_it_was_told(world, database):
    endpoint = await world.endpoint(**FULL_ENDPOINT)
    (sent,) = await world.accept(endpoint.id)
    await world.record(Outcome(attempt(sent, endpoint.id, kind=Kind.SCHEDULED)))
    assert await world.store.delete_endpoint(world.scope, endpoint.id, NOW)
    [row] = await database.fetch(
        "SELECT url, description, secrets, headers, extras, policy, options, metadata, uid FROM hookline_endpoints"
    )
    assert row == ("", "", b"", b"", None, None, "{}", "{}", None)
    (view,) = await world.store.deliveries_of_message(world.scope, sent.id, NOW)
    assert view.state == "succeeded"


async def test_neighbours_and_other_organizations_keep_everything(world, doomed, database):
    await fill(doomed)
    neighbour = World(world.store)
    neighbour.node, neighbour.app = world.node, await world.store.create_application(application(uid="kept"))
    target = (await neighbour.endpoint()).id
    (sent,) = await neighbour.accept(target)
    await neighbour.record(Outcome(attempt(sent, target)))
    await neighbour.write(spills=[Spill(key(sent, target, Kind.MANUAL), neighbour.app.id, NOW + SECOND)])
    await doomed.store.delete_application(doomed.scope, NOW)
    await erase_all(doomed, NOW + DAY)
    assert await world.store.get_message(neighbour.scope, sent.id) == sent
    assert await database.count("pending") == await database.count("attempts") == 1
    assert await world.store.get_application(world.org, "kept")
    assert not await world.store.delete_application(AppScope("org_two", neighbour.app.id), NOW)
