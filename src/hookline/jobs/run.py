"""One run of a task on this node: what a kind of task works with.

    advance: effect, cursor and progress in one transaction, then  ──> cancel asked for: TaskCanceledError
                                                                    ├──> node stops:     TurnOverError
                                                                    └──> go on
    breathe: a rest as long as the step took                        ──> turn over:      TurnOverError

Kinds let these errors pass: the runner writes the end, or gives the task back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from hookline import crashpoints
from hookline.clock import Clock
from hookline.errors import HooklineError
from hookline.jobs.options import JobOptions
from hookline.model import Task
from hookline.store.tasks import ClaimedTask, Expunge, Replay, TaskLease, TaskStep

CANCELED: Final = "canceled"


class TaskFailedError(HooklineError):
    """This task can never be done; trying again would change nothing. The message is shown to whoever asks for it."""

    code = "task_failed"

    def __init__(self, message: str, *, result: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.result = result


class TaskLaterError(TaskFailedError):
    """It failed, and may do better later: not before `after_s` seconds, if that is given."""

    code = "task_later"

    def __init__(self, message: str, *, result: Mapping[str, Any] | None = None, after_s: float | None = None) -> None:
        super().__init__(message, result=result)
        self.after_s = after_s


class TaskCanceledError(HooklineError):
    """Somebody asked to cancel the task. What was done until then stays."""

    code = "task_canceled"


class TurnOverError(HooklineError):
    """The task gives its place to others, and goes on later from its cursor."""

    code = "task_turn_over"


class Kind(Protocol):
    """A kind of task: its name on the wire, and how to do it."""

    name: str

    async def work(self, run: Run) -> Mapping[str, Any]:
        """Go on from `run.task.cursor` to the end: the result that is shown.

        Each step passes through `run.advance`. Raises TaskFailedError when it can never be done; any other error is
        tried again, from the last step that was written.
        """
        ...


class Ledger(Protocol):
    """Where a runner's tasks are kept: the part of `TaskStore` that runs them."""

    async def claim_tasks(
        self, node_id: str, kinds: Collection[str], lease_s: float, now_ms: int, limit: int
    ) -> list[ClaimedTask]: ...
    async def renew_tasks(self, leases: Sequence[TaskLease], lease_s: float) -> dict[str, bool]: ...
    async def advance_task(self, lease: TaskLease, step: TaskStep, now_ms: int) -> Task: ...
    async def prune_tasks(self, before_ms: int, limit: int) -> int: ...


class Run:
    """A claimed task; `task` is as the last step left it."""

    def __init__(self, claimed: ClaimedTask, store: Ledger, clock: Clock, options: JobOptions) -> None:
        self.task: Task = claimed.task
        self.lease = claimed.lease
        self.stopping = False
        self.cancel_requested = claimed.task.cancel_requested
        self._store = store
        self._clock = clock
        self._options = options
        self._began_s = self._rested_s = clock.monotonic_s()

    @property
    def started_s(self) -> float:
        return self._began_s

    async def advance(
        self,
        cursor: Mapping[str, Any],
        *,
        looked_at: int = 0,
        total: int | None = None,
        result: Mapping[str, Any] | None = None,
        effect: Replay | Expunge | None = None,
    ) -> None:
        """Write a step.

        Raises:
            TaskCanceledError, TurnOverError: the step was written, and there must not be another one now.
            TaskLostError: another node has the task; the step was not written.
        """
        step = TaskStep(cursor, done=self.task.done + looked_at, total=total, result=result, effect=effect)
        self.task = await self._store.advance_task(self.lease, step, self._clock.now_ms())
        crashpoints.reach("after_task_step")
        self.check()

    def check(self) -> None:
        """Raise what `advance` raises, for work that has nothing to write yet."""
        if self.cancel_requested or self.task.cancel_requested:
            raise TaskCanceledError("canceled")
        if self.stopping:
            raise TurnOverError("this node stops")

    async def breathe(self) -> None:
        """Leave the database to others for as long as the last step had it: at most half of it is ever ours.

        Raises:
            TurnOverError: the task has worked long enough; others wait.
        """
        now_s = self._clock.monotonic_s()
        if now_s - self._began_s >= self._options.turn_s:
            raise TurnOverError("its turn is over")
        await asyncio.sleep(min(now_s - self._rested_s, self._options.longest_rest_s))
        self._rested_s = self._clock.monotonic_s()
