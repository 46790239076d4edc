"""`application.purge_content`: the payloads of all messages that an application has at that moment are emptied.

What they still owe is canceled: there is nothing left to send. The messages and their attempts stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hookline.jobs.options import JobOptions
from hookline.jobs.replaying import MOST_COUNTED
from hookline.jobs.run import Run
from hookline.store.scope import AppScope
from hookline.store.tasks import Expunge, MessageWindow, TaskStore

PURGE_CONTENT: Final = "application.purge_content"


class PurgeParameters(msgspec.Struct, frozen=True):
    """Messages made before then."""

    until_ms: int


class PurgeContent:
    name = PURGE_CONTENT

    def __init__(self, store: TaskStore, options: JobOptions) -> None:
        self._store = store
        self._options = options

    async def work(self, run: Run) -> Mapping[str, Any]:
        until_ms = msgspec.convert(run.task.parameters, PurgeParameters).until_ms
        scope = AppScope(run.task.org_id, run.task.app_id or "")
        total: int | None = None
        if run.task.cursor is None:
            total = await self._store.count_window(scope, MessageWindow.between(0, until_ms), MOST_COUNTED)
        while True:
            after = None if run.task.cursor is None else str(run.task.cursor["after"])
            window = MessageWindow.between(0, until_ms, after)
            page = await self._store.list_contents(scope, window, self._options.page)
            full = [message_id for message_id, has_content in page if has_content]
            if page:
                effect = Expunge(scope, full) if full else None
                await run.advance({"after": page[-1][0]}, looked_at=len(page), total=total, effect=effect)
            if len(page) < self._options.page:
                return {"messages": run.task.affected}
            await run.breathe()
