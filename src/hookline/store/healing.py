"""What outcomes say about their endpoints' health: who begins to fail, who gave a delivery up, who is well. Pure.

Only outcomes with trouble are looked at, and only their first and last word of an endpoint is written: one that fails
all the time costs a look, one that is well nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from hookline.model import AttemptStatus
from hookline.store.changes import Outcome


class HealthChanges:
    """Endpoint ids, in the order in which everybody takes their rows' locks."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self._healed: set[str] = set()
        self._failed: dict[str, tuple[str, int]] = {}
        self._exhausted: dict[str, int] = {}
        for outcome in outcomes:
            self._add(outcome)

    def _add(self, outcome: Outcome) -> None:
        attempt = outcome.attempt
        if attempt.status is AttemptStatus.SUCCEEDED:
            self._failed.pop(attempt.endpoint_id, None)
            self._exhausted.pop(attempt.endpoint_id, None)
            self._healed.add(attempt.endpoint_id)
        elif attempt.status is AttemptStatus.FAILED and not outcome.late:
            self._failed.setdefault(attempt.endpoint_id, (attempt.app_id, attempt.created_at_ms))
            if attempt.final:
                self._exhausted[attempt.endpoint_id] = attempt.created_at_ms + attempt.duration_ms

    @property
    def healed(self) -> list[str]:
        """Succeeded in these outcomes; if they are among `failed` too, that came afterwards."""
        return sorted(self._healed)

    @property
    def failed(self) -> list[tuple[str, str, int]]:
        """Endpoint, application, and when it failed first."""
        return [(endpoint_id, *self._failed[endpoint_id]) for endpoint_id in sorted(self._failed)]

    @property
    def exhausted(self) -> list[tuple[str, int]]:
        """Endpoint, and when it last gave a delivery up."""
        return sorted(self._exhausted.items())
