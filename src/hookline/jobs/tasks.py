"""Tasks as surfaces see them: what may be asked for, who may see it, and how it is called off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from hookline.clock import Clock
from hookline.jobs.application_stats import APPLICATION_STATS
from hookline.jobs.bulk_replay import BULK_REPLAY
from hookline.jobs.event_type_stats import EVENT_TYPE_STATS
from hookline.jobs.options import JobOptions
from hookline.jobs.purge_content import PURGE_CONTENT, PurgeParameters
from hookline.jobs.recover import RECOVER
from hookline.jobs.replay_missing import REPLAY_MISSING
from hookline.jobs.replaying import ReplayParameters
from hookline.jobs.usage import UsageParameters
from hookline.model import SVIX_STATUS_TEXT, Task, TaskState, ids
from hookline.services import Directory, LimitReachedError, NotFoundError, Principal
from hookline.services.validation import Findings, is_event_type, is_tag, may_be_name
from hookline.store.protocol import Page, Slice, Store
from hookline.store.scope import AppScope
from hookline.store.tasks import TaskFilter, TaskLimitError

MAX_EVENT_TYPES: Final = 100
MAX_APPLICATIONS: Final = 1_000
CUSTOMERS: Final = frozenset({RECOVER, REPLAY_MISSING, BULK_REPLAY})  # what customers' tokens may ask for
STATUS_CLASSES: Final = (0, 100, 200, 300, 400, 500)


class Window(msgspec.Struct, frozen=True):
    """A time: from `since_ms` until `until_ms` (exclusive), or until now."""

    since_ms: int
    until_ms: int | None = None


class BulkReplayForm(msgspec.Struct, frozen=True):
    """Which messages to send again; None means all. `status` is a number of the Svix API."""

    window: Window
    event_types: tuple[str, ...] | None = None
    channel: str | None = None
    tag: str | None = None
    status: int | None = None
    status_class: int | None = None


class Tasks:
    """Makes tasks, and finds those that a caller may see."""

    def __init__(self, store: Store, directory: Directory, clock: Clock, options: JobOptions) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock
        self._options = options

    async def recover(self, scope: AppScope, endpoint_id: str, window: Window) -> Task:
        """Try again what failed for good at an endpoint.

        Raises:
            InvalidError, NotFoundError, LimitReachedError: the window, the endpoint, too many open tasks.
        """
        return await self._replay(RECOVER, scope, endpoint_id, BulkReplayForm(window))

    async def replay_missing(self, scope: AppScope, endpoint_id: str, window: Window) -> Task:
        """Send an endpoint what it wants and never got. Raises as `recover`."""
        return await self._replay(REPLAY_MISSING, scope, endpoint_id, BulkReplayForm(window))

    async def bulk_replay(self, scope: AppScope, endpoint_id: str, form: BulkReplayForm) -> Task:
        """Send an endpoint again what it was sent. Raises as `recover`."""
        return await self._replay(BULK_REPLAY, scope, endpoint_id, form)

    async def purge_content(self, principal: Principal, scope: AppScope) -> Task:
        """Empty all payloads of an application.

        Raises:
            ForbiddenError: the caller may not send, so it may not take back either.
            LimitReachedError: too many open tasks.
        """
        principal.require_sender()
        parameters = PurgeParameters(until_ms=self._clock.now_ms() + 1)
        return await self._create(PURGE_CONTENT, scope.org_id, scope.app_id, parameters)

    async def application_stats(
        self, principal: Principal, window: Window, apps: Sequence[str] | None
    ) -> tuple[Task, list[str]]:
        """Count messages of applications (ids or uids; None: of all). With those that were not found.

        Raises:
            ForbiddenError: the caller is one application only.
            InvalidError: the window, too many names, or none of them was found.
            LimitReachedError: too many open tasks.
        """
        scope = principal.require_organization()
        findings = Findings()
        checked = self._check_window(window, findings)
        if apps is not None and len(apps) > MAX_APPLICATIONS:
            findings.add("app_ids", f"At most {MAX_APPLICATIONS} applications; leave it out for all.", "too_long")
        findings.finish()
        found: list[str] | None = None
        unresolved: list[str] = []
        if apps is not None:
            found = []
            for name in dict.fromkeys(apps):
                try:
                    found.append((await self._directory.find(principal, name)).id)
                except NotFoundError:
                    unresolved.append(name)
            if not found:
                findings.add("app_ids", "None of these applications exists.", "not_found")
                findings.finish()
        app_ids = None if found is None else tuple(dict.fromkeys(found))
        parameters = UsageParameters(checked.since_ms, checked.until_ms, app_ids)
        return await self._create(APPLICATION_STATS, scope.org_id, None, parameters), unresolved

    async def event_type_stats(self, principal: Principal) -> Task:
        """Count the event types of all messages that are kept.

        Raises:
            ForbiddenError: the caller is one application only.
            LimitReachedError: too many open tasks.
        """
        scope = principal.require_organization()
        until_ms = self._clock.now_ms() + 1
        parameters = UsageParameters(until_ms - self._retention_ms, until_ms)
        return await self._create(EVENT_TYPE_STATS, scope.org_id, None, parameters)

    async def get(self, principal: Principal, task_id: str) -> Task:
        """Raises NotFoundError, also for tasks of others."""
        task = await self._store.get_task(principal.org_scope, task_id) if may_be_name(task_id) else None
        if task is None or (principal.app_id is not None and principal.app_id != task.app_id):
            raise NotFoundError
        return task

    async def list_page(
        self, principal: Principal, page: Page, *, states: tuple[TaskState, ...] | None, kind: str | None
    ) -> Slice[Task]:
        """A caller that is one application sees the tasks of that application."""
        where = TaskFilter(states, kind, principal.app_id)
        return await self._store.list_tasks(principal.org_scope, page, where)

    async def cancel(self, principal: Principal, task_id: str) -> Task:
        """Ask to end a task; one that runs ends after its step. What has ended already stays as it is.

        Raises:
            NotFoundError: there is no such task for this caller.
            ForbiddenError: a customer calls off what only its provider may ask for.
        """
        task = await self.get(principal, task_id)
        if task.kind not in CUSTOMERS:
            principal.require_sender()
        canceled = await self._store.request_cancel(principal.org_scope, task.id, self._clock.now_ms())
        if canceled is None:
            raise NotFoundError
        return canceled

    # Parts

    async def _replay(self, kind: str, scope: AppScope, endpoint_id: str, form: BulkReplayForm) -> Task:
        findings = Findings()
        window = self._check_window(form.window, findings)
        _check_filters(form, findings)
        findings.finish()
        endpoint = await self._store.get_endpoint(scope, endpoint_id) if may_be_name(endpoint_id) else None
        if endpoint is None:
            raise NotFoundError
        parameters = ReplayParameters(
            endpoint_id=endpoint.id,
            since_ms=window.since_ms,
            until_ms=window.until_ms,
            event_types=form.event_types,
            channel=form.channel,
            tag=form.tag,
            statuses=None if form.status is None else (form.status,),
            status_class=form.status_class,
        )
        return await self._create(kind, scope.org_id, scope.app_id, parameters)

    async def _create(self, kind: str, org_id: str, app_id: str | None, parameters: msgspec.Struct) -> Task:
        now_ms = self._clock.now_ms()
        members: dict[str, Any] = msgspec.to_builtins(parameters)
        task = Task(
            id=ids.new_id(ids.TASK),
            org_id=org_id,
            app_id=app_id,
            kind=kind,
            parameters=members,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
            due_at_ms=now_ms,
        )
        try:
            return await self._store.create_task(task, most_open=self._options.most_open)
        except TaskLimitError as error:
            raise LimitReachedError(
                f"{self._options.most_open} tasks are open already. Wait until one has ended, or cancel one."
            ) from error

    @property
    def _retention_ms(self) -> int:
        return round(self._options.retention_s * 1000)

    def _check_window(self, window: Window, findings: Findings) -> _CheckedWindow:
        """An open end is now: what is accepted later is not part of it."""
        until_ms = window.until_ms if window.until_ms is not None else self._clock.now_ms() + 1
        if until_ms <= window.since_ms:
            findings.add("since", "Must be before `until`, which is now unless you give it.", "range")
        elif until_ms - window.since_ms > self._retention_ms:
            days = self._options.retention_s / 86_400
            findings.add("since", f"Longer than messages are kept ({days:g} days). Begin it later.", "range")
        return _CheckedWindow(window.since_ms, until_ms)


class _CheckedWindow(msgspec.Struct, frozen=True):
    since_ms: int
    until_ms: int


def _check_filters(form: BulkReplayForm, findings: Findings) -> None:
    names = form.event_types
    if names is not None and (len(names) > MAX_EVENT_TYPES or not all(is_event_type(name) for name in names)):
        findings.add("event_types", f"List at most {MAX_EVENT_TYPES} event types.", "string_pattern")
    if form.channel is not None and not may_be_name(form.channel):
        findings.add("channel", "No channel has this name.", "string_pattern")
    if form.tag is not None and not is_tag(form.tag):
        findings.add("tag", "No tag has this name.", "string_pattern")
    if form.status is not None and form.status not in SVIX_STATUS_TEXT:
        findings.add("status", "Use 0 success, 1 pending, 2 fail, 3 sending or 4 canceled.", "range")
    if form.status_class is not None and form.status_class not in STATUS_CLASSES:
        findings.add("status_code_class", "Use 0, 100, 200, 300, 400 or 500.", "range")
