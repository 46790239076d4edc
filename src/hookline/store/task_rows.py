"""Tasks as rows and back, and where messages stand with one endpoint. The same for both databases, and pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from hookline.model import AttemptStatus, DeliveryState, Kind, Task, TaskState
from hookline.store.records import STATUS_NUMBER, Row
from hookline.store.tasks import Candidate, MessageWindow, Usage
from hookline.store.views import EndRow, PendingRow, view_deliveries

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode

_CANCELED: Final = STATUS_NUMBER[AttemptStatus.CANCELED]


def to_json(value: Any) -> str | None:
    """The text of a column that holds JSON; None stays None."""
    return None if value is None else _encode(value).decode()


def task_to_row(task: Task) -> Row:
    """Give the columns of hookline_tasks in their order, but those of the lease."""
    fields = msgspec.structs.asdict(task)
    for name in ("parameters", "cursor", "result"):
        fields[name] = to_json(fields[name])
    fields["state"] = task.state.value
    return tuple(fields.values())


def task_from_row(row: Sequence[Any]) -> Task:
    """Read the columns that `task_to_row` gives."""
    fields = dict(zip(Task.__struct_fields__, row, strict=True))
    for name in ("parameters", "cursor", "result"):
        if fields[name] is not None:
            fields[name] = _decode(fields[name])
    fields["state"] = TaskState(fields["state"])
    fields["cancel_requested"] = bool(fields["cancel_requested"])
    return Task(**fields)


class MessageRow(msgspec.Struct, frozen=True):
    """A message of a window. `is_target`: it was fanned out to the endpoint that is asked about."""

    id: str
    created_at_ms: int
    event_type: str
    channels: str | None
    tags: str | None
    payload_expired: bool | int
    is_target: bool | int


class StandingRow(msgspec.Struct, frozen=True):
    """An attempt (`is_end`) at the endpoint, or a row of `pending`, of one message; attempts in their order of time."""

    message_id: str
    is_end: bool | int
    kind: str
    status: int
    final: bool | int
    reason: str
    response_status: int
    attempts: int
    due_at_ms: int
    leased: bool | int
    enabled: bool | int | None


def judge_candidates(
    endpoint_id: str,
    messages: Iterable[MessageRow],
    standing: Iterable[StandingRow],
    window: MessageWindow,
    now_ms: int,
) -> list[Candidate]:
    """Say of each message where it stands with the endpoint."""
    by_message: dict[str, list[StandingRow]] = {}
    for row in standing:
        by_message.setdefault(row.message_id, []).append(row)
    candidates = []
    for message in messages:
        rows = by_message.get(message.id, [])
        candidates.append(
            Candidate(
                message_id=message.id,
                event_type=message.event_type,
                channels=tuple(message.channels.split(",")) if message.channels else (),
                tags=tuple(message.tags.split(",")) if message.tags else (),
                in_window=window.since_ms <= message.created_at_ms < window.until_ms,
                payload_expired=bool(message.payload_expired),
                state=_judge(endpoint_id, rows, now_ms, is_target=bool(message.is_target)),
                status_classes=frozenset(
                    row.response_status // 100 * 100 for row in rows if row.is_end and row.status != _CANCELED
                ),
                resend_waits=any(not row.is_end and row.kind == Kind.MANUAL for row in rows),
            )
        )
    return candidates


def _judge(endpoint_id: str, rows: Sequence[StandingRow], now_ms: int, *, is_target: bool) -> DeliveryState | None:
    ends = [EndRow(endpoint_id, row.kind, row.status, row.final, row.reason) for row in rows if row.is_end]
    pending = [
        PendingRow(endpoint_id, row.attempts, row.due_at_ms, row.leased, row.enabled)
        for row in rows
        if not row.is_end and row.kind == Kind.SCHEDULED
    ]
    views = view_deliveries([endpoint_id] if is_target else [], ends, pending, now_ms)
    if views:
        return views[0].state
    return DeliveryState.OWED if rows else None  # a resend by hand that was not made yet


class UsageRow(msgspec.Struct, frozen=True):
    """A message, whether it was made in the window's time, and the attempts made for it (None: there are none)."""

    message_id: str
    event_type: str
    in_window: bool | int
    succeeded: int | None
    failed: int | None
    canceled: int | None


def build_usage(rows: Sequence[UsageRow], limit: int) -> Usage:
    """Add up messages, which come in the order of their ids."""
    counted = [row for row in rows if row.in_window]
    by_event_type: dict[str, int] = {}
    for row in counted:
        by_event_type[row.event_type] = by_event_type.get(row.event_type, 0) + 1
    succeeded = sum(row.succeeded or 0 for row in counted)
    failed = sum(row.failed or 0 for row in counted)
    return Usage(
        looked_at=len(rows),
        last=rows[-1].message_id if rows else None,
        done=len(rows) < limit,
        messages=len(counted),
        attempts=succeeded + failed,
        succeeded=succeeded,
        failed=failed,
        canceled=sum(row.canceled or 0 for row in counted),
        by_event_type=by_event_type,
    )
