"""What waits for the next commit, and what one commit takes of it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from hookline.engine.delivery import Delivery
from hookline.engine.drafts import Draft, Receipt
from hookline.engine.lane import Lane
from hookline.engine.options import EngineOptions
from hookline.errors import HooklineError
from hookline.model import Attempt
from hookline.store.changes import DeliveryKey, Disable, LaneHealth, Spill

log = logging.getLogger("hookline.engine.work")

OnReceipt = Callable[[Receipt | HooklineError], None]


@dataclass(slots=True)
class WaitingDraft:
    """A message that somebody waits for."""

    draft: Draft
    on_done: OnReceipt
    answered: bool = False

    def answer(self, answer: Receipt | HooklineError) -> None:
        """Tell who waits, the first time only: a commit that is cut short may not know whom it has told."""
        if self.answered:
            return
        self.answered = True
        try:
            self.on_done(answer)
        except Exception:
            # Failure policy: open. Whoever waits has broken; the message and all others of its commit go their way.
            log.exception("a receipt could not be handed over", extra={"action": "receipt_failed"})


@dataclass(slots=True)
class WaitingOutcome:
    """An attempt to be recorded. `lane` is set when its lane goes on only after the commit: ordered ones, and those
    that are ordered by keys, of which the commit lets the next delivery of the key go.
    """

    attempt: Attempt
    delivery: Delivery
    retry_at_ms: int | None = None
    disable: Disable | None = None
    lane: Lane | None = None
    healed: bool = False

    def stripped(self) -> WaitingOutcome:
        """The same without what came from outside, for a database that refuses the row."""
        attempt = msgspec.structs.replace(self.attempt, response_body=b"", detail="", url="")
        return WaitingOutcome(attempt, self.delivery, self.retry_at_ms, self.disable, self.lane, self.healed)


@dataclass(slots=True)
class WaitingSpill:
    """A delivery that goes to `pending`, and what to do once it is there (a straggler may have an outcome waiting)."""

    spill: Spill
    delivery: Delivery


@dataclass(slots=True)
class Work:
    """The content of one transaction."""

    drafts: list[WaitingDraft] = field(default_factory=list)
    outcomes: list[WaitingOutcome] = field(default_factory=list)
    spills: list[WaitingSpill] = field(default_factory=list)
    releases: list[tuple[DeliveryKey, int]] = field(default_factory=list)  # with the epoch they were leased under
    settled: list[str] = field(default_factory=list)
    lanes: list[LaneHealth] = field(default_factory=list)

    def __len__(self) -> int:
        return (
            len(self.drafts)
            + len(self.outcomes)
            + len(self.spills)
            + len(self.releases)
            + len(self.settled)
            + len(self.lanes)
        )

    def halves(self) -> tuple[Work, Work] | None:
        """Two smaller transactions: one kind apart from the rest, then each in the middle. None for one thing."""
        if len(self) < 2:
            return None
        for name in KINDS:
            mine = getattr(self, name)
            if len(mine) == len(self):
                middle = len(mine) // 2
                return Work(**{name: mine[:middle]}), Work(**{name: mine[middle:]})
            if mine:
                rest = {other: getattr(self, other) for other in KINDS if other != name}
                return Work(**{name: mine}), Work(**rest)
        return None


# In this order when work is split: whoever waits comes first, and an outcome before the batch that it settles.
KINDS = ("drafts", "outcomes", "spills", "releases", "settled", "lanes")


class WorkQueue:
    """Everything that waits, in order of arrival within its kind."""

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self.drafts: deque[WaitingDraft] = deque()
        self.outcomes: deque[WaitingOutcome] = deque()
        self.spills: deque[WaitingSpill] = deque()
        self.releases: deque[tuple[DeliveryKey, int]] = deque()
        self.settled: list[str] = []
        self.lanes: dict[str, LaneHealth] = {}

    def __len__(self) -> int:
        """Without the drafts: what must be written but nobody waits for."""
        return len(self.outcomes) + len(self.spills) + len(self.releases) + len(self.settled) + len(self.lanes)

    def take(self) -> Work:
        work = Work(
            drafts=_take(self.drafts, self._options.max_messages_per_commit),
            outcomes=_take(self.outcomes, self._options.max_outcomes_per_commit),
            spills=_take(self.spills, self._options.max_outcomes_per_commit),
            releases=_take(self.releases, self._options.max_outcomes_per_commit),
            settled=self.settled,
            lanes=list(self.lanes.values()),
        )
        self.settled = []
        self.lanes = {}
        return work

    def put_back(self, work: Work) -> None:
        """What a failed commit had taken, without its drafts, is first in line again."""
        self.outcomes.extendleft(reversed(work.outcomes))
        self.spills.extendleft(reversed(work.spills))
        self.releases.extendleft(reversed(work.releases))
        self.settled = work.settled + self.settled
        self.lanes = {health.endpoint_id: health for health in work.lanes} | self.lanes


T = TypeVar("T")


def _take(waiting: deque[T], most: int) -> list[T]:
    if len(waiting) <= most:
        taken = list(waiting)
        waiting.clear()
        return taken
    return [waiting.popleft() for _ in range(most)]
