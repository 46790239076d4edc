"""Kills at random moments: nodes, their starts, the postmaster. Each function is one round.

    flowing ──after some acknowledgements──> SIGKILL ──spawn──> (now and then killed again while it starts) ──> flowing
                                         └──postmaster: SIGKILL──a moment──> started again ──> flowing

With several nodes the next victim may be hit before the last one is back, so that at times nobody serves.
"""

from __future__ import annotations

import asyncio

from support.torture.world import World

MOST_MESSAGES_BETWEEN = 80
START_KILLED_SHARE = 0.15  # of the rounds
LONGEST_START_S = 1.2
BOTH_KILLED_SHARE = 0.3  # of the postmaster's rounds: a node goes with it
LONGEST_OUTAGE_S = 1.5


async def kill_node(world: World) -> None:
    """Kill a node and start it again."""
    await _reach_random_moment(world)
    victim = world.rng.choice(world.nodes)
    world.ledger.begin_recovery()
    await victim.kill()
    if world.rng.random() < START_KILLED_SHARE:
        victim.spawn()
        await asyncio.sleep(world.rng.uniform(0, LONGEST_START_S))
        await victim.kill()
    victim.spawn()


async def kill_postmaster(world: World) -> None:
    """Kill PostgreSQL, sometimes a node with it, and start both again."""
    assert world.postgres is not None, "only PostgreSQL has a postmaster"
    await _reach_random_moment(world)
    world.ledger.begin_recovery()
    await asyncio.to_thread(world.postgres.kill)
    if world.rng.random() < BOTH_KILLED_SHARE:
        victim = world.rng.choice(world.nodes)
        await victim.kill()
        victim.spawn()  # it finds no database and ends; whoever supervises it starts it again
    await asyncio.sleep(world.rng.uniform(0, LONGEST_OUTAGE_S))
    await asyncio.to_thread(world.postgres.start)


async def _reach_random_moment(world: World) -> None:
    await world.flow(world.rng.randint(1, MOST_MESSAGES_BETWEEN))
    await asyncio.sleep(world.rng.uniform(0, 0.05))  # not always just after an acknowledgement
