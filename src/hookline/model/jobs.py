"""Jobs of the OpenAI API: what a caller hands over, does not wait for, and is told of when it has ended.

    queued ──claimed by a node──> in_progress ──answer──────────────────> completed, incomplete
                                      ├──failed for good, or too often──> failed
                                      └──node died, failure with tries left──> claimed again, still in_progress
    queued, in_progress ──cancel──> cancelled

The end of a job and the event that announces it are one transaction, so each job announces itself once. Source of the
states: OpenAI's API reference, responses; batches have others, and the same ends.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

RESPONSE = "response"  # the kind of background responses, and the prefix of their events


class JobState(StrEnum):
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(msgspec.Struct, frozen=True):
    """One job of an application. `request` and `result` are JSON as its kind writes it.

    `attempts` counts failures, and nodes that died of it. It is not begun again before `due_at_ms`.
    """

    id: str
    org_id: str
    app_id: str
    kind: str
    request: bytes
    created_at_ms: int
    due_at_ms: int
    state: JobState = JobState.QUEUED
    result: bytes | None = None
    attempts: int = 0
    started_at_ms: int | None = None
    ended_at_ms: int | None = None

    @property
    def is_open(self) -> bool:
        return self.ended_at_ms is None
