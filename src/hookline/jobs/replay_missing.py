"""`endpoint.replay`: messages that the endpoint wants, by its filters as they are now, and never got.

It was disabled when they were sent, or did not exist, or had other filters. Nothing was ever owed to it, so nothing can
be on its way: they become deliveries like any others, with the whole schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hookline.jobs.replaying import Replaying, ReplayParameters
from hookline.jobs.run import Run
from hookline.model import Endpoint, Kind, compile_filter
from hookline.store.tasks import Candidate

REPLAY_MISSING: Final = "endpoint.replay"


class ReplayMissing:
    name = REPLAY_MISSING

    def __init__(self, replaying: Replaying) -> None:
        self._replaying = replaying

    async def work(self, run: Run) -> Mapping[str, Any]:
        return await self._replaying.walk(run, is_missing, Kind.SCHEDULED, by_payload=True)


def is_missing(_parameters: ReplayParameters, endpoint: Endpoint, one: Candidate) -> bool:
    """Whether the endpoint takes messages of this type and channel, and nobody ever meant to send it this one."""
    if one.state is not None:
        return False
    return compile_filter(endpoint.event_types, endpoint.channels).wants(one.event_type, one.channels)
