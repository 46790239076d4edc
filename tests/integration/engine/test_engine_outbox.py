"""The outbox: events written inside somebody else's transaction are taken once, whoever is faster, or refused aloud."""

from __future__ import annotations

import asyncio

import asyncpg
import msgspec
import pytest

from hookline.store import StoreUnavailableError
from integration.engine.rig import Rig
from support.store import ORG


async def put(rig: Rig, *, payload: str | bytes = '{"n":1}', app: str | None = None, **changes: object) -> None:
    """Write a row as an application does."""
    row = {"org_id": ORG, "app": app or rig.app.id, "event_type": "order.created", "payload": payload} | changes
    names = ", ".join(row)
    values = [value.encode() if name == "payload" and isinstance(value, str) else value for name, value in row.items()]
    if rig.url.startswith("sqlite"):
        sql = f"INSERT INTO hookline_outbox ({names}) VALUES ({', '.join('?' * len(row))})"
        await asyncio.to_thread(rig.fetch_from_file, sql, values)
        return
    connection = await asyncpg.connect(rig.url)
    marks = ", ".join(f"${number + 1}" for number in range(len(row)))
    await connection.execute(f"INSERT INTO hookline_outbox ({names}) VALUES ({marks})", *values)
    await connection.close()


async def _waiting(rig: Rig, count: int) -> bool:
    return await rig.count("outbox", "refused_at_ms IS NULL") == count


async def _refused(rig: Rig, count: int = 1) -> bool:
    return await rig.count("outbox", "refused_at_ms IS NOT NULL") == count


async def test_a_row_is_delivered_and_gone(rig):
    await rig.endpoint("good")
    await rig.engine()
    await put(rig, payload='{"from": "outbox"}')
    await rig.until(lambda: _waiting(rig, 0))
    assert await rig.count("messages") == 1
    await rig.until(rig.nothing_owed)
    assert [request.body for request in rig.receivers.calls("good")] == [b'{"from": "outbox"}']


async def test_the_row_goes_in_the_very_transaction_that_keeps_the_message(rig):
    """A commit that fails leaves the row; it is taken again."""
    await rig.endpoint("good")
    await put(rig)
    failed = []

    async def fail(change):
        if change.messages and len(failed) < 2:
            failed.append(change)
            raise StoreUnavailableError("away")

    rig.store.before["commit"] = fail
    await rig.engine()
    await rig.until(lambda: len(failed) == 1)
    assert await rig.count("outbox") == 1
    assert await rig.count("messages") == 0
    await rig.until(lambda: _waiting(rig, 0))
    await rig.until(rig.nothing_owed)
    assert await rig.count("messages") == len(rig.receivers.requests) == 1


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"app": "app_nobody"}, "no application 'app_nobody'"),
        ({"org_id": "org_else"}, "no application"),
        ({"event_type": "not an event type"}, "is not an event type"),
        ({"payload": "[1]"}, "not a JSON object"),
        ({"payload": "{"}, "not a JSON object"),
        ({"payload": b'{"n":"\xff"}'}, "not a JSON object"),
        ({"payload": '{"n":1e999}'}, "not a JSON object"),
        ({"payload": f'{{"n":{"[" * 2_000}{"]" * 2_000}}}'}, "not a JSON object"),
    ],
)
async def test_a_row_that_cannot_be_sent_is_kept_with_the_reason_and_holds_up_nobody(rig, row, says):
    await rig.endpoint("good")
    await put(rig, **row)
    await put(rig)
    await rig.engine()
    await rig.until(lambda: _refused(rig))
    await rig.until(lambda: _waiting(rig, 0))
    ((reason,),) = await rig.fetch("SELECT error FROM hookline_outbox")
    assert says in reason
    assert await rig.count("messages") == 1


async def test_a_row_that_the_database_refuses_is_refused_and_not_tried_for_ever(rig):
    await rig.endpoint("good")
    tries = []

    async def refuse(change):
        if any(new.message.payload == b'{"bad":1}' for new in change.messages):
            tries.append(change)
            raise ValueError("not this one")

    rig.store.before["commit"] = refuse
    await put(rig, payload='{"bad":1}')
    await put(rig)
    await rig.engine()
    await rig.until(lambda: _refused(rig))
    await rig.until(lambda: _waiting(rig, 0))
    seen = len(tries)
    await rig.rounds()
    assert len(tries) == seen
    assert await rig.count("messages") == 1


async def test_a_low_id_that_commits_late_is_still_taken(rig):
    """No cursor: a higher id was visible, taken and gone first."""
    await rig.endpoint("good")
    await rig.engine()
    if rig.url.startswith("sqlite"):
        await rig.fetch(
            f"INSERT INTO hookline_outbox (id, org_id, app, event_type, payload) VALUES (99, '{ORG}', "
            f"'{rig.app.id}', 'order.created', x'7b7d')"
        )
        await rig.until(lambda: _waiting(rig, 0))
        await rig.fetch(
            f"INSERT INTO hookline_outbox (id, org_id, app, event_type, payload) VALUES (5, '{ORG}', "
            f"'{rig.app.id}', 'order.created', x'7b7d')"
        )
    else:
        late = await asyncpg.connect(rig.url)
        transaction = late.transaction()
        await transaction.start()
        await late.execute(
            "INSERT INTO hookline_outbox (org_id, app, event_type, payload) VALUES ($1, $2, 'order.created', '{}')",
            ORG,
            rig.app.id,
        )
        await put(rig)
        await rig.until(lambda: _waiting(rig, 0))
        assert await rig.count("messages") == 1
        await transaction.commit()
        await late.close()
    await rig.until(lambda: _two_messages(rig))
    await rig.until(lambda: _waiting(rig, 0))


async def _two_messages(rig: Rig) -> bool:
    return await rig.count("messages") == 2


async def test_two_relays_take_each_row_once(rig):
    await rig.endpoint("good")
    for number in range(30):
        await put(rig, payload=f'{{"n":{number}}}')
    await rig.engine()
    await rig.engine()
    await rig.until(lambda: _waiting(rig, 0))
    await rig.until(rig.nothing_owed)
    assert await rig.count("messages") == 30
    assert sorted(request.body for request in rig.receivers.requests) == sorted(
        f'{{"n":{number}}}'.encode() for number in range(30)
    )


async def test_more_rows_than_a_chunk_do_not_wait_for_the_next_poll(rig):
    await rig.endpoint("good")
    for number in range(12):
        await put(rig, payload=f'{{"n":{number}}}')
    await rig.engine(relay_chunk=5, relay_poll_s=30.0)
    await rig.until(lambda: _waiting(rig, 0))
    assert await rig.count("messages") == 12


async def test_a_row_whose_event_id_is_known_already_is_a_duplicate(rig):
    await rig.endpoint("good")
    await rig.engine()
    await put(rig, event_id="once")
    await rig.until(lambda: _waiting(rig, 0))
    await put(rig, event_id="once")
    await rig.until(lambda: _waiting(rig, 0))
    await rig.until(rig.nothing_owed)
    assert await rig.count("messages") == len(rig.receivers.requests) == 1


async def test_a_row_names_its_application_by_uid_as_well_and_keeps_its_channels(rig):
    await rig.store.update_application(msgspec.structs.replace(rig.app, uid="customer-7"))
    await rig.endpoint("north", channels=("north",))
    await rig.endpoint("south", channels=("south",))
    await rig.engine()
    await put(rig, app="customer-7", channels="north")
    await rig.until(lambda: _waiting(rig, 0))
    await rig.until(rig.nothing_owed)
    assert len(rig.receivers.calls("north")) == 1
    assert not rig.receivers.calls("south")
