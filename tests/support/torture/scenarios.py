"""Kills at the worst moments, each a scenario that a world under load goes through.

Named crash points (`hookline.crashpoints`) take the process down from inside, at a place that a kill from outside
would seldom meet. The others cannot be had with a kill at all: an answer that is lost on the wire, a node that comes
back from the dead, several that take over from one at the same moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from support.tcp_proxy import Fate
from support.torture.ledger import Recovery
from support.torture.world import World

#: point -> the highest arrival at it that kills
POINTS = {
    "before_commit": 30,
    "after_commit": 30,
    "after_send_before_record": 50,
    "during_rescue": 1,
    "after_rescue_step": 1,
}
RESCUES = frozenset({"during_rescue", "after_rescue_step"})
# A lease, the round in which others notice, and the time for which PostgreSQL lets a frozen node hold its row (15 s).
TAKEN_OVER_TIMEOUT_S = 40.0
EVENT_TIMEOUT_S = 30.0
LIVES = 5  # in a crash loop; more than a delivery may lose before it is given up as poison
BACKLOG = 25


async def die_at(world: World, point: str) -> None:
    """Kill a node under load, let its next life end at `point`, and start it again."""
    await world.flow(20)
    world.ledger.begin_recovery()
    victim, others = world.nodes[-1], world.nodes[:-1]
    await victim.kill()
    for other in others if point in RESCUES else ():
        await other.kill()  # or it would be the one who rescues
    victim.spawn(HOOKLINE_CRASH_AT=f"{point}:{world.rng.randint(1, POINTS[point])}")
    await victim.await_death()
    world.ledger.begin_recovery()
    await world.start_nodes()


async def crash_in_a_loop(world: World) -> None:
    """Kill the only node each time it has just begun with a slow endpoint's backlog: those behind must not suffer."""
    ledger = world.ledger
    publisher = world.add_publisher(f"chores{len(ledger.sent)}", ("chore.queued",), pause_s=0.01, keyed=True)
    await ledger.until(lambda: _count(ledger.acked.values(), world, "chore.queued") >= BACKLOG, EVENT_TIMEOUT_S)
    publisher.stop()
    for _ in range(LIVES):
        begun = _count_arrivals(world, "sluggish")
        assert await ledger.until(lambda begun=begun: _count_arrivals(world, "sluggish") > begun, TAKEN_OVER_TIMEOUT_S)
        ledger.begin_recovery()
        await world.nodes[0].kill()
        await world.nodes[0].start()


def _count(numbers: Iterable[int], world: World, event_type: str) -> int:
    return sum(world.ledger.sent[number].event_type == event_type for number in numbers)


def _count_arrivals(world: World, target: str) -> int:
    return sum(count for (_, name), count in world.ledger.arrivals.items() if name == target)


async def lose_commit_answer(world: World) -> None:
    """Cut the connection at COMMIT: after the server has done it, or before it has heard of it."""
    assert world.proxy is not None, "needs Options(proxied=True)"
    await world.flow(world.rng.randint(1, 20))
    world.ledger.begin_recovery()
    world.proxy.watch(b"COMMIT", world.rng.choice((Fate.SWALLOW_ANSWER, Fate.SWALLOW_ANSWER, Fate.CUT)))
    async with asyncio.timeout(EVENT_TIMEOUT_S):
        await world.proxy.happened.wait()


async def rescue_at_once(world: World) -> None:
    """Kill one of several nodes and let all the others take over what it owed."""
    assert len(world.nodes) > 2, "two must be left to rescue"
    await world.flow(30)
    victim = world.rng.choice(world.nodes)
    recovery = world.ledger.begin_recovery()
    await victim.kill()
    await _taken_over(world, recovery)
    await victim.start()


async def return_after_lease(world: World) -> None:
    """Freeze a node until the others have delivered what it owed, then let it go on as if nothing had happened."""
    sleeper = world.nodes[0]
    await world.flow(30)
    refenced_before = len(sleeper.list_log("refenced"))
    fenced_before = await world.count_fenced_nodes()
    recovery = world.ledger.begin_recovery()
    sleeper.freeze()
    try:
        async with asyncio.timeout(TAKEN_OVER_TIMEOUT_S):
            while await world.count_fenced_nodes() == fenced_before:
                await asyncio.sleep(0.1)
        await _taken_over(world, recovery)
    finally:
        sleeper.thaw()
    async with asyncio.timeout(EVENT_TIMEOUT_S):
        while len(sleeper.list_log("refenced")) == refenced_before:
            await asyncio.sleep(0.05)
        while (await world.send(node=0)).status != 202:
            await asyncio.sleep(0.05)


async def _taken_over(world: World, recovery: Recovery) -> None:
    """Wait until everything that was owed at the kill has arrived, by whoever."""
    done = await world.ledger.until(lambda: recovery.caught_up_s is not None, TAKEN_OVER_TIMEOUT_S)
    assert done, f"{len(recovery.owed)} deliveries were not taken over, for example {sorted(recovery.owed)[:3]}"
