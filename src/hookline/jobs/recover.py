"""`endpoint.recover`: what failed for good is owed again, on the endpoint's whole schedule.

Svix makes one attempt for each message. Recoveries follow outages, and a receiver that has just come back stumbles:
with one attempt each, what fails again needs another recovery, and so on. So here a recovered delivery begins anew, as
if it had just been accepted. What goes on by itself (a retry that is due later, a resend) is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hookline.jobs.replaying import Replaying, ReplayParameters
from hookline.jobs.run import Run
from hookline.model import DeliveryState, Endpoint, Kind
from hookline.store.tasks import Candidate

RECOVER: Final = "endpoint.recover"
_FAILED: Final = frozenset({DeliveryState.EXHAUSTED, DeliveryState.ABORTED, DeliveryState.CANCELED})


class Recover:
    name = RECOVER

    def __init__(self, replaying: Replaying) -> None:
        self._replaying = replaying

    async def work(self, run: Run) -> Mapping[str, Any]:
        return await self._replaying.walk(run, has_failed, Kind.SCHEDULED)


def has_failed(_parameters: ReplayParameters, _endpoint: Endpoint, one: Candidate) -> bool:
    """Whether the delivery has ended without success, and nobody is trying it again."""
    return one.state in _FAILED and not one.resend_waits
