"""The numbers of background tasks. Three stand beside each batched thing: most per batch, longest wait, threshold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How tasks are paced. The defaults are what `hookline serve` uses."""

    # Running
    concurrency: int = 4  # tasks that one node works on at once
    poll_s: float = 2.0  # a new task wakes its runner; this is for those that nobody told of
    lease_s: float = 15.0  # a task whose node gave no sign for so long is taken over
    turn_s: float = 5.0  # a task that goes through much lets others go first after so long

    # Steps
    page: int = 500  # messages that one step looks at
    longest_rest_s: float = 1.0  # a step is followed by a rest as long as itself, but no longer than this

    # Failures
    max_attempts: int = 5  # failures in a row, without one step written between them
    first_backoff_s: float = 1.0  # doubles
    longest_backoff_s: float = 60.0

    # Limits and house-keeping
    most_open: int = 20  # of one application, and of an organization beside its applications
    retention_s: float = 90 * 86_400.0  # how long ended tasks are kept, and how far back a window may begin
    prune_every_s: float = 3_600.0
    prune_chunk: int = 1_000
