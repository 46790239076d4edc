"""Whatever happens, a message that was acknowledged reaches an end that everybody can see.

Each seed is a world of two nodes, six endpoints and one minute of trouble, in virtual time. A failure names its seed:

    HOOKLINE_SIMULATION_SEEDS=17 pytest tests/simulation          one seed again
    HOOKLINE_SIMULATION_SEEDS=0-999 pytest tests/simulation       many more
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable

import pytest

from hookline.model import AttemptStatus, DeliveryState
from hookline.model.delivery import ENDS
from hookline.store import MessageFilter, Page
from simulation.virtual import VirtualLoop
from simulation.world import CALM_RATE, World

TROUBLED_S = 60.0
HEALING_S = 400.0


def seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


SEEDS = seeds(os.environ.get("HOOKLINE_SIMULATION_SEEDS", "0-5"))


def simulate(seed: int, trouble: float, story: Callable[[World], Awaitable[None]]) -> None:
    rng = random.Random(seed)
    loop = VirtualLoop(rng)
    failures: list[str] = []
    loop.set_exception_handler(lambda _loop, context: failures.append(repr(context)))

    async def run() -> None:
        world = World(loop, rng, trouble)
        await world.build()
        try:
            await story(world)
        finally:
            await world.end()

    try:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(run())
    except BaseException as error:
        error.add_note(f"HOOKLINE_SIMULATION_SEEDS={seed} repeats it (virtual second {loop.now_s:.1f})")
        raise
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    assert not failures, f"seed {seed}: {failures}"


async def publish_for(world: World, seconds: float) -> None:
    """Messages in bursts."""
    ends_at_s = world.loop.now_s + seconds
    sending: list[asyncio.Task[None]] = []
    while world.loop.now_s < ends_at_s:
        sending += [asyncio.create_task(world.publish()) for _ in range(world.rng.choice((1, 1, 3, 12)))]
        await asyncio.sleep(world.rng.uniform(0.05, 3.0))
    await asyncio.gather(*sending)


async def settle(world: World) -> None:
    async with asyncio.timeout(HEALING_S):
        while not await world.owes_nothing():
            await asyncio.sleep(1.0)


async def check_ends(world: World) -> None:
    """The ledger against the database."""
    names = {one.id: name for name, one in world.endpoints.items()}
    for message in world.receipts:
        views = await world.store.deliveries_of_message(world.scope, message.id, world.clock.now_ms())
        assert {view.endpoint_id for view in views} == set(message.targets)
        for view in views:
            assert view.state in ENDS, (message.id, names[view.endpoint_id], view)
            if view.state is DeliveryState.SUCCEEDED:
                assert world.welcomed[names[view.endpoint_id], message.id] >= 1
    for (name, message_id), count in world.welcomed.items():
        if count and message_id in {message.id for message in world.receipts}:
            views = await world.store.deliveries_of_message(world.scope, message_id, world.clock.now_ms())
            (view,) = [view for view in views if names[view.endpoint_id] == name]
            assert view.state in ENDS


def in_order(world: World, name: str) -> bool:
    arrived = [one for one in world.first_arrivals[name] if one in set(world.committed)]
    return arrived == sorted(arrived, key=world.committed.index)


def in_order_of_keys(world: World) -> bool:
    places = {message_id: place for place, message_id in enumerate(world.committed)}
    arrived: dict[bytes, list[int]] = {}
    for message_id in world.first_arrivals["keyed"]:
        if message_id in places:
            arrived.setdefault(world.keys[message_id], []).append(places[message_id])
    return all(one == sorted(one) for one in arrived.values())


def keeps_its_rate(world: World) -> bool:
    moments = world.moments["calm"]
    return all(sum(1 for other in moments if moment <= other < moment + 1) <= CALM_RATE + 1 for moment in moments)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_acknowledged_message_is_lost_in_a_minute_of_trouble(seed):
    async def story(world: World) -> None:
        publishing = asyncio.create_task(publish_for(world, TROUBLED_S))
        while world.loop.now_s < TROUBLED_S:
            await asyncio.sleep(world.rng.uniform(1.0, 15.0))
            await world.misfortune()
        await publishing
        await world.heal()
        await settle(world)
        await check_ends(world)
        assert world.receipts
        assert in_order(world, "turns")
        assert in_order_of_keys(world)
        assert keeps_its_rate(world)

    simulate(seed, 1.0, story)


@pytest.mark.parametrize("seed", SEEDS)
def test_in_good_times_every_message_arrives_exactly_once(seed):
    """No crash and no lost lease: no duplicates, however slow or busy everything is."""

    async def story(world: World) -> None:
        await publish_for(world, TROUBLED_S)
        await settle(world)
        await check_ends(world)
        expected = {(name, message.id): 1 for message in world.receipts for name in world.endpoints}
        assert dict(world.arrivals) == expected
        assert in_order(world, "turns")
        assert in_order_of_keys(world)
        assert keeps_its_rate(world)

    simulate(seed, 0.0, story)


@pytest.mark.parametrize("seed", SEEDS)
def test_receivers_in_trouble_get_exactly_their_attempts(seed):
    """Receivers misbehave, nodes and database do not: every arrival is a recorded attempt."""

    async def story(world: World) -> None:
        world.trouble = 0.0
        for name in ("good", "turns", "slow"):
            world._bad_until_s[name] = world.rng.uniform(1.0, 40.0)
        await publish_for(world, TROUBLED_S)
        world._bad_until_s.clear()
        await settle(world)
        await check_ends(world)
        for message in world.receipts:
            page = await world.store.list_attempts_of_message(
                world.scope, message.id, Page(limit=250, ascending=True), MessageFilter()
            )
            for name, one in world.endpoints.items():
                made = [attempt for attempt in page.rows if attempt.endpoint_id == one.id]
                assert world.arrivals[name, message.id] == len(made)
                assert sorted(attempt.number for attempt in made) == list(range(1, len(made) + 1))
                finals = [attempt for attempt in made if attempt.final]
                assert [attempt.number for attempt in finals] == [len(made)]
                assert len(made) <= 4
                assert finals[0].status is AttemptStatus.SUCCEEDED or len(made) == 4
        assert in_order(world, "turns")
        assert in_order_of_keys(world)
        assert keeps_its_rate(world)

    simulate(seed, 0.0, story)
