"""Relay: takes events out of the outbox, where applications put them inside their own transactions.

    asleep ──NOTIFY, data_version or poll──> read the oldest rows ──> ingest (group commit, deletes the row with it)
                                                  └──cannot be sent──> refused: kept with the reason, out of the way

No cursor: ids are given out before they commit, so a higher one may be visible first. The row is deleted by the very
transaction that makes its message durable; a row that another node took is left to it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import orjson

from hookline.clock import Clock
from hookline.engine.background import Background
from hookline.engine.drafts import Draft, Receipt
from hookline.engine.errors import EngineError
from hookline.engine.ingest import Ingest
from hookline.engine.options import EngineOptions
from hookline.errors import HooklineError
from hookline.model.event_types import is_event_type
from hookline.store.changes import MessageKey, OutboxRow
from hookline.store.protocol import Management, Store
from hookline.store.scope import OrgScope

log = logging.getLogger("hookline.engine.relay")


class Relay(Background):
    """`refuse` says why a message (organization, event type, payload) may not be sent, by rules of its organization;
    `payload_retention_s` for how long the payloads of an organization are kept (None: as long as their messages).
    """

    name = "relay"

    def __init__(self, store: Store, ingest: Ingest, clock: Clock, options: EngineOptions) -> None:
        super().__init__()
        self._store: Store = store
        self._management: Management = store
        self._ingest = ingest
        self._clock = clock
        self._options = options
        self._in_hand: set[int] = set()
        self._unwritable: dict[int, str] = {}
        self._more = False
        self.refuse: Callable[[str, str, bytes], Awaitable[str | None]] | None = None
        self.payload_retention_s: Callable[[str], Awaitable[float | None]] | None = None

    async def work(self) -> float:
        if not self._ingest.accepting:
            return self._options.relay_poll_s
        while self._unwritable:
            row_id, reason = self._unwritable.popitem()
            await self._refuse(row_id, reason)
        rows = await self._store.read_outbox(self._options.relay_chunk)
        self._more = len(rows) == self._options.relay_chunk
        app_ids: dict[tuple[str, str], str | None] = {}
        for row in rows:
            if row.id not in self._in_hand:
                await self._take(row, app_ids)
        if self._more and not self._in_hand:
            return 0.0
        return self._options.relay_poll_s  # the last one in hand wakes us if there is more

    async def _find_app_id(self, row: OutboxRow, known: dict[tuple[str, str], str | None]) -> str | None:
        key = (row.org_id, row.app)
        if key not in known:
            application = await self._management.get_application(OrgScope(row.org_id), row.app)
            known[key] = None if application is None else application.id
        return known[key]

    async def _refuse(self, row_id: int, reason: str) -> None:
        await self._store.refuse_outbox(row_id, reason, self._clock.now_ms())
        log.warning("outbox row refused", extra={"action": "outbox_refused", "row": row_id, "reason": reason})

    async def _take(self, row: OutboxRow, known: dict[tuple[str, str], str | None]) -> None:
        fault = fault_of(row)
        if fault is not None:
            await self._refuse(row.id, fault)
            return
        app_id = await self._find_app_id(row, known)
        if app_id is None:
            reason = f"the organization has no application {row.app!r}; create it, then clear `refused_at_ms`"
            await self._refuse(row.id, reason)
            return
        reason_against = None if self.refuse is None else await self.refuse(row.org_id, row.event_type, row.payload)
        if reason_against is not None:
            await self._refuse(row.id, f"{reason_against}; correct it, then clear `refused_at_ms`")
            return
        kept_s = None if self.payload_retention_s is None else await self.payload_retention_s(row.org_id)
        self._in_hand.add(row.id)
        now_ms = self._clock.now_ms()
        keys: tuple[MessageKey, ...] = ()
        if row.event_id is not None:
            expires_at_ms = now_ms + round(self._options.retention_s * 1000)
            keys = (MessageKey(f"event:{row.event_id}", b"", expires_at_ms),)
        draft = Draft(
            org_id=row.org_id,
            app_id=app_id,
            event_type=row.event_type,
            payload=row.payload,
            event_id=row.event_id,
            channels=row.channels,
            keys=keys,
            payload_expires_at_ms=None if kept_s is None else now_ms + round(kept_s * 1000),
            outbox_id=row.id,
        )
        self._ingest.offer(draft, lambda answer: self._taken(row.id, answer))

    def _taken(self, row_id: int, answer: Receipt | HooklineError) -> None:
        self._in_hand.discard(row_id)
        if type(answer) is EngineError and answer.code == EngineError.code:
            # Failure policy: closed. The database takes everything but this row: trying for ever would hold up others.
            self._unwritable[row_id] = answer.message
        elif isinstance(answer, HooklineError):
            # Failure policy: patient. The row is still there; the next round takes it again.
            log.info("outbox row waits", extra={"action": "outbox_waits", "row": row_id, "reason": answer.message})
            self._more = False
        if not self._in_hand and self._more:
            self.wake()


def fault_of(row: OutboxRow) -> str | None:
    """Why a row can never be sent; None when it can."""
    if not is_event_type(row.event_type):
        return f"{row.event_type!r} is not an event type: letters, digits, `_`, `-` and `.`, at most 256 characters"
    try:
        # As strict as for requests: whoever reads it later must not stumble over it, for that would hold up all others.
        payload = orjson.loads(row.payload)
    except orjson.JSONDecodeError as error:
        return f"the payload is not a JSON object: {error.msg.encode('ascii', 'replace').decode()}"
    return None if isinstance(payload, dict) else "the payload is not a JSON object"
