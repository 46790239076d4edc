"""What the three replays share: a walk through the messages of a window, which puts those that are wanted at one
endpoint.

    page of messages, each with where it stands at the endpoint ──wanted?──> owed ─┐
    cursor: the last message of the page ──────────────────────────────────────────┴──> one transaction

The walk goes by message id up to an end that was fixed when the task was made, so it comes to each message once, also
when new ones arrive meanwhile. Rows in `pending` are taken at the pace of the endpoint's lane: other endpoints' traffic
goes on beside it, and this endpoint's own new messages do not wait behind the replay unless its lane is full.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from hookline import model
from hookline.clock import Clock
from hookline.jobs.options import JobOptions
from hookline.jobs.run import Run, TaskFailedError
from hookline.model import Endpoint, filter_of
from hookline.store.protocol import Store
from hookline.store.scope import AppScope
from hookline.store.tasks import Candidate, MessageWindow, Replay

MOST_COUNTED: Final = 10_000_000  # a window with more messages has no total


class ReplayParameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which messages, to which endpoint. `statuses` are numbers of the Svix API; None means all."""

    endpoint_id: str
    since_ms: int
    until_ms: int
    event_types: tuple[str, ...] | None = None
    channel: str | None = None
    tag: str | None = None
    statuses: tuple[int, ...] | None = None
    status_class: int | None = None


Wanted = Callable[[ReplayParameters, Endpoint, Candidate], bool]


class Replaying:
    """Walks for a kind of task; `wanted` is what makes it that kind, and `delivery` how it delivers."""

    def __init__(self, store: Store, clock: Clock, options: JobOptions) -> None:
        self._store = store
        self._clock = clock
        self._options = options

    async def walk(
        self, run: Run, wanted: Wanted, delivery: model.Kind, *, by_payload: bool = False
    ) -> Mapping[str, Any]:
        """Go on from where the task stands to the end. `by_payload`: what is wanted must meet the conditions that the
        endpoint has on payloads, too.

        Raises:
            TaskFailedError: the endpoint is gone.
        """
        task = run.task
        parameters = msgspec.convert(task.parameters, ReplayParameters)
        scope = AppScope(task.org_id, task.app_id or "")
        total: int | None = None
        if task.cursor is None:
            window = MessageWindow.between(parameters.since_ms, parameters.until_ms)
            total = await self._store.count_window(scope, window, MOST_COUNTED)
        while True:
            after = None if run.task.cursor is None else str(run.task.cursor["after"])
            window = MessageWindow.between(parameters.since_ms, parameters.until_ms, after)
            endpoint = await self._store.get_endpoint(scope, parameters.endpoint_id)
            if endpoint is None:
                raise TaskFailedError("The endpoint was deleted.")
            page = await self._store.list_candidates(
                scope, endpoint.id, window, self._clock.now_ms(), self._options.page
            )
            chosen = [
                one.message_id
                for one in page
                if one.in_window and not one.payload_expired and wanted(parameters, endpoint, one)
            ]
            if by_payload:
                chosen = await self._meet_conditions(scope, endpoint, chosen)
            if page:
                await run.advance(
                    {"after": page[-1].message_id},
                    looked_at=len(page),
                    total=total,
                    effect=Replay(scope, endpoint.id, delivery, chosen) if chosen else None,
                )
            if len(page) < self._options.page:
                return {"endpointId": endpoint.id, "messages": run.task.affected}
            await run.breathe()

    async def _meet_conditions(self, scope: AppScope, endpoint: Endpoint, message_ids: list[str]) -> list[str]:
        """Those whose payload the endpoint wants. Payloads are read one at a time: a page of them may be large."""
        wants = filter_of(endpoint)
        if wants.conditions is None:
            return message_ids
        met = []
        for message_id in message_ids:
            message = await self._store.get_message(scope, message_id)
            if message is not None and wants.wants_message(message):
                met.append(message_id)
        return met
