"""What a torture consists of: worlds, and the steps that each of them goes through."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from support.torture import rounds, scenarios
from support.torture.ledger import Report
from support.torture.world import Options, World

Step = Callable[[World], Awaitable[None]]

COMMIT_ANSWERS_LOST = 20
TAKEN_OVER_TIMES = 5


@dataclass(frozen=True)
class Run:
    """One world and what happens to it; the verdict is over all of it."""

    name: str
    options: Options
    steps: tuple[Step, ...]

    async def carry_out(self, directory: Path, tell: Callable[[World], None] = lambda _world: None) -> Report:
        """Go through all steps, let everything settle, and judge. `tell` is called after each step."""
        async with World(self.options, directory) as world:
            for step in self.steps:
                await step(world)
                tell(world)
            return await world.finish()


def plan_rounds(options: Options, count: int, postmaster_kills: int) -> list[Run]:
    """Plan kills at random moments, in random order."""
    steps: list[Step] = [*[rounds.kill_node] * count, *[rounds.kill_postmaster] * postmaster_kills]
    random.Random(options.seed).shuffle(steps)
    return [Run("kills at random moments", options, tuple(steps))]


def plan_scenarios(database: str, seed: int, times: int = 3) -> list[Run]:
    """Plan every named crash point, `times` each, and on PostgreSQL what takes several nodes or a bad wire."""
    nodes = 1 if database == "sqlite" else 2
    points = [
        Run(point, Options(database, nodes, seed), (partial(scenarios.die_at, point=point),) * times)
        for point in scenarios.POINTS
    ]
    points.append(plan_crash_loop(database, seed))
    if database == "sqlite":
        return points
    return [*points, plan_lost_answers(seed), plan_rescue_at_once(seed), plan_return_after_lease(seed, times)]


def plan_crash_loop(database: str, seed: int) -> Run:
    return Run("a node that crashes in a loop", Options(database, 1, seed), (scenarios.crash_in_a_loop,))


def plan_lost_answers(seed: int, times: int = COMMIT_ANSWERS_LOST) -> Run:
    options = Options("postgres", 2, seed, proxied=True)
    return Run("a COMMIT whose answer is lost", options, (scenarios.lose_commit_answer,) * times)


def plan_rescue_at_once(seed: int, times: int = TAKEN_OVER_TIMES) -> Run:
    return Run("two nodes rescue at once", Options("postgres", 3, seed), (scenarios.rescue_at_once,) * times)


def plan_return_after_lease(seed: int, times: int = TAKEN_OVER_TIMES) -> Run:
    return Run("a node returns after its lease", Options("postgres", 2, seed), (scenarios.return_after_lease,) * times)
