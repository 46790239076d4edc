"""`TaskStore`: what the runner of background tasks asks of a database, and what it hands over.

A task is leased to one node at a time, on the database's own clock. Each claim raises the task's epoch, and every step
names the epoch that it was made under: a node that lost its lease without noticing can write nothing any more. One
`advance` is one transaction: what the step does, and where to go on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from hookline.model import OPEN_STATES, DeliveryState, Kind, Task, TaskState
from hookline.model.ids import ID_MARGIN_MS, MESSAGE, id_at
from hookline.store.errors import StoreError
from hookline.store.scope import AppScope, OrgScope

if TYPE_CHECKING:
    from hookline.store.protocol import Page, Slice


class TaskLostError(StoreError):
    """The task is not this node's any more: its lease ended and another took over, or it was canceled meanwhile."""

    code = "task_lost"


class TaskLimitError(StoreError):
    """There are as many open tasks as there may be. Nothing was kept."""

    code = "task_limit"


class TaskLease(msgspec.Struct, frozen=True):
    """The right to go on with a task: valid as long as the task has this epoch."""

    task_id: str
    epoch: int


class ClaimedTask(msgspec.Struct, frozen=True):
    """A task that is leased to this node from now on."""

    task: Task
    lease: TaskLease


class TaskFilter(msgspec.Struct, frozen=True):
    """Which tasks; None means all."""

    states: tuple[TaskState, ...] | None = None
    kind: str | None = None
    app_id: str | None = None


class Replay(msgspec.Struct, frozen=True):
    """Effect: these messages are owed to an endpoint, due now. What is owed already, whose payload is gone, or whose
    endpoint was deleted, is left as it is.
    """

    scope: AppScope
    endpoint_id: str
    kind: Kind
    message_ids: Sequence[str]


class Expunge(msgspec.Struct, frozen=True):
    """Effect: the payloads of these messages are emptied, and what they still owe is canceled."""

    scope: AppScope
    message_ids: Sequence[str]


class TaskStep(msgspec.Struct, frozen=True):
    """What one step of a task changes. What is None stays as it is in the database: whoever gives a task back need not
    know whether its last step was written. An effect adds what it changed to `affected`. A state other than running
    gives the lease back.
    """

    cursor: Mapping[str, Any] | None = None
    done: int | None = None
    total: int | None = None
    result: Mapping[str, Any] | None = None
    effect: Replay | Expunge | None = None
    state: TaskState = TaskState.RUNNING
    error: str | None = None
    attempts: int = 0
    due_at_ms: int | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES


class MessageWindow(msgspec.Struct, frozen=True):
    """Messages of one application by id (`after` exclusive, `to` inclusive), made in [since_ms, until_ms)."""

    after: str
    to: str
    since_ms: int
    until_ms: int

    @classmethod
    def between(cls, since_ms: int, until_ms: int, after: str | None = None) -> MessageWindow:
        """The window of a time; `after` is the last message that was looked at."""
        first = id_at(MESSAGE, since_ms - ID_MARGIN_MS) if after is None else after
        return cls(first, id_at(MESSAGE, until_ms + ID_MARGIN_MS), since_ms, until_ms)


class Candidate(msgspec.Struct, frozen=True):
    """A message, and where it stands with one endpoint. `state` None: it was never owed to it nor tried there.

    `in_window` says whether it was made in the window's time. `status_classes` are those of the answers to attempts at
    this endpoint (0 for no answer). `resend_waits`: it has a manual delivery that is still to be made.
    """

    message_id: str
    event_type: str
    channels: tuple[str, ...]
    tags: tuple[str, ...]
    in_window: bool
    payload_expired: bool
    state: DeliveryState | None
    status_classes: frozenset[int]
    resend_waits: bool


class Usage(msgspec.Struct, frozen=True):
    """Some messages of one application, counted. `last` is where to go on; `done`: there are no more.

    Attempts are those made for these messages, whenever that was.
    """

    looked_at: int
    last: str | None
    done: bool
    messages: int
    attempts: int
    succeeded: int
    failed: int
    canceled: int
    by_event_type: Mapping[str, int]


class TaskStore(Protocol):
    """Tasks, and what the kinds of tasks read of messages. Those that take a scope are for surfaces."""

    async def create_task(self, task: Task, *, most_open: int) -> Task:
        """Raises TaskLimitError when its application (its organization, if it has none) has `most_open` open ones."""
        ...

    async def get_task(self, scope: OrgScope, task_id: str) -> Task | None: ...
    async def list_tasks(self, scope: OrgScope, page: Page, where: TaskFilter) -> Slice[Task]: ...
    async def request_cancel(self, scope: OrgScope, task_id: str, now_ms: int) -> Task | None:
        """A queued task, and one whose node is dead, is canceled at once; a running one is told. Others stay as they
        are. None when there is no such task.
        """
        ...

    async def claim_tasks(
        self, node_id: str, kinds: Collection[str], lease_s: float, now_ms: int, limit: int
    ) -> list[ClaimedTask]:
        """Lease open tasks of these kinds that are due and nobody's, longest due first. One that its last node did not
        give back has one more in `attempts`.
        """
        ...

    async def renew_tasks(self, leases: Sequence[TaskLease], lease_s: float) -> dict[str, bool]:
        """The tasks that are still ours -> whether somebody asked to cancel them."""
        ...

    async def advance_task(self, lease: TaskLease, step: TaskStep, now_ms: int) -> Task:
        """Write a step, with its effect: the task as it is now. Whoever owes something since is announced on the bus.

        Raises:
            TaskLostError: it is not ours any more; nothing was written.
        """
        ...

    async def prune_tasks(self, before_ms: int, limit: int) -> int:
        """Remove tasks that ended before then, and those of deleted applications; how many."""
        ...

    async def count_window(self, scope: AppScope, window: MessageWindow, most: int) -> int | None:
        """How many messages the ids of a window hold; None when they are more than `most`."""
        ...

    async def list_candidates(
        self, scope: AppScope, endpoint_id: str, window: MessageWindow, now_ms: int, limit: int
    ) -> list[Candidate]:
        """Messages of the window in the order of their ids, as of one moment each."""
        ...

    async def list_contents(self, scope: AppScope, window: MessageWindow, limit: int) -> list[tuple[str, bool]]:
        """Message ids of the window in their order, and whether each has something to empty."""
        ...

    async def count_usage(self, scope: AppScope, window: MessageWindow, limit: int) -> Usage:
        """Count the first `limit` messages of a window, and the attempts made for them."""
        ...
