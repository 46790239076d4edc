"""Outcomes of attempts: the attempt's row, and what becomes of the delivery's row in `pending`."""

from __future__ import annotations

import sqlite3
from typing import Final

from hookline.model import AttemptStatus, Kind
from hookline.store.changes import Commit, Outcome
from hookline.store.queries import load_queries
from hookline.store.sqlite import lanes

_SQL = load_queries("sqlite", "commit")
_INSERT_ATTEMPT = _SQL["insert_attempt"]
_NUMBER: Final = {"succeeded": 0, "failed": 2, "canceled": 4}
_SUCCEEDED: Final = AttemptStatus.SUCCEEDED


def write_outcomes(connection: sqlite3.Connection, change: Commit, freed: lanes.Freed) -> list[Outcome]:
    """Write all attempts, then settle, retry or leave alone what `pending` has of them; those with trouble."""
    connection.executemany(
        _INSERT_ATTEMPT,
        [
            (
                a.id,
                a.app_id,
                a.message_id,
                a.endpoint_id,
                a.kind._value_,
                a.number,
                a.url,
                _NUMBER[a.status._value_],
                # A late failure ends nothing: whoever took over goes on. 1 and 0, as for a bool SQLite asks around.
                1 if a.final and not (o.late and a.status is not _SUCCEEDED) else 0,
                a.reason,
                a.detail,
                a.response_status,
                a.response_body,
                a.duration_ms,
                a.created_at_ms,
                a.next_attempt_at_ms or 0,
            )
            for o in change.outcomes
            for a in (o.attempt,)
        ],
    )
    troubled = [o for o in change.outcomes if o.has_row or o.late or o.healed or o.attempt.status is not _SUCCEEDED]
    if troubled:
        _move_rows(connection, change, troubled, freed)
    return troubled


def _move_rows(connection: sqlite3.Connection, change: Commit, outcomes: list[Outcome], freed: lanes.Freed) -> None:
    node_id, epoch = change.node.node_id, change.node.epoch
    for outcome in outcomes:
        a = outcome.attempt
        kind = a.kind._value_
        if a.status is _SUCCEEDED:
            # Whoever leases it: the receiver has the message, nobody need send it again.
            connection.execute(_SQL["delete_row"], (a.message_id, a.endpoint_id, Kind.SCHEDULED._value_))
            if a.kind is Kind.MANUAL:
                connection.execute(_SQL["delete_row"], (a.message_id, a.endpoint_id, kind))
        elif outcome.late:
            continue
        elif outcome.retry_at_ms is not None:
            query = _SQL["update_retry"] if outcome.has_row else _SQL["insert_retry"]
            row = (a.message_id, a.endpoint_id, kind, a.app_id, a.number, outcome.retry_at_ms, node_id, epoch)
            if connection.execute(query, row).rowcount:
                freed.add(a.endpoint_id, a.app_id, outcome.retry_at_ms)
        elif a.final:
            row_of_ours = (a.message_id, a.endpoint_id, kind, node_id, epoch)
            connection.execute(_SQL["delete_row_of_ours_or_free"], row_of_ours)
        freed.moved(a.endpoint_id)
