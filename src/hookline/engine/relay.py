"""Relay: takes events out of the outbox, where applications put them inside their own transactions.

    asleep ──NOTIFY, data_version or poll──> read the oldest rows ──> ingest (group commit, deletes the row with it)
                                                  └──cannot be sent──> refused: kept with the reason, out of the way

No cursor: ids are given out before they commit, so a higher one may be visible first. The row is deleted by the very
transaction that makes its message durable; a row that another node took is left to it.
"""

from __future__ import annotations

import logging

import msgspec

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.drafts import Draft, Receipt
from hookline.engine.ingest import Ingest
from hookline.engine.options import EngineOptions
from hookline.errors import HooklineError
from hookline.model.event_types import is_event_type
from hookline.store.changes import MessageKey, OutboxRow
from hookline.store.protocol import Management, Store
from hookline.store.scope import OrgScope

log = logging.getLogger("hookline.engine.relay")


class Relay(Background):
    name = "relay"

    def __init__(self, store: Store, ingest: Ingest, clock: Clock, options: EngineOptions) -> None:
        super().__init__()
        self._store: Store = store
        self._management: Management = store
        self._ingest = ingest
        self._clock = clock
        self._options = options
        self._in_hand: set[int] = set()

    async def work(self) -> float:
        if not self._ingest.accepting:
            return self._options.relay_poll_s
        rows = await self._store.read_outbox(self._options.relay_chunk)
        fresh = [row for row in rows if row.id not in self._in_hand]
        for row in fresh:
            await self._take(row)
        return 0.0 if fresh and len(rows) == self._options.relay_chunk else self._options.relay_poll_s

    async def _take(self, row: OutboxRow) -> None:
        fault = fault_of(row)
        application = None
        if fault is None:
            application = await self._management.get_application(OrgScope(row.org_id), row.app)
            if application is None:
                fault = f"the organization has no application {row.app!r}; create it, then clear `refused_at_ms`"
        if fault is not None or application is None:
            await self._store.refuse_outbox(row.id, fault or "", self._clock.now_ms())
            log.warning("outbox row refused", extra={"action": "outbox_refused", "row": row.id, "reason": fault})
            return
        self._in_hand.add(row.id)
        keys: tuple[MessageKey, ...] = ()
        if row.event_id is not None:
            expires_at_ms = self._clock.now_ms() + round(self._options.retention_s * 1000)
            keys = (MessageKey(f"event:{row.event_id}", b"", expires_at_ms),)
        draft = Draft(
            org_id=row.org_id,
            app_id=application.id,
            event_type=row.event_type,
            payload=row.payload,
            event_id=row.event_id,
            channels=row.channels,
            keys=keys,
            outbox_id=row.id,
        )
        self._ingest.offer(draft, lambda answer: self._taken(row.id, answer))

    def _taken(self, row_id: int, answer: Receipt | HooklineError) -> None:
        self._in_hand.discard(row_id)
        if isinstance(answer, HooklineError):
            # Failure policy: patient. The row is still there; the next round takes it again.
            log.info("outbox row waits", extra={"action": "outbox_waits", "row": row_id, "reason": answer.message})


def fault_of(row: OutboxRow) -> str | None:
    """Why a row can never be sent; None when it can."""
    if not is_event_type(row.event_type):
        return f"{row.event_type!r} is not an event type: letters, digits, `_`, `-` and `.`, at most 256 characters"
    try:
        msgspec.json.decode(row.payload, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return f"the payload is not a JSON object: {error}"
    return None
