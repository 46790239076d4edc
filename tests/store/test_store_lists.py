"""Lists: both directions, both orders, filters, short pages; views of deliveries; the backlog; the outbox."""

from __future__ import annotations

import pytest

from hookline.model import AttemptStatus, DeliveryState, EndpointStatus, Kind
from hookline.model.ids import BATCH
from hookline.store import (
    AppScope,
    AttemptCounts,
    DeliveryCounts,
    Disable,
    MessageFilter,
    MessageKey,
    NewMessage,
    Outcome,
    Page,
    Slice,
    Spill,
)
from support.store import HOUR, NOW, ORG, SECOND, World, application, attempt, endpoint, failure, key, message, new_id

NOTHING = MessageFilter()


@pytest.fixture
async def target(world: World) -> str:
    return (await world.endpoint()).id


async def messages_list(world: World, page: Page = Page(), where: MessageFilter = NOTHING):  # noqa: B008
    return await world.store.list_messages(world.scope, page, where)


async def keep(world: World, *kept) -> None:
    await world.write(messages=[NewMessage(one) for one in kept], batch_id=new_id(BATCH))


async def walk(read, *, limit: int, ascending: bool) -> list[str]:
    """Read all pages by `last_seen`, as a client does."""
    seen: list[str] = []
    after = None
    for _ in range(50):
        found = await read(Page(limit=limit, after=after, ascending=ascending))
        assert len(found.rows) <= limit
        seen += [row.id for row in found.rows]
        if found.done:
            return seen
        assert found.last_seen is not None
        assert found.last_seen != after
        after = found.last_seen
    raise AssertionError("the list never ends")


# --- pages


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize(
    "kind", ["messages", "attempts_of_message", "attempts_of_endpoint", "endpoints", "applications"]
)
async def test_pages_cover_a_list_in_order(world, kind, ascending):
    store, scope = world.store, world.scope
    target = (await world.endpoint()).id
    if kind == "messages":
        names = [one.id for one in await world.accept(target, count=7)]
        read = lambda page: store.list_messages(scope, page, NOTHING)  # noqa: E731
    elif kind == "endpoints":
        names = [target, *[(await world.endpoint()).id for _ in range(6)]]
        read = lambda page: store.list_endpoints(scope, page)  # noqa: E731
    elif kind == "applications":
        names = [world.app.id, *[(await store.create_application(application())).id for _ in range(6)]]
        read = lambda page: store.list_applications(world.org, page)  # noqa: E731
    else:
        (sent,) = await world.accept(target)
        tried = [failure(sent, target, number=number) for number in range(7)]
        await world.record(*(Outcome(one, late=True) for one in tried))
        names = [one.id for one in tried]
        if kind == "attempts_of_message":
            read = lambda page: store.list_attempts_of_message(scope, sent.id, page, NOTHING)  # noqa: E731
        else:
            read = lambda page: store.list_attempts_of_endpoint(scope, target, page, NOTHING)  # noqa: E731
    order = names if ascending else names[::-1]
    for limit in (1, 3, 7, 10):
        assert await walk(read, limit=limit, ascending=ascending) == order
    middle = order[3]
    forth = await read(Page(limit=2, after=middle, ascending=ascending))
    assert [row.id for row in forth.rows] == order[4:6]
    assert forth.done is False
    back = await read(Page(limit=2, before=middle, ascending=ascending))
    assert [row.id for row in back.rows] == order[1:3]
    assert back.done is False
    first = await read(Page(limit=5, before=middle, ascending=ascending))
    assert [row.id for row in first.rows] == order[:3]
    assert first.done is True
    assert (await read(Page(limit=5, after=order[-1], ascending=ascending))).rows == []
    assert (await read(Page(limit=5, after=order[-1], ascending=ascending))).done is True


async def test_newest_first_unless_told_otherwise(world, target):
    first, second = await world.accept(target, count=2)
    assert [one.id for one in (await messages_list(world)).rows] == [second.id, first.id]


async def test_a_full_page_that_is_the_last_one_is_done(world, target):
    await world.accept(target, count=3)
    assert (await messages_list(world, Page(limit=3))).done is True
    assert (await messages_list(world, Page(limit=2))).done is False


# --- filters of messages


async def filtered(world: World, **where) -> list[str]:
    return [one.id for one in (await messages_list(world, Page(ascending=True), MessageFilter(**where))).rows]


async def test_messages_by_event_type(world):
    a, b, c = (message(world.app.id, event_type=name) for name in ("a.x", "b.x", "c.x"))
    await keep(world, a, b, c)
    assert await filtered(world, event_types=("a.x",)) == [a.id]
    assert await filtered(world, event_types=("a.x", "c.x", "none")) == [a.id, c.id]
    assert await filtered(world, event_types=("a",)) == []
    assert await filtered(world, event_types=()) == []


async def test_messages_by_channel(world):
    one = message(world.app.id, channels=("north", "south"))
    two = message(world.app.id, channels=("southern",))
    await keep(world, one, two, message(world.app.id))
    assert await filtered(world, channel="south") == [one.id]
    assert await filtered(world, channel="north") == [one.id]
    assert await filtered(world, channel="southern") == [two.id]
    assert await filtered(world, channel="nort") == []
    assert await filtered(world, channel="north,south") in ([], [one.id])  # not a name; must not fail


async def test_messages_and_attempts_by_tag(world, target):
    one = message(world.app.id, target, tags=("blue", "très bien"))
    two = message(world.app.id, target, tags=("blueish",))
    await keep(world, one, two, message(world.app.id, target))
    assert await filtered(world, tag="blue") == [one.id]
    assert await filtered(world, tag="très bien") == [one.id]
    assert await filtered(world, tag="blueish") == [two.id]
    assert await filtered(world, tag="blue,très bien") in ([], [one.id])  # not a name; must not fail
    tried = [attempt(one, target), attempt(two, target)]
    await world.record(*(Outcome(made, late=True) for made in tried))
    page = Page(ascending=True)
    found = await world.store.list_attempts_of_endpoint(world.scope, target, page, MessageFilter(tag="blue"))
    assert found.rows == tried[:1]
    of_other = await world.store.list_attempts_of_message(world.scope, two.id, page, MessageFilter(tag="blue"))
    assert of_other.rows == []


async def test_messages_by_time(world):
    times = [NOW - 3 * HOUR, NOW - HOUR, NOW, NOW + HOUR]
    made = [message(world.app.id, at_ms=at) for at in times]
    await keep(world, *made)
    names = [one.id for one in made]
    assert await filtered(world, since_ms=NOW - HOUR) == names[1:]
    assert await filtered(world, since_ms=NOW - HOUR + 1) == names[2:]
    assert await filtered(world, until_ms=NOW) == names[:2]
    assert await filtered(world, until_ms=NOW + 1) == names[:3]
    assert await filtered(world, since_ms=NOW - HOUR, until_ms=NOW + HOUR) == names[1:3]


async def test_messages_by_endpoint(world, target):
    other = (await world.endpoint()).id
    (mine,) = await world.accept(target)
    (both,) = await world.accept(other, target)
    (many,) = await world.accept(*(f"ep_{number:04d}" for number in range(70)), target)
    await world.accept(other)
    assert await filtered(world, endpoint_id=target) == [mine.id, both.id, many.id]


async def test_filters_combine_with_pages(world):
    made = [message(world.app.id, event_type=("even", "odd")[number % 2]) for number in range(20)]
    await keep(world, *made)
    odd = [one.id for one in made[1::2]]
    where = MessageFilter(event_types=("odd",))
    read = lambda page: world.store.list_messages(world.scope, page, where)  # noqa: E731
    assert await walk(read, limit=3, ascending=True) == odd
    assert await walk(read, limit=3, ascending=False) == odd[::-1]
    back = await read(Page(limit=2, before=odd[5], ascending=True))
    assert [one.id for one in back.rows] == odd[3:5]


async def test_messages_of_another_application_are_not_listed(world, target):
    other = await world.store.create_application(application())
    theirs = await world.store.create_endpoint(endpoint(other.id))
    await keep(world, message(other.id, theirs.id))
    (mine,) = await world.accept(target)
    assert await filtered(world) == [mine.id]


async def test_a_message_is_found_by_its_event_id(world):
    one = message(world.app.id, event_id="evt-7")
    keys = (MessageKey("event:evt-7", b"f", NOW + SECOND),)
    await world.write(messages=[NewMessage(one, keys=keys)])
    assert await world.store.get_message(world.scope, "evt-7") == one
    assert await world.store.get_message(world.scope, one.id) == one
    assert await world.store.get_message(world.scope, "evt-8") is None


# --- attempts


async def test_attempts_by_what_came_back(world, target):
    (sent,) = await world.accept(target)
    ok = attempt(sent, target, response_status=204)
    moved = failure(sent, target, response_status=302)
    wrong = failure(sent, target, response_status=404)
    broken = failure(sent, target, response_status=503)
    silent = failure(sent, target, response_status=0, reason="timeout")
    canceled = attempt(sent, target, status=AttemptStatus.CANCELED, response_status=0)
    made = [ok, moved, wrong, broken, silent, canceled]
    await world.record(*(Outcome(one, late=True) for one in made))

    async def names(**where) -> list[str]:
        page, filters = Page(ascending=True), MessageFilter(**where)
        of_message = await world.store.list_attempts_of_message(world.scope, sent.id, page, filters)
        of_endpoint = await world.store.list_attempts_of_endpoint(world.scope, target, page, filters)
        assert of_message == of_endpoint
        return [one.id for one in of_message.rows]

    assert await names() == [one.id for one in made]
    assert await names(status=AttemptStatus.SUCCEEDED) == [ok.id]
    assert await names(status=AttemptStatus.FAILED) == [moved.id, wrong.id, broken.id, silent.id]
    assert await names(status=AttemptStatus.CANCELED) == [canceled.id]
    assert await names(status_class=200) == [ok.id]
    assert await names(status_class=300) == [moved.id]
    assert await names(status_class=400) == [wrong.id]
    assert await names(status_class=500) == [broken.id]
    assert await names(status_class=0) == [silent.id, canceled.id]
    assert await names(status_class=0, status=AttemptStatus.FAILED) == [silent.id]


async def test_attempts_by_time_event_type_and_channel(world, target):
    early, late = message(world.app.id, target, event_type="a"), message(world.app.id, target, channels=("north",))
    await keep(world, early, late)
    first = failure(early, target, at_ms=NOW)
    second = attempt(late, target, at_ms=NOW + HOUR)
    await world.record(Outcome(first), Outcome(second))

    async def names(**where) -> list[str]:
        found = await world.store.list_attempts_of_endpoint(world.scope, target, Page(), MessageFilter(**where))
        return [one.id for one in found.rows]

    assert await names() == [second.id, first.id]
    assert await names(event_types=("a",)) == [first.id]
    assert await names(channel="north") == [second.id]
    assert await names(since_ms=NOW + 1) == [second.id]
    assert await names(until_ms=NOW + HOUR) == [first.id]
    assert await names(event_types=("a",), channel="north") == []


async def test_attempts_of_a_message_by_endpoint(world, target):
    other = (await world.endpoint()).id
    (sent,) = await world.accept(target, other)
    mine, theirs = attempt(sent, target), attempt(sent, other)
    await world.record(Outcome(mine), Outcome(theirs))
    where = MessageFilter(endpoint_id=target)
    found = await world.store.list_attempts_of_message(world.scope, sent.id, Page(), where)
    assert found.rows == [mine]


async def test_attempts_belong_to_their_scope(world, target):
    from hookline.store import AppScope

    (sent,) = await world.accept(target)
    made = attempt(sent, target)
    await world.record(Outcome(made))
    neighbour = await world.store.create_application(application())
    for scope in (AppScope("org_two", world.app.id), AppScope(ORG, neighbour.id)):
        assert await world.store.get_attempt(scope, sent.id, made.id) is None
        assert (await world.store.list_attempts_of_message(scope, sent.id, Page(), NOTHING)).rows == []
        assert (await world.store.list_attempts_of_endpoint(scope, target, Page(), NOTHING)).rows == []
        assert (await world.store.list_messages(scope, Page(), NOTHING)).rows == []
    assert await world.store.get_attempt(world.scope, "msg_other", made.id) is None


async def test_the_last_attempt_of_a_delivery_that_goes_on(world, database):
    """Being sent, or waiting for its endpoint; not what ended, and not the attempts before."""
    on, off = await world.endpoint(), await world.endpoint()
    (sent,) = await world.accept(on.id, off.id)
    (ended,) = await world.accept(on.id)
    tried = [failure(sent, on.id, number=1), failure(sent, off.id, number=1), failure(ended, on.id, number=1)]
    await world.record(*(Outcome(one, retry_at_ms=NOW) for one in tried))
    await world.lease(on.id)
    again = failure(sent, on.id, number=2)
    await world.record(
        Outcome(again, retry_at_ms=NOW + HOUR, has_row=True), Outcome(failure(ended, on.id, final=True), has_row=True)
    )
    await world.set_status(off, EndpointStatus.PAUSED)

    async def names(unsettled: str, endpoint_id: str) -> list[str]:
        where = MessageFilter(status=AttemptStatus.FAILED, unsettled=unsettled)
        found = await world.store.list_attempts_of_endpoint(world.scope, endpoint_id, Page(), where)
        of_message = await world.store.list_attempts_of_message(world.scope, sent.id, Page(), where)
        assert [one.id for one in of_message.rows] == {"sending": [again.id], "pending": [tried[1].id]}[unsettled]
        return [one.id for one in found.rows]

    assert await names("sending", on.id) == [again.id]
    assert await names("pending", on.id) == []
    assert await names("sending", off.id) == []
    assert await names("pending", off.id) == [tried[1].id]


async def test_troubles_are_found_between_many_successes(world, target):
    sent = await world.accept(target, count=40)
    made = [failure(one, target) if number % 10 == 3 else attempt(one, target) for number, one in enumerate(sent)]
    await world.record(*(Outcome(one, late=True) for one in made))
    bad = [one.id for one in made[3::10]]
    where = MessageFilter(status=AttemptStatus.FAILED)
    read = lambda page: world.store.list_attempts_of_endpoint(world.scope, target, page, where)  # noqa: E731
    assert await walk(read, limit=3, ascending=True) == bad
    assert await walk(read, limit=3, ascending=False) == bad[::-1]
    back = await read(Page(limit=2, before=bad[0]))
    assert [one.id for one in back.rows] == bad[1:3][::-1]
    some = MessageFilter(status=AttemptStatus.FAILED, event_types=("order.created",))
    found = await world.store.list_attempts_of_endpoint(world.scope, target, Page(), some)
    assert [one.id for one in found.rows] == bad[::-1]


async def test_without_content_nothing_of_it_is_read(world, target):
    (sent,) = await world.accept(target)
    await world.record(Outcome(attempt(sent, target)))
    page = Page()
    messages = await world.store.list_messages(world.scope, page, NOTHING, with_content=False)
    assert [(one.id, one.payload) for one in messages.rows] == [(sent.id, b"")]
    for found in (
        await world.store.list_attempts_of_message(world.scope, sent.id, page, NOTHING, with_content=False),
        await world.store.list_attempts_of_endpoint(world.scope, target, page, NOTHING, with_content=False),
    ):
        assert [one.response_body for one in found.rows] == [b""]
    [only] = await world.store.get_messages(world.scope, [sent.id, "msg_none"], with_content=False)
    assert (only.id, only.payload) == (sent.id, b"")
    assert await world.store.get_messages(world.scope, [sent.id]) == [sent]
    assert await world.store.get_messages(AppScope("org_two", world.app.id), [sent.id]) == []


# --- messages at an endpoint


async def at_endpoint(world: World, endpoint_id: str, page: Page = Page(), **where):  # noqa: B008
    states = where.pop("states", None)
    return await world.store.list_messages_of_endpoint(
        world.scope, endpoint_id, page, MessageFilter(**where), states=states, now_ms=NOW
    )


async def test_messages_at_an_endpoint_and_where_they_stand(world, target):
    other = (await world.endpoint()).id
    ok, retrying, failed, owed = await world.accept(target, other, count=4)
    (many,) = await world.accept(*(f"ep_{number:04d}" for number in range(70)), target)
    (replayed,) = await world.accept(other)
    (asked,) = await world.accept(other)
    await world.accept(other)
    await world.record(
        Outcome(attempt(ok, target)),
        Outcome(failure(ok, other, final=True)),
        Outcome(failure(retrying, target), retry_at_ms=NOW + HOUR),
        Outcome(failure(failed, target, final=True)),
        Outcome(attempt(replayed, target, kind=Kind.MANUAL)),
    )
    await world.write(spills=[Spill(key(asked, target), world.app.id, NOW)])
    found = await at_endpoint(world, target)
    assert [(row.message.id, row.delivery.state.value) for row in found.rows] == [
        (asked.id, "owed"),
        (replayed.id, "succeeded"),
        (many.id, "owed"),
        (owed.id, "owed"),
        (failed.id, "exhausted"),
        (retrying.id, "retrying"),
        (ok.id, "succeeded"),
    ]
    assert found.rows[5].delivery.next_attempt_at_ms == NOW + HOUR
    assert found.rows[6].message == ok
    assert found.done

    async def names(**where) -> list[str]:
        return [row.message.id for row in (await at_endpoint(world, target, **where)).rows]

    assert await names(states={DeliveryState.SUCCEEDED}) == [replayed.id, ok.id]
    assert await names(states={DeliveryState.RETRYING, DeliveryState.EXHAUSTED}) == [failed.id, retrying.id]
    assert await names(states={DeliveryState.CANCELED}) == []
    assert await names(event_types=("other",)) == []
    assert await names(until_ms=NOW) == []


async def test_pages_of_messages_at_an_endpoint(world, target):
    other = (await world.endpoint()).id
    mine = []
    for _ in range(5):
        mine += await world.accept(target)
        await world.accept(other, count=2)
    await world.record(*(Outcome(attempt(one, target)) for one in mine[::2]))
    order = [one.id for one in mine][::-1]

    def read(states):
        async def fetch(page: Page):
            found = await at_endpoint(world, target, page, states=states)
            return Slice([row.message for row in found.rows], found.done, found.last_seen)

        return fetch

    for limit in (1, 2, 5):
        assert await walk(read(None), limit=limit, ascending=False) == order
        assert await walk(read({DeliveryState.SUCCEEDED}), limit=limit, ascending=False) == order[::2]
    back = await at_endpoint(world, target, Page(limit=2, before=order[3]))
    assert [row.message.id for row in back.rows] == order[1:3]
    assert back.done is False


async def test_messages_at_an_endpoint_belong_to_their_scope(world, target):
    await world.accept(target)
    for scope in (AppScope("org_two", world.app.id), AppScope(ORG, "app_other")):
        found = await world.store.list_messages_of_endpoint(scope, target, Page(), NOTHING, states=None, now_ms=NOW)
        assert found.rows == []


# --- counts


async def test_an_endpoint_is_counted(world, target):
    ok, retrying, failed, canceled, later = await world.accept(target, count=5)
    await world.record(
        Outcome(attempt(ok, target)),
        Outcome(failure(retrying, target), retry_at_ms=NOW),
        Outcome(failure(failed, target, number=1), retry_at_ms=NOW),
        Outcome(attempt(canceled, target, status=AttemptStatus.CANCELED, reason="payload_expunged")),
        Outcome(attempt(ok, (await world.endpoint()).id)),
    )
    await world.write(spills=[Spill(key(later, target), world.app.id, NOW + HOUR)])
    await world.lease(target, room=1)
    await world.record(Outcome(failure(failed, target, number=2, final=True), has_row=True))
    period = (NOW - HOUR, NOW + HOUR)
    counts = await world.store.count_attempts(world.scope, target, *period)
    assert counts == AttemptCounts(succeeded=1, failed=3, exhausted=1, canceled=1)
    counts = await world.store.count_deliveries(world.scope, target, *period, NOW)
    assert counts == DeliveryCounts(succeeded=1, pending=1, sending=1, exhausted=1, canceled=1)
    await world.set_status(await world.store.get_endpoint(world.scope, target), EndpointStatus.PAUSED)
    parked = await world.store.count_deliveries(world.scope, target, *period, NOW)
    assert parked.pending + parked.sending == 2
    assert parked.pending >= 1
    for before in ((NOW - 2 * HOUR, NOW - HOUR), (NOW + HOUR, NOW + 2 * HOUR)):
        assert await world.store.count_attempts(world.scope, target, *before) == AttemptCounts(0, 0, 0, 0)
        counts = await world.store.count_deliveries(world.scope, target, *before, NOW)
        assert counts == DeliveryCounts(0, 0, 0, 0, 0)


async def test_ordered_deliveries_are_counted(world):
    ordered = (await world.endpoint(ordered=True)).id
    await world.accept_ordered(ordered, count=3)
    await world.lease(ordered, ordered=True, room=1)
    counts = await world.store.count_deliveries(world.scope, ordered, NOW - HOUR, NOW + HOUR, NOW)
    assert counts == DeliveryCounts(0, 0, 3, 0, 0)


async def test_others_endpoints_are_not_counted(world, target):
    for scope in (AppScope("org_two", world.app.id), AppScope(ORG, "app_other")):
        assert await world.store.count_attempts(scope, target, NOW - HOUR, NOW + HOUR) is None
        assert await world.store.count_deliveries(scope, target, NOW - HOUR, NOW + HOUR, NOW) is None
    assert await world.store.count_attempts(world.scope, "ep_none", NOW - HOUR, NOW + HOUR) is None


# --- views


async def test_where_deliveries_stand(world):
    """One target for each state that a delivery can be in."""
    names = [(await world.endpoint()).id for _ in range(9)]
    owed, leased, retrying, parked, delayed, succeeded, exhausted, aborted, canceled = names
    (sent,) = await world.accept(*names)
    late = NOW + HOUR
    await world.write(
        outcomes=[
            Outcome(failure(sent, retrying, number=1), retry_at_ms=late),
            Outcome(failure(sent, parked, number=1), retry_at_ms=late),
            Outcome(failure(sent, succeeded, number=1), late=True),
            Outcome(attempt(sent, succeeded, number=2)),
            Outcome(failure(sent, exhausted, final=True)),
            Outcome(failure(sent, aborted, final=True, reason="gone", response_status=410)),
            Outcome(attempt(sent, canceled, status=AttemptStatus.CANCELED, reason="endpoint_deleted")),
        ],
        spills=[
            Spill(key(sent, leased), world.app.id, NOW, leased=True),
            Spill(key(sent, delayed), world.app.id, late),
        ],
        disables=[Disable(world.app.id, parked, "gone")],
    )
    views = await world.store.deliveries_of_message(world.scope, sent.id, NOW)
    assert [view.endpoint_id for view in views] == names
    assert {view.endpoint_id: (view.state.value, view.attempts, view.next_attempt_at_ms) for view in views} == {
        owed: ("owed", 0, None),
        leased: ("leased", 0, None),
        retrying: ("retrying", 1, late),
        parked: ("parked", 1, None),
        delayed: ("delayed", 0, late),
        succeeded: ("succeeded", 2, None),
        exhausted: ("exhausted", 1, None),
        aborted: ("aborted", 1, None),
        canceled: ("canceled", 0, None),
    }


async def test_a_manual_success_shows_and_a_manual_failure_does_not(world, target):
    lucky, unlucky = await world.accept(target, count=2)
    manual = {"kind": Kind.MANUAL, "number": -1}
    await world.record(*(Outcome(failure(one, target, final=True)) for one in (lucky, unlucky)))
    await world.record(
        Outcome(attempt(lucky, target, **manual)), Outcome(failure(unlucky, target, final=True, **manual))
    )
    for one, state in ((lucky, "succeeded"), (unlucky, "exhausted")):
        (view,) = await world.store.deliveries_of_message(world.scope, one.id, NOW)
        assert view.state == state


async def test_a_manual_delivery_on_its_way_changes_no_end(world, target):
    (sent,) = await world.accept(target)
    await world.record(Outcome(failure(sent, target, final=True)))
    await world.store.request_resend(world.scope, sent.id, target, NOW)
    (view,) = await world.store.deliveries_of_message(world.scope, sent.id, NOW)
    assert view.state == "exhausted"


async def test_a_success_stays_a_success_whatever_comes_after(world, target):
    """The schedule's own attempt was still on its way when the manual one succeeded."""
    (sent,) = await world.accept(target)
    await world.record(Outcome(attempt(sent, target, kind=Kind.MANUAL, number=-1), has_row=True))
    await world.record(Outcome(failure(sent, target, final=True)))
    (view,) = await world.store.deliveries_of_message(world.scope, sent.id, NOW)
    assert view.state == "succeeded"


async def test_a_message_of_nobody_has_no_deliveries(world):
    one = message(world.app.id)
    await world.write(messages=[NewMessage(one)])
    assert await world.store.deliveries_of_message(world.scope, one.id, NOW) == []
    assert await world.store.deliveries_of_message(world.scope, "msg_none", NOW) == []


# --- the backlog


async def test_the_backlog_counts_what_is_not_in_memory(world):
    busy, off = await world.endpoint(), await world.endpoint()
    await world.free(busy.id, due_at_ms=NOW - 7)
    await world.free(busy.id, due_at_ms=NOW - 5)
    await world.free(busy.id, due_at_ms=NOW + 1, count=3)
    (sent,) = await world.accept(busy.id)
    await world.write(spills=[Spill(key(sent, busy.id), world.app.id, NOW - 99, leased=True)])
    await world.free(off.id, due_at_ms=NOW - 100, count=4)
    await world.set_status(off, EndpointStatus.DISABLED)
    await world.store.resolve_batch(new_id(BATCH))  # a tombstone is no batch
    found = await world.store.backlog(NOW)
    assert (found.due, found.waiting, found.leased, found.parked) == (2, 3, 1, 4)
    assert (found.oldest_due_at_ms, found.batches) == (NOW - 7, 1)


async def test_no_backlog(world):
    found = await world.store.backlog(NOW)
    assert (found.due, found.waiting, found.leased, found.parked, found.oldest_due_at_ms, found.batches) == (
        *(0,) * 4,
        None,
        0,
    )


# --- the outbox


async def test_the_outbox_is_read_oldest_first_without_the_refused(world, database):
    await database.fetch(
        "INSERT INTO hookline_outbox (org_id, app, event_type, payload, event_id, channels) VALUES "
        "('org_one', 'acme', 'a.b', '{\"n\":1}', 'evt-1', 'x,y'), ('org_one', 'acme', 'c', '{}', NULL, NULL), "
        "('org_two', 'other', 'd', '', NULL, NULL)"
    )
    rows = await world.store.read_outbox(10)
    assert [row.event_type for row in rows] == ["a.b", "c", "d"]
    first = rows[0]
    assert (first.org_id, first.app, first.payload) == ("org_one", "acme", b'{"n":1}')
    assert (first.event_id, first.channels) == ("evt-1", ("x", "y"))
    assert (rows[1].event_id, rows[1].channels) == (None, ())
    assert await world.store.read_outbox(1) == rows[:1]
    await world.store.refuse_outbox(rows[0].id, "unknown application", NOW)
    assert await world.store.read_outbox(10) == rows[1:]
    assert await database.fetch("SELECT error, refused_at_ms FROM hookline_outbox WHERE refused_at_ms IS NOT NULL") == [
        ("unknown application", NOW)
    ]
