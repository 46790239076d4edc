"""Where the deliveries of one message stand, from the rows that tell. Pure, the same for both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from hookline.model import DeliveryState, Kind, state_of_pending
from hookline.store.changes import WAITING_MS
from hookline.store.protocol import DeliveryView
from hookline.store.records import STATUS_OF_NUMBER, state_of_end

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

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
    """One view for each target, in their order, then for endpoints that it was sent to although it was not meant for
    them (replayed, or resent by hand). A success counts however it came about; a manual failure only where nothing else
    was ever tried.
    """
    meant = set(targets)
    rows = {row.endpoint_id: row for row in pending}
    made: dict[str, int] = {}
    ends: dict[str, EndRow] = {}
    for attempt in attempts:
        made.setdefault(attempt.endpoint_id, 0)
        if attempt.status != _CANCELED:
            made[attempt.endpoint_id] += 1
        known = ends.get(attempt.endpoint_id)
        if known is not None and known.status == _SUCCEEDED:
            continue
        counts = attempt.kind == Kind.SCHEDULED or attempt.status == _SUCCEEDED or attempt.endpoint_id not in meant
        if attempt.final and counts:
            ends[attempt.endpoint_id] = attempt
    others = [endpoint_id for endpoint_id in dict.fromkeys([*made, *rows]) if endpoint_id not in meant]
    return [
        _view(endpoint_id, made.get(endpoint_id, 0), ends.get(endpoint_id), rows.get(endpoint_id), now_ms)
        for endpoint_id in [*targets, *others]
    ]


SCAN_AT_ONCE: Final = 500  # messages whose deliveries are looked up together, when only some of them are wanted


class Standing:
    """Collects messages at one endpoint with where their deliveries stand, until a page is full. `rows` has up to one
    more than the page, in the order in which they were added: (message id, view).
    """

    def __init__(self, endpoint_id: str, limit: int, states: Collection[DeliveryState] | None, now_ms: int) -> None:
        self._endpoint_id = endpoint_id
        self._limit = limit
        self._states = states
        self._now_ms = now_ms
        self.rows: list[tuple[str, DeliveryView]] = []

    def next_size(self) -> int:
        """How many messages to bring next; 0 when there are enough."""
        missing = self._limit + 1 - len(self.rows)
        return missing if self._states is None or missing <= 0 else max(missing, SCAN_AT_ONCE)

    def add(
        self, message_ids: Sequence[str], ends: Mapping[str, list[EndRow]], pending: Mapping[str, list[PendingRow]]
    ) -> None:
        for message_id in message_ids:
            if len(self.rows) > self._limit:
                return
            of_it = (ends.get(message_id, []), pending.get(message_id, []))
            view = view_deliveries([self._endpoint_id], *of_it, self._now_ms)[0]
            if self._states is None or view.state in self._states:
                self.rows.append((message_id, view))


def _view(endpoint_id: str, attempts: int, end: EndRow | None, row: PendingRow | None, now_ms: int) -> DeliveryView:
    if end is not None and (row is None or end.status == _SUCCEEDED):
        return DeliveryView(endpoint_id, state_of_end(STATUS_OF_NUMBER[end.status], end.reason), attempts, None)
    if row is None:
        return DeliveryView(endpoint_id, DeliveryState.OWED, attempts, None)
    state = state_of_pending(
        endpoint_enabled=bool(row.enabled),
        leased=bool(row.leased),
        attempts=row.attempts,
        due_at_ms=row.due_at_ms % WAITING_MS,  # behind another one of its key it is owed, not delayed
        now_ms=now_ms,
    )
    has_no_date = state in {DeliveryState.LEASED, DeliveryState.PARKED} or row.due_at_ms >= WAITING_MS
    due_at_ms = None if has_no_date else row.due_at_ms
    return DeliveryView(endpoint_id, state, attempts, due_at_ms)
