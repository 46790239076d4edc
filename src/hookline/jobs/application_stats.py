"""`application.stats`: how many messages each application had in a time, and what became of them.

`data` has a row for each application with messages, and for each that was asked for by name. Attempts are those made
for these messages, whenever that was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hookline.jobs.run import Run
from hookline.jobs.usage import Counted, UsageWalk

APPLICATION_STATS: Final = "application.stats"
MOST_ROWS: Final = 10_000  # in one answer; `truncated` says that there were more
_COUNTS: Final = ("messages", "attempts", "succeeded", "failed", "canceled")


class ApplicationStats:
    name = APPLICATION_STATS

    def __init__(self, walk: UsageWalk) -> None:
        self._walk = walk

    async def work(self, run: Run) -> Mapping[str, Any]:
        named = run.task.parameters.get("app_ids") is not None
        rows: dict[str, dict[str, Any]] = {row["appId"]: row for row in run.task.result.get("applications", [])}
        truncated = bool(run.task.result.get("truncated"))
        while True:
            parts = [part async for part in self._walk.step(run)]
            if not parts:
                return run.task.result or {"applications": [], "truncated": False}
            for part in parts:
                if not part.usage.messages and not named:
                    continue
                if part.application.id not in rows and len(rows) >= MOST_ROWS:
                    truncated = True
                    continue
                _add(rows, part)
            await run.advance(
                parts[-1].cursor_members,
                looked_at=sum(part.usage.looked_at for part in parts),
                result={"applications": list(rows.values()), "truncated": truncated},
            )
            await run.breathe()


def _add(rows: dict[str, dict[str, Any]], part: Counted) -> None:
    application = part.application
    empty = {"appId": application.id, "appUid": application.uid, **dict.fromkeys(_COUNTS, 0)}
    row = rows.setdefault(application.id, empty)
    for count in _COUNTS:
        row[count] += getattr(part.usage, count)
