"""Where the deliveries of one message stand, from the rows that tell. Pure, the same for both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hookline.model import DeliveryState, Kind, state_of_pending
from hookline.store.protocol import DeliveryView
from hookline.store.records import STATUS_OF_NUMBER, state_of_end

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SUCCEEDED, _CANCELED = 0, 4


class EndRow(msgspec.Struct, frozen=True):
    """An attempt of the message, in order of time; `status` as its column numbers it."""

    endpoint_id: str
    kind: str
    status: int
    final: bool | int
    reason: str


class PendingRow(msgspec.Struct, frozen=True):
    """A scheduled row of the message in `pending`. `enabled`: the endpoint is enabled and not deleted."""

    endpoint_id: str
    attempts: int
    due_at_ms: int
    leased: bool | int
    enabled: bool | int | None


def view_deliveries(
    targets: Sequence[str], attempts: Iterable[EndRow], pending: Iterable[PendingRow], now_ms: int
) -> list[DeliveryView]:
    """One view for each target, in their order. A success counts however it came about; a manual failure does not."""
    made: dict[str, int] = {}
    ends: dict[str, EndRow] = {}
    for attempt in attempts:
        if attempt.status != _CANCELED:
            made[attempt.endpoint_id] = made.get(attempt.endpoint_id, 0) + 1
        known = ends.get(attempt.endpoint_id)
        if known is not None and known.status == _SUCCEEDED:
            continue
        if attempt.final and (attempt.kind == Kind.SCHEDULED or attempt.status == _SUCCEEDED):
            ends[attempt.endpoint_id] = attempt
    rows = {row.endpoint_id: row for row in pending}
    return [_view(target, made.get(target, 0), ends.get(target), rows.get(target), now_ms) for target in targets]


def _view(endpoint_id: str, attempts: int, end: EndRow | None, row: PendingRow | None, now_ms: int) -> DeliveryView:
    if end is not None and (row is None or end.status == _SUCCEEDED):
        return DeliveryView(endpoint_id, state_of_end(STATUS_OF_NUMBER[end.status], end.reason), attempts, None)
    if row is None:
        return DeliveryView(endpoint_id, DeliveryState.OWED, attempts, None)
    state = state_of_pending(
        endpoint_enabled=bool(row.enabled),
        leased=bool(row.leased),
        attempts=row.attempts,
        due_at_ms=row.due_at_ms,
        now_ms=now_ms,
    )
    due_at_ms = None if state in {DeliveryState.LEASED, DeliveryState.PARKED} else row.due_at_ms
    return DeliveryView(endpoint_id, state, attempts, due_at_ms)
