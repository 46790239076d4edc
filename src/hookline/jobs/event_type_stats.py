"""`event-type.aggregate`: which event types an organization's messages have, and how many of each there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hookline.jobs.run import Run
from hookline.jobs.usage import UsageWalk

EVENT_TYPE_STATS: Final = "event-type.aggregate"
MOST_NAMES: Final = 10_000  # event types are free text; what comes beyond is counted as `others`


class EventTypeStats:
    name = EVENT_TYPE_STATS

    def __init__(self, walk: UsageWalk) -> None:
        self._walk = walk

    async def work(self, run: Run) -> Mapping[str, Any]:
        counts: dict[str, int] = {row["name"]: row["messages"] for row in run.task.result.get("eventTypes", [])}
        others = int(run.task.result.get("others", 0))
        while True:
            parts = [part async for part in self._walk.step(run)]
            if not parts:
                return _show(counts, others)
            for part in parts:
                for name, count in part.usage.by_event_type.items():
                    if name in counts or len(counts) < MOST_NAMES:
                        counts[name] = counts.get(name, 0) + count
                    else:
                        others += count
            looked_at = sum(part.usage.looked_at for part in parts)
            await run.advance(parts[-1].cursor_members, looked_at=looked_at, result=_show(counts, others))
            await run.breathe()


def _show(counts: Mapping[str, int], others: int) -> dict[str, Any]:
    """Most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {"eventTypes": [{"name": name, "messages": count} for name, count in ordered], "others": others}
