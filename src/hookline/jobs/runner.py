"""The runner: claims tasks, works on a few at once, and writes their ends. One on each node that delivers.

    asleep ──bus, poll──> claim as many as there is room for ──> each in an asyncio task of its own
    working ──finished, failed for good, canceled───> its end is written
            ──turn over, node stops─────────────────> given back, goes on later from its cursor
            ──failed────────────────────────────────> given back with a pause; too often: failed
            ──lease lost────────────────────────────> dropped: whoever has it goes on
            ──database away─────────────────────────> dropped: its lease ends, and somebody claims it

Leases are renewed while tasks run. What a task wrote before its node died stays, and no step is made twice: each step
commits its effect together with its cursor, under the epoch of the claim.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.errors import HooklineError
from hookline.jobs.options import JobOptions
from hookline.jobs.run import (
    CANCELED,
    Kind,
    Ledger,
    Run,
    TaskCanceledError,
    TaskFailedError,
    TaskLaterError,
    TurnOverError,
)
from hookline.model import TaskState
from hookline.store.errors import StoreUnavailableError
from hookline.store.tasks import ClaimedTask, TaskLostError, TaskStep

STOP_PATIENCE_S = 2.0
TOPICS = frozenset({"task", "job", "resync"})

log = logging.getLogger("hookline.jobs")


class Runner(Background):
    """`kinds` are the kinds of tasks that this node knows; it leaves others to nodes that do."""

    name = "runner"

    def __init__(
        self, store: Ledger, kinds: Iterable[Kind], node_id: str, clock: Clock, options: JobOptions | None = None
    ) -> None:
        super().__init__()
        self._store = store
        self._kinds = {kind.name: kind for kind in kinds}
        self._node_id = node_id
        self._clock = clock
        self._options = options or JobOptions()
        self._runs: dict[asyncio.Task[None], Run] = {}
        self._next_prune_s = float("-inf")

    @property
    def running(self) -> int:
        """Tasks that this node works on now."""
        return len(self._runs)

    def heard(self, topic: str, _subject: str) -> None:
        """A wake-up from the bus."""
        if topic in TOPICS:
            self.wake()

    async def stop(self) -> None:
        """Let each step come to its end, and give all tasks back."""
        await super().stop()
        for run in self._runs.values():
            run.stopping = True
        if self._runs:
            await asyncio.wait(self._runs, timeout=STOP_PATIENCE_S)
        left = dict(self._runs)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def work(self) -> float:
        await self._renew()
        room = self._options.concurrency - len(self._runs)
        if room > 0:
            now_ms = self._clock.now_ms()
            claimed = await self._store.claim_tasks(
                self._node_id, self._kinds.keys(), self._options.lease_s, now_ms, room
            )
            for one in claimed:
                self._start(one)
        await self._prune()
        return min(self._options.poll_s, self._options.lease_s / 3)

    async def _renew(self) -> None:
        if not self._runs:
            return
        runs = dict(self._runs)
        ours = await self._store.renew_tasks([run.lease for run in runs.values()], self._options.lease_s)
        for task, run in runs.items():
            wanted = ours.get(run.task.id)
            if wanted is None:
                task.cancel()  # its end was written just now, or another node has it
            elif wanted:
                run.cancel_requested = True

    async def _prune(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._next_prune_s:
            return
        before_ms = self._clock.now_ms() - round(self._options.retention_s * 1000)
        if await self._store.prune_tasks(before_ms, self._options.prune_chunk) < self._options.prune_chunk:
            self._next_prune_s = now_s + self._options.prune_every_s

    # One task

    def _start(self, claimed: ClaimedTask) -> None:
        run = Run(claimed, self._store, self._clock, self._options)
        task = asyncio.create_task(self._execute(run), name=f"task {claimed.task.kind}")
        self._runs[task] = run
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._runs[task]
        self.wake()

    async def _execute(self, run: Run) -> None:
        try:
            step = await self._work(run)
            await self._end(run, step)
        except TaskLostError:
            log.info("task lost", extra={"action": "task_lost", "task": run.task.id})
        except StoreUnavailableError as error:
            # Failure policy: patient. Nobody knows whether the last step was written; whoever claims the task reads it.
            log.info(
                "task waits for the database",
                extra={"action": "task_waits", "task": run.task.id, "reason": error.message},
            )
        except asyncio.CancelledError:
            await self._give_back(run)
            raise
        except Exception:
            # Failure policy: patient. Its end could not be written; its lease ends, and somebody claims it again.
            log.exception("the end of a task was not written", extra={"action": "task_end_failed", "task": run.task.id})

    async def _work(self, run: Run) -> TaskStep:
        """Work on it; the step that ends this run."""
        try:
            if run.task.attempts > self._options.max_attempts:
                # Failure policy: closed. What kills every node that takes it must not kill the next one.
                return TaskStep(state=TaskState.FAILED, error="Given up: each node that took this task died.")
            run.check()
            result = await self._kinds[run.task.kind].work(run)
        except TaskCanceledError:
            return TaskStep(state=TaskState.CANCELED, error=CANCELED)
        except TurnOverError:
            return TaskStep(state=TaskState.QUEUED, due_at_ms=self._clock.now_ms())
        except TaskLaterError as error:
            return self._failed(run, error.message, after_s=error.after_s, result=error.result)
        except TaskFailedError as error:
            return TaskStep(state=TaskState.FAILED, error=error.message, result=error.result)
        except (TaskLostError, StoreUnavailableError):
            raise
        except HooklineError as error:
            return self._failed(run, error.message)
        except Exception as error:
            log.exception("task failed", extra={"action": "task_failed", "task": run.task.id})
            return self._failed(run, f"An internal error ({type(error).__name__}); the server's log says more.")
        return TaskStep(total=run.task.done, result=result, state=TaskState.FINISHED)

    def _failed(
        self, run: Run, reason: str, *, after_s: float | None = None, result: Mapping[str, Any] | None = None
    ) -> TaskStep:
        """Failure policy: try again from the last step that was written, a bounded number of times, ever later."""
        attempts = run.task.attempts + 1
        if attempts >= self._options.max_attempts:
            return TaskStep(state=TaskState.FAILED, error=reason, attempts=attempts, result=result)
        pause_s = max(self._options.first_backoff_s * 2 ** (attempts - 1), after_s or 0.0)
        pause_s = min(pause_s, self._options.longest_backoff_s)
        due_at_ms = self._clock.now_ms() + round(pause_s * 1000)
        return TaskStep(state=TaskState.QUEUED, error=reason, attempts=attempts, due_at_ms=due_at_ms)

    async def _end(self, run: Run, step: TaskStep) -> None:
        task = run.task = await self._store.advance_task(run.lease, step, self._clock.now_ms())
        if not task.is_open or task.error is not None:
            log.info(
                "task %s",
                task.state.value,
                extra={
                    "action": "task_ended" if not task.is_open else "task_retry",
                    "task": task.id,
                    "kind": task.kind,
                    "state": task.state.value,
                    "done": task.done,
                    "affected": task.affected,
                    "reason": task.error,
                    "duration_s": round(self._clock.monotonic_s() - run.started_s, 3),
                },
            )

    async def _give_back(self, run: Run) -> None:
        """The node stops in the middle of a step, which may be written or not. What fails here, the end of the lease
        does.
        """
        now_ms = self._clock.now_ms()
        try:
            await self._store.advance_task(run.lease, TaskStep(state=TaskState.QUEUED, due_at_ms=now_ms), now_ms)
        except HooklineError as error:
            log.info("task not given back", extra={"action": "task_kept", "task": run.task.id, "reason": error.message})
