"""Endpoints that are ordered by a value in the payload: one at a time for each value, all values side by side."""

from __future__ import annotations

from collections import defaultdict

import pytest

from hookline.egress import Request, Response
from hookline.model import Extras, Message
from integration.engine.rig import HANG, Rig, status

BY_CUSTOMER = {"ordered": True, "extras": Extras(order_key="customer.id")}


def of(customer: object, number: int = 0) -> bytes:
    return b'{"customer": {"id": "%b"}, "n": %d}' % (str(customer).encode(), number)


async def accept(rig: Rig, engine: object, *customers: str) -> dict[str, list[Message]]:
    """Accept a message for each, one after the other."""
    accepted: dict[str, list[Message]] = defaultdict(list)
    for number, customer in enumerate(customers):
        accepted[customer].append(await rig.accept(engine, payload=of(customer, number)))
    return accepted


def arrived(rig: Rig, name: str, messages: list[Message]) -> list[str]:
    wanted = {message.id for message in messages}
    return [one for one in rig.receivers.ids(name) if one in wanted]


def ids(messages: list[Message]) -> list[str]:
    return [message.id for message in messages]


async def test_each_key_goes_one_at_a_time_and_keys_go_side_by_side(rig):
    await rig.endpoint("keyed", **BY_CUSTOMER)
    rig.receivers.plan("keyed", HANG)
    engine = await rig.engine()
    accepted = await accept(rig, engine, "a", "b", "a", "c", "b", "a")
    heads = {accepted[customer][0].id for customer in "abc"}
    await rig.until(lambda: len(rig.receivers.open("keyed")) == 3)
    await rig.rounds()
    assert set(rig.receivers.ids("keyed")) == heads
    rig.receivers.plan("keyed", status(200))
    rig.receivers.release("keyed")
    await rig.until(rig.nothing_owed)
    for customer in "abc":
        assert arrived(rig, "keyed", accepted[customer]) == ids(accepted[customer])


async def test_a_failing_head_blocks_its_key_only_and_an_exhausted_one_is_skipped(rig):
    await rig.endpoint("keyed", schedule_s=(5,), **BY_CUSTOMER)

    def answer(request: Request) -> Response:
        rig.pulse()
        return status(500 if b'"n": 99' in request.body else 200)

    rig.receivers.script = answer
    engine = await rig.engine()
    first = await rig.accept(engine, payload=of("a", 99))
    accepted = await accept(rig, engine, "a", "b", "a", "b")
    for message in accepted["b"]:
        await rig.reach(message, "succeeded")
    assert await rig.state(first) in {"retrying", "leased"}
    assert [await rig.state(message) for message in accepted["a"]] == ["owed", "owed"]
    assert arrived(rig, "keyed", accepted["a"]) == []
    rig.clock.advance(6)
    await rig.reach(first, "exhausted")
    await rig.until(rig.nothing_owed)
    assert arrived(rig, "keyed", accepted["a"]) == ids(accepted["a"])


async def test_messages_without_the_value_are_a_key_of_their_own(rig):
    await rig.endpoint("keyed", **BY_CUSTOMER)
    rig.receivers.plan("keyed", HANG)
    engine = await rig.engine()
    without = [await rig.accept(engine, payload=b"{}"), await rig.accept(engine, payload=b'{"customer": 5}')]
    other = await rig.accept(engine, payload=of("a"))
    await rig.until(lambda: len(rig.receivers.open("keyed")) == 2)
    await rig.rounds()
    assert set(rig.receivers.ids("keyed")) == {without[0].id, other.id}
    rig.receivers.plan("keyed", status(200))
    rig.receivers.release("keyed")
    await rig.until(rig.nothing_owed)
    assert arrived(rig, "keyed", without) == ids(without)


async def test_a_key_goes_on_where_a_dead_node_left_it(rig):
    await rig.endpoint("keyed", **BY_CUSTOMER)
    rig.receivers.plan("keyed", HANG)
    dying = await rig.engine(own_store=True)
    accepted = await accept(rig, dying, "a", "a", "b", "b", "a")
    await rig.until(lambda: len(rig.receivers.open("keyed")) == 2)
    await rig.kill(dying)
    rig.receivers.plan("keyed", status(200))
    await rig.engine()
    await rig.until(rig.nothing_owed)
    for customer in "ab":
        in_order = list(dict.fromkeys(arrived(rig, "keyed", accepted[customer])))
        assert in_order == ids(accepted[customer])


async def test_a_resend_stands_beside_its_key(rig):
    await rig.endpoint("other")
    keyed = await rig.endpoint("keyed", **BY_CUSTOMER)
    engine = await rig.engine()
    done = await rig.accept(engine, payload=of("a"))
    await rig.reach(done, "succeeded")
    rig.receivers.plan("keyed", HANG)
    await rig.accept(engine, payload=of("a"))
    await rig.until(lambda: len(rig.receivers.open("keyed")) == 1)
    assert await rig.store.request_resend(rig.scope, done.id, keyed.id, rig.clock.now_ms())
    await rig.until(lambda: len(rig.receivers.open("keyed")) == 2)
    rig.receivers.release("keyed")
    await rig.until(rig.nothing_owed)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (BY_CUSTOMER, {"ordered": True, "extras": Extras()}),
        (BY_CUSTOMER, {"ordered": False, "extras": Extras()}),
        ({"ordered": True, "extras": Extras()}, BY_CUSTOMER),
        ({"ordered": False, "extras": Extras()}, BY_CUSTOMER),
    ],
    ids=["to-one-order", "to-none", "from-one-order", "from-none"],
)
async def test_the_order_of_a_live_endpoint_with_a_backlog_may_change(rig, before, after):
    """What was accepted in an order keeps it; all of it arrives, and so does what is accepted afterwards."""
    endpoint = await rig.endpoint("changing", **before)
    rig.receivers.plan("changing", HANG)
    engine = await rig.engine()
    old = await accept(rig, engine, "a", "b", "a", "b", "a")
    await rig.until(lambda: rig.receivers.open("changing"))
    await rig.change(endpoint, **after)
    new = await accept(rig, engine, "a", "b", "a", "a")
    rig.receivers.plan("changing", status(200))
    rig.receivers.release("changing")
    await rig.until(rig.nothing_owed)
    assert len(rig.receivers.ids("changing")) == 9
    if before["ordered"]:
        for customer in "ab":
            assert arrived(rig, "changing", old[customer]) == ids(old[customer])
    if after["ordered"]:
        for customer in "ab":
            assert arrived(rig, "changing", new[customer]) == ids(new[customer])


async def test_many_keys_under_a_bound_of_requests(rig):
    await rig.endpoint("keyed", **BY_CUSTOMER)
    engine = await rig.engine(lane_concurrency=4)
    customers = [str(number % 10) for number in range(60)]
    accepted = await accept(rig, engine, *customers)
    await rig.until(rig.nothing_owed)
    assert len(rig.receivers.ids("keyed")) == 60
    for messages in accepted.values():
        assert arrived(rig, "keyed", messages) == ids(messages)
    assert await rig.count("lanes") == 1  # nothing is left of the keys
    if not rig.url.startswith("sqlite"):
        await rig.until(lambda: _nothing_freed(rig))


async def _nothing_freed(rig: Rig) -> bool:
    return await rig.count("freed_keys") == 0
