"""`endpoint.bulk-replay`: messages that the endpoint was sent are sent again, whatever became of them.

Each is one more attempt beside the schedule, as a resend by hand is: what has arrived already need not be insisted on,
and the failure of such an attempt must not make a delivery that succeeded into one that failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hookline.jobs.replaying import Replaying, ReplayParameters
from hookline.jobs.run import Run
from hookline.model import SVIX_STATUS, Endpoint, Kind
from hookline.store.tasks import Candidate

BULK_REPLAY: Final = "endpoint.bulk-replay"


class BulkReplay:
    name = BULK_REPLAY

    def __init__(self, replaying: Replaying) -> None:
        self._replaying = replaying

    async def work(self, run: Run) -> Mapping[str, Any]:
        return await self._replaying.walk(run, is_wanted, Kind.MANUAL)


def is_wanted(parameters: ReplayParameters, _endpoint: Endpoint, one: Candidate) -> bool:
    """Whether the message was for this endpoint and fits all that was asked for."""
    if one.state is None or one.resend_waits:
        return False
    wanted = parameters
    return (
        (wanted.event_types is None or one.event_type in wanted.event_types)
        and (wanted.channel is None or wanted.channel in one.channels)
        and (wanted.tag is None or wanted.tag in one.tags)
        and (wanted.statuses is None or SVIX_STATUS[one.state] in wanted.statuses)
        and (wanted.status_class is None or wanted.status_class in one.status_classes)
    )
