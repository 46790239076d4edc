"""Outcomes as changes of `pending`: which row each attempt inserts, updates or deletes. Pure.

One statement makes all these changes, so each delivery may appear once. Where two things are said of one delivery, the
one that settles it wins, then the first that was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

from hookline.model import AttemptStatus, Kind, Message
from hookline.store.changes import Commit, DeliveryKey, Outcome, Spill
from hookline.store.records import attempt_to_row

SCHEDULED: Final = Kind.SCHEDULED.value
MANUAL: Final = Kind.MANUAL.value


class Action(IntEnum):
    """What to do with a row; the numbers are those of `change_pending`."""

    DELETE = 0
    DELETE_OURS_OR_FREE = 1
    UPDATE_OURS = 2
    INSERT_OR_UPDATE_OURS = 3
    FREE_OURS = 4
    INSERT_FREE = 5
    INSERT_LEASED = 6


_Change = tuple[str, str, str, str, int, int, int]
_Key = tuple[str, str, str]


class PendingChanges:
    """Collects changes: message, endpoint, kind, application, action, due, attempts."""

    def __init__(self) -> None:
        self._changes: dict[_Key, _Change] = {}

    def rows(self) -> list[_Change]:
        """In the order in which everybody takes these rows' locks."""
        return [self._changes[key] for key in sorted(self._changes)]

    def add_outcome(self, outcome: Outcome) -> None:
        attempt = outcome.attempt
        kind = attempt.kind.value
        message_id, endpoint_id, app_id = attempt.message_id, attempt.endpoint_id, attempt.app_id
        if attempt.status is AttemptStatus.SUCCEEDED:
            if outcome.has_row or outcome.late:
                self._put((message_id, endpoint_id, SCHEDULED, app_id, Action.DELETE, 0, 0))
                if kind == MANUAL:
                    self._put((message_id, endpoint_id, MANUAL, app_id, Action.DELETE, 0, 0))
        elif outcome.late:
            return  # whoever rescued this delivery decides about it now
        elif outcome.retry_at_ms is None:
            if attempt.final:
                self._put((message_id, endpoint_id, kind, app_id, Action.DELETE_OURS_OR_FREE, 0, 0))
        else:
            action = Action.UPDATE_OURS if outcome.has_row else Action.INSERT_OR_UPDATE_OURS
            self._put((message_id, endpoint_id, kind, app_id, action, outcome.retry_at_ms, attempt.number))

    def add_release(self, key: DeliveryKey) -> None:
        self._put((key.message_id, key.endpoint_id, key.kind.value, "", Action.FREE_OURS, 0, 0))

    def add_spill(self, spill: Spill) -> None:
        key = spill.key
        action = Action.INSERT_LEASED if spill.leased else Action.INSERT_FREE
        self._put((key.message_id, key.endpoint_id, key.kind.value, spill.app_id, action, spill.due_at_ms, 0))

    def add_delayed(self, message: Message) -> None:
        """Every delivery of a message for later waits until its time comes."""
        due_at_ms = message.deliver_at_ms or 0
        for endpoint_id in message.targets:
            self._put((message.id, endpoint_id, SCHEDULED, message.app_id, Action.INSERT_FREE, due_at_ms, 0))

    def _put(self, change: _Change) -> None:
        key = change[:3]
        if change[4] == Action.DELETE:
            self._changes[key] = change
        else:
            self._changes.setdefault(key, change)


def plan_pending(
    change: Commit, outcomes: Sequence[Outcome], delayed: Sequence[Message] = ()
) -> tuple[list[_Change], list[Outcome]]:
    """All changes of `pending` that a commit asks for, but ordered targets; and the outcomes with trouble.

    The happy path has neither.
    """
    changes = PendingChanges()
    troubled: list[Outcome] = []
    for outcome in outcomes:
        # The most frequent case first: born leased, succeeded, nothing to do.
        if outcome.has_row or outcome.late or outcome.healed or outcome.attempt.status is not AttemptStatus.SUCCEEDED:
            changes.add_outcome(outcome)
            troubled.append(outcome)
    for message in delayed:
        changes.add_delayed(message)
    for spill in change.spills:
        changes.add_spill(spill)
    for key in change.releases:
        changes.add_release(key)
    return changes.rows(), troubled


def attempt_rows(outcomes: Sequence[Outcome]) -> list[tuple[Any, ...]]:
    """The rows of `hookline_attempts`. A late failure ends nothing."""
    return [
        _storable(
            attempt_to_row(outcome.attempt, final=False)
            if outcome.late and outcome.attempt.status is not AttemptStatus.SUCCEEDED
            else attempt_to_row(outcome.attempt)
        )
        for outcome in outcomes
    ]


_DETAIL: Final = 10  # the one column that quotes what others said


def _storable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    detail: str = row[_DETAIL]
    if not detail or (detail.isascii() and "\0" not in detail):
        return row
    # PostgreSQL takes neither NUL nor half characters in a text; a reason is worth more than its exact letters.
    clean = detail.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return (*row[:_DETAIL], clean, *row[_DETAIL + 1 :])
