"""Tasks: long work that goes on behind the API, with progress, a way to cancel it, and an end.

    queued ──claimed by a node──> running ──nothing left──────────> finished
      ^                             ├──its turn is over, node stops, failure with tries left──> queued
      └─────────────────────────────┘
    queued, running ──canceled──> canceled          running ──failed for good, or too often──> failed

What a task has done and where it goes on (`cursor`) are written in one transaction, so whoever continues it, after a
crash or a change of turn, does nothing twice and skips nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec


class TaskState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELED = "canceled"


OPEN_STATES = frozenset({TaskState.QUEUED, TaskState.RUNNING})


class Task(msgspec.Struct, frozen=True):
    """One piece of long work. `app_id` is set when it concerns one application only.

    `parameters` never change. `done` of `total` things were looked at (`total` None: nobody knows), `affected` of them
    were changed. `attempts` counts failures, and nodes that died of it, since the last step that was written; `error`
    says what the last one was. A queued task is not begun again before `due_at_ms`.
    """

    id: str
    org_id: str
    app_id: str | None
    kind: str
    parameters: Mapping[str, Any]
    created_at_ms: int
    updated_at_ms: int
    due_at_ms: int
    state: TaskState = TaskState.QUEUED
    done: int = 0
    total: int | None = None
    affected: int = 0
    cursor: Mapping[str, Any] | None = None
    result: Mapping[str, Any] = {}
    error: str | None = None
    attempts: int = 0
    cancel_requested: bool = False
    finished_at_ms: int | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES
