"""Payloads and answers that are removed by request: at once, with what is owed of them, and nothing else."""

from __future__ import annotations

import pytest

from hookline.model import EndpointStatus, Kind
from hookline.store import AppScope, Outcome, Spill
from support.store import DAY, NOW, World, application, attempt, failure, key


@pytest.fixture
async def target(world: World) -> str:
    return (await world.endpoint()).id


async def states(world: World, message_id: str) -> list[str]:
    return [view.state.value for view in await world.store.deliveries_of_message(world.scope, message_id, NOW)]


async def test_a_payload_goes_and_its_message_stays(world, database, target):
    (doomed,) = await world.accept(target)
    (kept,) = await world.accept(target)
    await world.record(Outcome(attempt(doomed, target)), Outcome(attempt(kept, target)))
    assert await world.store.expunge_messages(world.scope, [doomed.id, "msg_none"], NOW) == {doomed.id}
    emptied = await world.store.get_message(world.scope, doomed.id)
    assert (emptied.payload, emptied.payload_expired) == (b"", True)
    assert (emptied.event_type, emptied.targets) == (doomed.event_type, doomed.targets)
    assert await world.store.get_message(world.scope, kept.id) == kept
    assert await states(world, doomed.id) == ["succeeded"]
    assert await database.count("attempts") == 2
    assert await world.store.expunge_messages(world.scope, [doomed.id], NOW) == {doomed.id}
    assert await database.count("attempts") == 2


async def test_what_is_owed_is_canceled(world, database, target):
    """One target succeeded, one waits for its retry, one is leased, one is owed by a batch, and one was asked for."""
    waiting, leased, owed, asked = [(await world.endpoint()).id for _ in range(4)]
    (sent,) = await world.accept(target, waiting, leased, owed, asked)
    await world.record(
        Outcome(attempt(sent, target)),
        Outcome(failure(sent, waiting), retry_at_ms=NOW + DAY),
        Outcome(failure(sent, asked, final=True)),
    )
    await world.write(spills=[Spill(key(sent, leased), world.app.id, NOW, leased=True)])
    assert await world.store.request_resend(world.scope, sent.id, asked, NOW)
    await world.store.expunge_messages(world.scope, [sent.id], NOW)
    assert await database.count("pending") == 0
    rows = await database.fetch(
        "SELECT endpoint_id, kind FROM hookline_attempts "
        "WHERE status = 4 AND final = (1 = 1) AND reason = 'payload_expunged' AND detail <> ''"
    )
    assert sorted(rows) == sorted(
        [(waiting, "scheduled"), (leased, "scheduled"), (owed, "scheduled"), (asked, "manual")]
    )
    assert await states(world, sent.id) == ["succeeded", "canceled", "canceled", "canceled", "exhausted"]
    assert await world.due() == []


async def test_it_cannot_be_sent_again(world, database, target):
    (sent,) = await world.accept(target)
    await world.store.expunge_messages(world.scope, [sent.id], NOW)
    assert not await world.store.request_resend(world.scope, sent.id, target, NOW)
    assert await database.count("pending") == 0


@pytest.mark.parametrize("is_ordered", [False, True])
async def test_a_request_that_was_on_its_way_comes_back_to_nothing(world, database, is_ordered):
    """It failed after its payload was gone: its row is never given out, and holds up nobody."""
    target = (await world.endpoint(ordered=is_ordered)).id
    if is_ordered:
        sent, behind = await world.accept_ordered(target, count=2)
        await world.lease(target, ordered=True, room=1)
        outcome = Outcome(failure(sent, target), retry_at_ms=NOW, has_row=True)
    else:
        (sent,) = await world.accept(target)
        (behind,) = await world.free(target)
        outcome = Outcome(failure(sent, target), retry_at_ms=NOW)
    await world.store.expunge_messages(world.scope, [sent.id], NOW)
    await world.record(outcome)
    claimed = await world.lease(target, ordered=is_ordered)
    assert [one.message.id for one in claimed] == [behind.id]
    assert await database.count("pending", f"message_id = '{sent.id}'") == 0
    assert await states(world, sent.id) == ["canceled"]


async def test_a_late_success_is_still_one(world, target):
    (sent,) = await world.accept(target)
    await world.store.expunge_messages(world.scope, [sent.id], NOW)
    await world.record(Outcome(attempt(sent, target), late=True))
    assert await states(world, sent.id) == ["succeeded"]


async def test_what_waits_for_later_or_for_its_endpoint_goes_too(world, database, target):
    (parked,) = await world.free(target)
    await world.set_status(await world.store.get_endpoint(world.scope, target), EndpointStatus.PAUSED)
    await world.store.expunge_messages(world.scope, [parked.id], NOW)
    assert await database.count("pending") == 0
    assert await states(world, parked.id) == ["canceled"]


async def test_others_cannot(world, target):
    (sent,) = await world.accept(target)
    neighbour = await world.store.create_application(application())
    for scope in (AppScope("org_other", world.app.id), AppScope("org_one", neighbour.id)):
        assert await world.store.expunge_messages(scope, [sent.id], NOW) == set()
    assert await world.store.get_message(world.scope, sent.id) == sent


async def test_listeners_are_told_to_let_go(world, target):
    heard: list[tuple[str, str]] = []
    world.store.subscribe(lambda kind, identifier: heard.append((kind, identifier)))
    (sent,) = await world.accept(target)
    await world.store.expunge_messages(world.scope, [sent.id], NOW)
    import asyncio

    async with asyncio.timeout(10):
        while ("expunged", world.app.id) not in heard:
            await asyncio.sleep(0.01)


async def test_an_answer_is_replaced(world, target):
    (sent,) = await world.accept(target)
    one, two = attempt(sent, target, kind=Kind.MANUAL), attempt(sent, target)
    await world.record(Outcome(one), Outcome(two))
    assert await world.store.expunge_attempt(world.scope, sent.id, one.id, b"gone")
    assert (await world.store.get_attempt(world.scope, sent.id, one.id)).response_body == b"gone"
    assert await world.store.get_attempt(world.scope, sent.id, two.id) == two
    assert not await world.store.expunge_attempt(world.scope, sent.id, "atmpt_none", b"gone")
    assert not await world.store.expunge_attempt(world.scope, "msg_none", two.id, b"gone")
    assert not await world.store.expunge_attempt(AppScope("org_other", world.app.id), sent.id, two.id, b"gone")
    assert not await world.store.expunge_attempt(AppScope("org_one", "app_other"), sent.id, two.id, b"gone")
    assert await world.store.get_attempt(world.scope, sent.id, two.id) == two


async def test_a_message_without_its_content(world, target):
    (sent,) = await world.accept(target, event_id="evt")
    found = await world.store.get_message(world.scope, sent.id, with_content=False)
    assert (found.id, found.payload, found.payload_expired) == (sent.id, b"", False)
