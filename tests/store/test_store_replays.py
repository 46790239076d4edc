"""What tasks read of messages: where each stands with an endpoint, what has contents, and how many there are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hookline.model import AttemptStatus, DeliveryState, Endpoint, EndpointStatus, Kind, Message
from hookline.store import NewMessage, Outcome, Store
from hookline.store.tasks import Candidate, Expunge, MessageWindow, Replay, TaskStep
from store.test_store_tasks import claim, create
from support.store import DAY, HOUR, NOW, SECOND, World, attempt, failure, message

S = DeliveryState
WINDOW = MessageWindow.between(NOW - HOUR, NOW + HOUR)


async def judge(world: World, endpoint: Endpoint, window: MessageWindow = WINDOW, limit: int = 100) -> list[Candidate]:
    return await world.store.list_candidates(world.scope, endpoint.id, window, world.now_ms, limit)


async def state(world: World, endpoint: Endpoint, of: Message) -> DeliveryState | None:
    (found,) = [one for one in await judge(world, endpoint) if one.message_id == of.id]
    return found.state


async def test_each_state_of_a_delivery(world: World) -> None:
    here, there = await world.endpoint(), await world.endpoint()
    (owed,) = await world.accept(here.id)
    (elsewhere,) = await world.accept(there.id)
    (waiting,) = await world.free(here.id, due_at_ms=NOW + SECOND)
    (due,) = await world.free(here.id)
    succeeded, exhausted, aborted, canceled, retrying = await world.accept(here.id, count=5)
    await world.record(
        Outcome(attempt(succeeded, here.id)),
        Outcome(failure(exhausted, here.id, final=True, response_status=503)),
        Outcome(failure(aborted, here.id, final=True, reason="gone", response_status=410)),
        Outcome(attempt(canceled, here.id, status=AttemptStatus.CANCELED, reason="x", response_status=0)),
        Outcome(failure(retrying, here.id), retry_at_ms=NOW + 5),
    )
    expected = {
        owed: S.OWED,
        elsewhere: None,
        waiting: S.DELAYED,
        due: S.OWED,
        succeeded: S.SUCCEEDED,
        exhausted: S.EXHAUSTED,
        aborted: S.ABORTED,
        canceled: S.CANCELED,
        retrying: S.RETRYING,
    }
    found = {one.message_id: one for one in await judge(world, here)}
    assert {of.id: found[of.id].state for of in expected} == {of.id: standing for of, standing in expected.items()}
    assert list(found) == sorted(found)
    classes = {of.id: found[of.id].status_classes for of in (succeeded, exhausted, aborted, canceled, owed)}
    assert list(classes.values()) == [{200}, {500}, {400}, set(), set()]
    await world.set_status(here, EndpointStatus.DISABLED)
    assert await state(world, here, due) is S.PARKED


async def test_a_failure_by_hand_changes_nothing_unless_nothing_else_was_tried(world: World) -> None:
    here, there = await world.endpoint(), await world.endpoint()
    (meant,) = await world.accept(here.id)
    (unmeant,) = await world.accept(there.id)
    for of in (meant, unmeant):
        await world.store.request_resend(world.scope, of.id, here.id, NOW)
    resends = [one for one in await judge(world, here) if one.message_id in {meant.id, unmeant.id}]
    assert [(one.state, one.resend_waits) for one in resends] == [(S.OWED, True), (S.OWED, True)]
    await world.lease(here.id)
    failures = [failure(of, here.id, final=True, kind=Kind.MANUAL, number=-1) for of in (meant, unmeant)]
    await world.record(*(Outcome(one, has_row=True) for one in failures))
    assert await state(world, here, meant) is S.OWED
    assert await state(world, here, unmeant) is S.EXHAUSTED
    assert not any(one.resend_waits for one in await judge(world, here))


async def test_what_is_put_back_is_on_its_way_again_and_can_end_otherwise(world: World) -> None:
    here = await world.endpoint()
    (of,) = await world.accept(here.id)
    await world.record(Outcome(failure(of, here.id, final=True)))
    assert await state(world, here, of) is S.EXHAUSTED
    await create(world.store)
    (task,) = await claim(world.store)
    effect = Replay(world.scope, here.id, Kind.SCHEDULED, [of.id])
    await world.store.advance_task(task.lease, TaskStep({}, effect=effect), NOW)
    assert await state(world, here, of) is S.OWED
    (view,) = await world.store.deliveries_of_message(world.scope, of.id, NOW)
    assert view.state is S.OWED
    await world.lease(here.id)
    assert await state(world, here, of) is S.LEASED
    await world.record(Outcome(attempt(of, here.id), has_row=True))
    assert await state(world, here, of) is S.SUCCEEDED


async def test_endpoints_that_got_what_was_not_meant_for_them_are_shown(world: World) -> None:
    here = await world.endpoint()
    (of,) = await world.accept()
    assert await world.store.deliveries_of_message(world.scope, of.id, NOW) == []
    await create(world.store)
    (task,) = await claim(world.store)
    effect = Replay(world.scope, here.id, Kind.SCHEDULED, [of.id])
    await world.store.advance_task(task.lease, TaskStep({}, effect=effect), NOW)
    (waiting,) = await world.store.deliveries_of_message(world.scope, of.id, NOW)
    assert (waiting.endpoint_id, waiting.state) == (here.id, S.OWED)
    await world.lease(here.id)
    await world.record(Outcome(failure(of, here.id, final=True), has_row=True))
    (ended,) = await world.store.deliveries_of_message(world.scope, of.id, NOW)
    assert (ended.endpoint_id, ended.state, ended.attempts) == (here.id, S.EXHAUSTED, 1)


async def test_a_message_for_later_stays_one_for_later(world: World) -> None:
    here = await world.endpoint()
    later = message(world.app.id, deliver_at_ms=NOW + HOUR)
    await world.write(messages=[NewMessage(later)])
    await create(world.store)
    (task,) = await claim(world.store)
    effect = Replay(world.scope, here.id, Kind.SCHEDULED, [later.id])
    await world.store.advance_task(task.lease, TaskStep({}, effect=effect), NOW)
    assert await world.lease(here.id) == []
    world.now_ms = NOW + HOUR
    assert [one.message.id for one in await world.lease(here.id)] == [later.id]


async def test_windows_go_on_by_id_and_tell_what_is_inside_by_time(world: World) -> None:
    here = await world.endpoint()
    made = [
        (await world.accept(here.id, at_ms=at_ms))[0]
        for at_ms in (NOW - 2 * DAY, NOW - HOUR - 1, NOW - HOUR, NOW, NOW + HOUR - 1, NOW + HOUR, NOW + 2 * DAY)
    ]
    found = await judge(world, here)
    assert [(one.message_id, one.in_window) for one in found] == [
        (of.id, index in {1, 2, 3}) for index, of in enumerate(made[1:6])
    ]
    assert await world.store.count_window(world.scope, WINDOW, 5) == 5
    assert await world.store.count_window(world.scope, WINDOW, 4) is None
    rest = MessageWindow.between(NOW - HOUR, NOW + HOUR, found[1].message_id)
    assert [one.message_id for one in await judge(world, here, rest, limit=2)] == [made[3].id, made[4].id]


async def test_names_and_many_targets(world: World) -> None:
    here = await world.endpoint()
    many = [f"ep_{number:026d}" for number in range(100)]
    (inside,) = await world.accept(*many, here.id, channels=("eu", "us"), tags=("a", "b"))
    await world.accept(*many)
    found = await judge(world, here)
    assert [(one.message_id == inside.id, one.state) for one in found] == [(True, S.OWED), (False, None)]
    assert (found[0].channels, found[0].tags, found[0].event_type) == (("eu", "us"), ("a", "b"), "order.created")


async def test_other_tenants_messages_are_not_there(world: World) -> None:
    here = await world.endpoint()
    await world.accept(here.id)
    other = msgspec.structs.replace(world.scope, org_id="org_other")
    assert await world.store.list_candidates(other, here.id, WINDOW, NOW, 10) == []
    assert await world.store.list_contents(other, WINDOW, 10) == []
    assert (await world.store.count_usage(other, WINDOW, 10)).looked_at == 0


async def test_contents_and_usage(world: World) -> None:
    here = await world.endpoint()
    first, second, third = await world.accept(here.id, count=3)
    (early,) = await world.accept(here.id, at_ms=NOW - HOUR - 1, event_type="too.early")
    (other,) = await world.accept(event_type="other.type")
    await world.record(
        Outcome(attempt(first, here.id)),
        Outcome(failure(second, here.id), retry_at_ms=NOW),
        Outcome(failure(second, here.id, final=True), has_row=True),
        Outcome(attempt(third, here.id, status=AttemptStatus.CANCELED, reason="x")),
        Outcome(attempt(early, here.id)),
    )
    contents = await world.store.list_contents(world.scope, WINDOW, 10)
    assert contents == [(early.id, False), *((of.id, True) for of in (first, second, third, other))]
    usage = await world.store.count_usage(world.scope, WINDOW, 10)
    assert (usage.looked_at, usage.done, usage.last) == (5, True, other.id)
    assert (usage.messages, usage.attempts, usage.succeeded, usage.failed, usage.canceled) == (4, 3, 1, 2, 1)
    assert usage.by_event_type == {"order.created": 3, "other.type": 1}
    part = await world.store.count_usage(world.scope, WINDOW, 2)
    assert (part.looked_at, part.done, part.last, part.messages) == (2, False, first.id, 1)


@pytest.mark.parametrize("ending", ["expiry", "expunge"])
async def test_an_emptied_payload_ends_everything_that_is_owed_of_it(world: World, ending: str) -> None:
    """Also what a replay put back on the schedule, and what was never meant for its endpoint."""
    here, other = await world.endpoint(), await world.endpoint()
    fields: dict[str, Any] = {"payload_expires_at_ms": NOW} if ending == "expiry" else {}
    (of,) = await world.accept(here.id, **fields)
    await world.record(Outcome(failure(of, here.id, final=True)))
    await create(world.store)
    (task,) = await claim(world.store)
    for endpoint in (here, other):
        effect = Replay(world.scope, endpoint.id, Kind.SCHEDULED, [of.id])
        await world.store.advance_task(task.lease, TaskStep({}, effect=effect), NOW)
    await empty(world.store, world, task.lease, of, ending)
    views = await world.store.deliveries_of_message(world.scope, of.id, NOW)
    assert {view.endpoint_id: view.state for view in views} == {here.id: S.CANCELED, other.id: S.CANCELED}


async def empty(store: Store, world: World, lease: Any, of: Message, ending: str) -> None:
    if ending == "expiry":
        assert (await store.expire_payloads(NOW, 10)).payloads == 1
    else:
        step = TaskStep({}, effect=Expunge(world.scope, [of.id]))
        assert (await store.advance_task(lease, step, NOW)).affected == 3
