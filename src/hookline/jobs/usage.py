"""What the two statistics share: a walk through the messages of an organization, application by application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from hookline.jobs.options import JobOptions
from hookline.jobs.run import Run
from hookline.model import Application
from hookline.store.protocol import Page, Store
from hookline.store.scope import AppScope, OrgScope
from hookline.store.tasks import MessageWindow, Usage

APPLICATIONS_PER_STEP: Final = 50


class UsageParameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Messages made in [since_ms, until_ms), of these applications or of all."""

    since_ms: int
    until_ms: int
    app_ids: tuple[str, ...] | None = None


class UsageCursor(msgspec.Struct, frozen=True, omit_defaults=True):
    """Applications up to `app_id` are counted; that one itself only up to the message `after`, if it is given."""

    app_id: str = ""
    after: str | None = None


class Counted(msgspec.Struct, frozen=True):
    """Part of an application's messages, and where to go on after it."""

    application: Application
    usage: Usage
    cursor: UsageCursor

    @property
    def cursor_members(self) -> dict[str, Any]:
        members: dict[str, Any] = msgspec.to_builtins(self.cursor)
        return members


class UsageWalk:
    """Counts a bounded number of messages at a time."""

    def __init__(self, store: Store, options: JobOptions) -> None:
        self._store = store
        self._options = options

    async def step(self, run: Run) -> AsyncIterator[Counted]:
        """What one step counts, part by part; nothing when the walk is over."""
        parameters = msgspec.convert(run.task.parameters, UsageParameters)
        cursor = msgspec.convert(run.task.cursor or {}, UsageCursor)
        room = self._options.page
        for _ in range(APPLICATIONS_PER_STEP):
            application = await self._find(OrgScope(run.task.org_id), parameters, cursor)
            if application is None or room <= 0:
                return
            after = cursor.after if cursor.app_id == application.id else None
            window = MessageWindow.between(parameters.since_ms, parameters.until_ms, after)
            usage = await self._store.count_usage(AppScope(application.org_id, application.id), window, room)
            cursor = UsageCursor(application.id, None if usage.done else usage.last)
            room -= usage.looked_at
            yield Counted(application, usage, cursor)

    async def _find(self, scope: OrgScope, parameters: UsageParameters, cursor: UsageCursor) -> Application | None:
        """The application whose turn it is; None when all had theirs."""
        if cursor.after is not None:
            application = await self._store.get_application(scope, cursor.app_id)
            if application is not None:
                return application
        if parameters.app_ids is None:
            page = Page(1, after=cursor.app_id or None, ascending=True)
            found = await self._store.list_applications(scope, page)
            return found.rows[0] if found.rows else None
        for app_id in sorted(parameters.app_ids):
            if app_id > cursor.app_id:
                application = await self._store.get_application(scope, app_id)
                if application is not None:
                    return application
        return None
