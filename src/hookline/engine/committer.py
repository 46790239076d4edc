"""The committer: group commit. Everything that must be written goes through here, many things to a transaction.

    waiting ──a worker is free──> taken ──commit──> told (callers get their receipt, deliveries start)
                                    ├──endpoints changed──> targets selected again, same transaction tried again
                                    ├──fenced──> new lease, old deliveries dropped, tried again
                                    ├──answer to COMMIT lost──> asked for; committed, or tried no more
                                    ├──database away or full──> callers told; outcomes wait, lanes halt
                                    └──anything else──> split in two, down to the one thing that cannot be written

There is no timer for messages: a commit begins as soon as a worker is free, and everybody who arrives while it runs
goes into the next one; batches grow by themselves under load. Outcomes nobody waits for, so they wait up to
`outcome_wait_s` for company. A batch row is named as settled only after the commits of all its outcomes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from hookline.clock import Clock
from hookline.engine.batches import Batches
from hookline.engine.delivery import Delivery
from hookline.engine.drafts import Receipt
from hookline.engine.errors import EngineError, UnknownApplicationError
from hookline.engine.lease import Lease
from hookline.engine.options import EngineOptions
from hookline.engine.routing import Routing
from hookline.engine.stats import Stats
from hookline.engine.work import WaitingDraft, WaitingOutcome, Work, WorkQueue
from hookline.errors import HooklineError
from hookline.model import Message
from hookline.model.ids import BATCH, MESSAGE, new_id
from hookline.store.changes import Commit, CommitResult, Disable, NewMessage, Outcome
from hookline.store.errors import (
    AmbiguousCommitError,
    FencedError,
    StaleRoutingError,
    StoreFullError,
    StoreUnavailableError,
)
from hookline.store.protocol import Store

log = logging.getLogger("hookline.engine.committer")

MAX_ROUTING_TRIES = 20
AMBIGUITY_PATIENCE_S = 5.0
STOP_PATIENCE_S = 10.0  # for the last commits, when everything else has ended
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0  # between tries while the database is away


class Listener(Protocol):
    """Who is told what a commit brought about."""

    def accepted(self, deliveries: list[Delivery], ordered: set[str]) -> None: ...
    def recorded(self, outcomes: list[WaitingOutcome]) -> None: ...
    def disabled(self, disable: Disable) -> None: ...
    def spilled(self, due_at_ms: int) -> None: ...
    def database_lost(self, error: HooklineError) -> None: ...
    def database_back(self) -> None: ...


def _stopped() -> EngineError:
    return EngineError("the server stops; send the message again", code="stopping")


class Committer:
    """`committers` workers over one queue. `refence` gets a new lease after this node was declared dead."""

    def __init__(
        self,
        store: Store,
        routing: Routing,
        lease: Lease,
        clock: Clock,
        options: EngineOptions,
        stats: Stats,
    ) -> None:
        self._store = store
        self._committers = store.committers
        self._routing = routing
        self._lease = lease
        self._clock = clock
        self._options = options
        self._stats = stats
        self.queue = WorkQueue(options)
        self.batches = Batches(clock, self._batch_settled)
        self.listener: Listener
        self.refence: Callable[[], Awaitable[None]]
        self.make_room: Callable[[], Awaitable[None]]
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due = False
        self._busy = 0
        self._quiet = asyncio.Event()
        self._lost = False
        self._unwritable: list[WaitingOutcome] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._work(), name=f"committer-{n}") for n in range(self._committers)]

    async def stop(self) -> None:
        """Write what waits, as far as the database lets us, then end. Callers must have stopped coming."""
        try:
            async with asyncio.timeout(STOP_PATIENCE_S):
                while len(self.queue) or self.queue.drafts or self._busy:
                    if self._lost:
                        break  # Failure policy: closed. Our batches and leases are rescued by whoever starts next.
                    self._quiet.clear()
                    if len(self.queue):
                        self.flush()
                    await self._quiet.wait()
        except TimeoutError:
            # Failure policy: as above.
            log.warning("the last commits did not end in time", extra={"action": "stop_impatient"})
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.fail_drafts(self.queue.drafts, _stopped())
        self.queue.drafts.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What others add

    def wake_for_drafts(self) -> None:
        self._wake.set()

    def wake_for_outcomes(self) -> None:
        if len(self.queue) >= self._options.outcome_threshold:
            self._due = True
            self._wake.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._options.outcome_wait_s, self.flush)

    def flush(self) -> None:
        """Write what waits, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = True
        self._wake.set()

    def _batch_settled(self, batch_id: str) -> None:
        self.queue.settled.append(batch_id)
        self.wake_for_outcomes()

    # The workers

    async def _work(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            await self._wake.wait()
            if not self.queue.drafts and not (self._due and len(self.queue)):
                if self._lost and not await self._answers():
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                    continue
                self._wake.clear()
                self._due = False
                self._quiet.set()
                continue
            if self.queue.drafts:
                await self.make_room()
            work = self.queue.take()
            self._due = len(self.queue) > 0  # more than one transaction holds: the rest does not wait for company
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._busy += 1
            try:
                well = await self._write(work)
            except Exception as error:
                # Failure policy: open. A mistake of ours costs this round, never the worker; what is not on disk is
                # still owed by a batch or a lease, and a restart at the latest delivers it.
                log.exception("a commit went wrong", extra={"action": "commit_failed"})
                self.fail_drafts(work.drafts, EngineError(f"the message could not be stored: {type(error).__name__}"))
                well = True
            finally:
                self.fail_drafts(work.drafts, _stopped())  # cut short by `stop`: nobody waits for ever
                self._busy -= 1
                self._quiet.set()
            if well:
                pause_s = FIRST_PAUSE_S
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                self._due = True
                self._wake.set()

    async def _answers(self) -> bool:
        """The database was lost and there is nothing to write: ask, so that deliveries go on without new messages."""
        try:
            await self._store.ping()
        except StoreUnavailableError:
            return False
        self._back()
        return True

    def _back(self) -> None:
        if self._lost:
            self._lost = False
            self.listener.database_back()

    async def _write(self, work: Work) -> bool:
        """Bring one transaction to an end. False when the database is away or full."""
        for _ in range(MAX_ROUTING_TRIES):
            try:
                change = await self._build(work)
                if change is None:
                    return True
                result = await self._commit(change)
            except StaleRoutingError as stale:
                for app_id in stale.app_ids:
                    self._routing.invalidate(app_id)
                continue
            except FencedError:
                try:
                    await self.refence()
                except StoreUnavailableError as error:
                    return self._away(work, error)
                continue
            except (StoreUnavailableError, StoreFullError) as error:
                return self._away(work, error)
            except Exception as error:  # noqa: BLE001
                return await self._split(work, error)
            self._tell(work, change, result)
            return True
        return self._away(work, EngineError("the endpoints change faster than messages can be accepted; try again"))

    async def _commit(self, change: Commit) -> CommitResult:
        try:
            return await self._store.commit(change)
        except AmbiguousCommitError as error:
            result = await self._resolve(change, error)
            if result is None:
                raise
            return result

    async def _resolve(self, change: Commit, error: AmbiguousCommitError) -> CommitResult | None:
        """Whether a commit whose answer was lost has happened; None when it has not, or nobody can tell in time.

        Failure policy: closed. Who cannot be told gets no receipt. If the commit did happen after all, its batch row
        is found among our own (`own_batches`) and what it owes is delivered; recorded attempts are recognised by id.
        """
        if change.batch_id is None or error.result is None:
            return None
        ends_at_s = self._clock.monotonic_s() + AMBIGUITY_PATIENCE_S
        while self._clock.monotonic_s() < ends_at_s:
            try:
                return error.result if await self._store.resolve_batch(change.batch_id) else None
            except StoreUnavailableError:
                await asyncio.sleep(0.1)
        return None

    # Building

    async def _build(self, work: Work) -> Commit | None:
        """The transaction for this work, with targets selected and lateness judged as of now."""
        messages: list[NewMessage] = []
        kept: list[WaitingDraft] = []
        routing: dict[str, int] = {}
        now_ms = self._clock.now_ms()
        owed = False
        for waiting in work.drafts:
            draft = waiting.draft
            table = self._routing.cached(draft.app_id) or await self._routing.get(draft.app_id)
            if table is None:
                waiting.answer(UnknownApplicationError("the application does not exist any more"))
                continue
            if draft.only_endpoint is None:
                targets, ordered, note, keys = table.select(draft.event_type, draft.channels, draft.payload)
            else:
                targets, ordered, note, keys = table.select_only(draft.only_endpoint, draft.payload)
            routing[draft.app_id] = table.version
            if draft.deliver_at_ms is None:
                owed = owed or len(ordered) < len(targets)
            else:
                ordered = ()  # it takes its turn when its time comes
            message = Message(
                id=new_id(MESSAGE),
                org_id=draft.org_id,
                app_id=draft.app_id,
                event_type=draft.event_type,
                payload=draft.payload,
                targets=targets,
                created_at_ms=now_ms,
                event_id=draft.event_id,
                channels=draft.channels,
                note=note,
                payload_expires_at_ms=draft.payload_expires_at_ms,
                tags=draft.tags,
                deliver_at_ms=draft.deliver_at_ms,
            )
            messages.append(NewMessage(message, ordered, draft.keys, draft.outbox_id, keys))
            kept.append(waiting)
        work.drafts = kept
        epoch = self._lease.epoch
        # Born leased or claimed under an older lease: whoever rescued them owes them now.
        work.spills = [spill for spill in work.spills if self._still_ours(spill.delivery, epoch)]
        work.releases = [release for release in work.releases if release[1] == epoch]
        if not len(work):
            return None
        return Commit(
            node=self._lease.node,
            now_ms=now_ms,
            batch_id=new_id(BATCH) if owed else None,
            messages=messages,
            routing=routing,
            outcomes=[
                Outcome(
                    item.attempt, item.retry_at_ms, item.delivery.has_row, item.delivery.epoch != epoch, item.healed
                )
                for item in work.outcomes
            ],
            spills=[item.spill for item in work.spills],
            releases=[key for key, _ in work.releases],
            settled_batches=work.settled,
            disables=[item.disable for item in work.outcomes if item.disable is not None],
            lanes=work.lanes,
        )

    def _still_ours(self, delivery: Delivery, epoch: int) -> bool:
        if delivery.epoch == epoch:
            return True
        self._spilled(delivery, leased=False)
        return False

    # Telling

    def _tell(self, work: Work, change: Commit, result: CommitResult) -> None:
        """The transaction is on disk: receipts first, then deliveries, then what was recorded."""
        self._stats.commits += 1
        self._stats.committed_items += len(work)
        self._back()
        if work.drafts:
            self._tell_drafts(work, change, result)
        for item in work.outcomes:
            self.batches.settle(item.delivery)
        for spilled in work.spills:
            self._spilled(spilled.delivery, leased=spilled.spill.leased)
        if work.outcomes:
            self.listener.recorded(work.outcomes)
        for disable in change.disables:
            if disable.endpoint_id in result.disabled:
                self.listener.disabled(disable)
        free = [item.spill.due_at_ms for item in work.spills if not item.spill.leased]
        if free or work.releases:
            self.listener.spilled(0 if work.releases else min(free))

    def _tell_drafts(self, work: Work, change: Commit, result: CommitResult) -> None:
        batch = None
        fresh: list[Delivery] = []
        poke: set[str] = set()
        soonest: int | None = None
        epoch = change.node.epoch
        ours = epoch == self._lease.epoch  # else declared dead meanwhile: whoever rescued the batch delivers
        for index, (waiting, new) in enumerate(zip(work.drafts, change.messages, strict=True)):
            duplicate = result.duplicates.get(index) if result.duplicates else None
            if duplicate is not None or index in result.taken:
                self._stats.ingested["duplicate"] += 1
                waiting.answer(Receipt(new.message, duplicate))
                continue
            self._stats.ingested["accepted"] += 1
            waiting.answer(Receipt(new.message))
            if new.ordered:
                poke.update(new.ordered)
            deliver_at_ms = new.message.deliver_at_ms
            if deliver_at_ms is not None:
                soonest = deliver_at_ms if soonest is None else min(soonest, deliver_at_ms)
                continue
            for endpoint_id in new.message.targets if ours else ():
                if endpoint_id not in new.ordered:
                    if batch is None and change.batch_id is not None:
                        batch = self.batches.open(change.batch_id)
                    delivery = Delivery(new.message, endpoint_id, epoch, batch=batch)
                    fresh.append(delivery)
        if batch is not None:
            batch.open.update(fresh)
        self.listener.accepted(fresh, poke)
        if soonest is not None:
            self.listener.spilled(soonest)

    def _spilled(self, delivery: Delivery, *, leased: bool) -> None:
        self.batches.settle(delivery)
        delivery.settling = False
        delivery.has_row = delivery.has_row or leased  # a straggler: still in flight, but now with a row of its own
        if delivery.deferred is not None:
            deferred, delivery.deferred = delivery.deferred, None
            deferred()

    # Trouble

    def _away(self, work: Work, error: HooklineError) -> bool:
        """Failure policy: closed for messages (nothing was kept, the caller is told), patient for outcomes."""
        self._stats.commit_failures += 1
        if not self._lost:
            self._lost = True
            log.warning("database lost", extra={"action": "database_lost", "reason": error.message})
            self.listener.database_lost(error)
        self.fail_drafts(work.drafts, error)
        self.queue.put_back(work)
        return False

    def fail_drafts(self, drafts: Iterable[WaitingDraft], error: HooklineError) -> None:
        for waiting in drafts:
            if not waiting.answered:
                self._stats.ingested["failed"] += 1
                waiting.answer(error)

    async def _split(self, work: Work, error: Exception) -> bool:
        """Failure policy: one bad row costs itself alone. The work is cut in two until the culprit stands apart."""
        halves = work.halves()
        if halves is not None:
            first, second = halves
            return all([await self._write(first), await self._write(second)])
        self._stats.commit_failures += 1
        log.error("cannot be written", exc_info=error, extra={"action": "commit_refused"})
        if work.drafts:
            self.fail_drafts(work.drafts, EngineError("the message could not be stored; see the server's log"))
        elif work.outcomes:
            (outcome,) = work.outcomes
            if outcome.attempt.response_body or outcome.attempt.detail or outcome.attempt.url:
                return await self._write(Work(outcomes=[outcome.stripped()]))
            # Not even its bare bones can be written: it stays in memory, its row or batch stays owed, and a restart
            # delivers again rather than losing it.
            self._unwritable.append(outcome)
        # A spill, a release or a settled batch that cannot be written is owed by its batch or lease as before; a
        # lane's health is only advice.
        return True
