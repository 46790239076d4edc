"""What an organization wants checked of its messages and endpoints, kept in memory for those who cannot wait.

    not known ──get──> loading ──> remembered ──5 s without a confirmation──> not known
                                     ├──confirm: its catalog has the same version──> remembered, anew
                                     └──news of a change, or another version──> not known

The route that accepts messages asks `remembered`, one look-up in a dictionary; what it does not find there goes the
long way and is loaded. News of changes come over the bus; should one be missed, the version tells within the seconds
that anything is remembered. Validators are made when the first message of their type comes.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson

from hookline.errors import HooklineError
from hookline.model.operational import OPERATIONAL_NAMES
from hookline.services.errors import Problem
from hookline.services.schemas import UNFIT, Validator, newest_version
from hookline.store.protocol import Catalog
from hookline.store.scope import OrgScope

REMEMBERED_S: Final = 5.0
CONFIRM_AFTER_S: Final = 1.0  # those who confirm more often than that share one question

log = logging.getLogger("hookline.services.checks")


class Checks:
    """The checks of one organization. `known` is None where any type may be sent; `schemas` are JSON text by type.
    `payload_retention_s` is how long its payloads are kept, if it says so.
    """

    __slots__ = ("_known", "_ordered", "_schemas", "_validators", "payload_retention_s")

    def __init__(
        self, known: frozenset[str] | None, schemas: Mapping[str, str], payload_retention_s: float | None = None
    ) -> None:
        self.payload_retention_s = payload_retention_s
        self._known = known
        self._ordered = sorted(known or ())
        self._schemas = schemas
        self._validators: dict[str, Validator] = {}

    def problems_of_message(self, event_type: str, payload: Any, size_bytes: int) -> list[Problem]:
        """What is wrong with a message, whose payload has so many bytes as JSON.

        Operational ones are our own: nobody else's catalog has them.
        """
        if event_type in OPERATIONAL_NAMES:
            return []
        if not self.may_be_sent(event_type):
            return [
                Problem(
                    ("event_type",),
                    "This event type is unknown or archived. Check its spelling, or create the type first.",
                    "event_type_unknown",
                )
            ]
        if event_type not in self._schemas:
            return []
        validator = self._validators.get(event_type)
        if validator is None:
            try:
                validator = self._validators[event_type] = _make_validator(self._schemas[event_type])
            except ValueError as error:
                # Failure policy: closed. Who asked for validation gets nothing through that was not validated.
                log.error(  # noqa: TRY400  (the error is about the schema: its trace says nothing)
                    "a schema cannot be used",
                    extra={"action": "schema_unusable", "event_type": event_type, "reason": str(error)[:200]},
                )
                return [Problem(("event_type",), "The schema of this event type cannot be used. Write it again.")]
        return [
            Problem(("payload",), problem.message, problem.kind, path=problem.path)
            for problem in validator.problems(payload, size_bytes)
        ]

    def may_be_sent(self, event_type: str) -> bool:
        """Whether messages may have this type."""
        return self._known is None or event_type in self._known or event_type in OPERATIONAL_NAMES

    def problems_of_filter(self, names: Sequence[str] | None, already: Sequence[str] | None = None) -> list[Problem]:
        """Which of an endpoint's event types there are not. What it has `already` may stay, also when archived."""
        if self._known is None or names is None:
            return []
        kept = frozenset(already or ())
        return [
            Problem(
                ("event_types", index),
                "There is no such event type. Check its spelling, or create the type first.",
                "event_type_unknown",
            )
            for index, name in enumerate(names)
            if name not in kept and not self._is_known(name)
        ]

    def take_over(self, previous: Checks) -> None:
        """Use the validators of an older state as far as their schemas are the same."""
        for name, validator in previous._validators.items():
            if self._schemas.get(name) == previous._schemas[name]:
                self._validators[name] = validator

    def _is_known(self, name: str) -> bool:
        if self._known is None or name == "*" or name in self._known or name in OPERATIONAL_NAMES:
            return True
        if not name.endswith(".*"):
            return False
        beginning = name[:-1]
        place = bisect.bisect_left(self._ordered, beginning)
        return (place < len(self._ordered) and self._ordered[place].startswith(beginning)) or any(
            operational.startswith(beginning) for operational in OPERATIONAL_NAMES
        )


#: nothing is checked: what most organizations want
NO_CHECKS: Final = Checks(None, {})


class _Remembered(msgspec.Struct):
    version: int
    confirmed_s: float
    timer: asyncio.TimerHandle


class ChecksCache:
    """The checks of those organizations that are at work now. `heard` is for the store's bus."""

    def __init__(self, store: Catalog, *, remembered_s: float = REMEMBERED_S) -> None:
        self._store = store
        self._remembered_s = remembered_s
        self._checks: dict[str, Checks] = {}
        self._entries: dict[str, _Remembered] = {}
        self._outdated: dict[str, Checks] = {}
        self._loading: dict[str, asyncio.Task[Checks]] = {}
        self._confirming: asyncio.Task[None] | None = None

    def remembered(self, org_id: str) -> Checks | None:
        """The checks, if they are in memory; None says nothing."""
        return self._checks.get(org_id)

    async def get(self, org_id: str) -> Checks:
        """The checks; one load serves all who wait.

        Raises:
            StoreUnavailableError: nobody can tell now.
        """
        known = self._checks.get(org_id)
        if known is not None:
            return known
        task = self._loading.get(org_id)
        if task is None:
            task = self._loading[org_id] = asyncio.create_task(self._load(org_id))
            task.add_done_callback(lambda done: self._loaded(org_id, done))
        return await asyncio.shield(task)

    async def confirm(self, org_id: str) -> None:
        """Ask whether what is remembered is still so; if it is, it is remembered anew.

        Raises:
            StoreUnavailableError: nobody can tell now. What is remembered is forgotten when its time is over.
        """
        entry = self._entries.get(org_id)
        now_s = asyncio.get_running_loop().time()
        if entry is None or now_s - entry.confirmed_s < CONFIRM_AFTER_S:
            return
        organization = await self._store.get_organization(OrgScope(org_id))
        if entry is not self._entries.get(org_id):
            return
        if entry.version != organization.catalog_version:
            self.forget(org_id)
        else:
            entry.timer.cancel()
            entry.confirmed_s = now_s
            entry.timer = asyncio.get_running_loop().call_later(self._remembered_s, self.forget, org_id)

    async def get_fresh(self, org_id: str) -> Checks:
        """The checks as they are at this moment, for those who can wait.

        Raises:
            StoreUnavailableError: nobody can tell now.
        """
        entry = self._entries.get(org_id)
        if entry is not None:
            entry.confirmed_s = float("-inf")
            await self.confirm(org_id)
        return await self.get(org_id)

    async def refuse(self, org_id: str, event_type: str, payload: bytes) -> str | None:
        """Why a message of this organization may not be sent; None when it may. For the log, too: it says where the
        payload does not fit, and not what stands there.

        Raises:
            StoreUnavailableError: nobody can tell now.
        """
        checks = await self.get(org_id)
        if checks is NO_CHECKS:
            return None
        problems = checks.problems_of_message(event_type, orjson.loads(payload), len(payload))
        reasons = [
            f"{'/'.join(str(part) for part in (*problem.field, *problem.path))}: "
            + ("it does not fit the schema of its event type" if problem.kind == UNFIT else problem.message)
            for problem in problems
        ]
        return "; ".join(reasons) or None

    def heard(self, topic: str, subject: str) -> None:
        """News from the bus."""
        if topic == "catalog":
            self.forget(subject)
        elif topic == "resync":
            # News may have been missed. Nobody is made to wait for that: what is remembered is looked at one by one.
            self._loading.clear()
            if self._entries and self._confirming is None:
                self._confirming = asyncio.create_task(self._confirm_all())
                self._confirming.add_done_callback(self._confirmed)

    def forget(self, org_id: str) -> None:
        """Its catalog changed. A load that is under way may have read the old state: not kept."""
        self._loading.pop(org_id, None)
        checks = self._checks.pop(org_id, None)
        entry = self._entries.pop(org_id, None)
        if entry is not None:
            entry.timer.cancel()
        if checks is not None and checks is not NO_CHECKS:
            self._outdated = {org_id: checks}  # the last one alone: it is for the load that follows at once

    async def _load(self, org_id: str) -> Checks:
        organization = await self._store.get_organization(OrgScope(org_id))
        settings = organization.settings
        knows, validates = settings.event_type_check == "known", settings.schema_validation == "on"
        days = settings.payload_retention_days
        checks = NO_CHECKS
        if knows or validates or days is not None:
            types: list[tuple[str, str | None]] = []
            if knows or validates:
                types = await self._store.list_live_types(OrgScope(org_id), with_schemas=validates)
            known = frozenset(name for name, _ in types) if knows else None
            schemas = {name: text for name, text in types if text is not None}
            checks = Checks(known, schemas, None if days is None else days * 86_400.0)
            previous = self._outdated.pop(org_id, None)
            if previous is not None:
                checks.take_over(previous)
        if self._loading.get(org_id) is asyncio.current_task():
            loop = asyncio.get_running_loop()
            timer = loop.call_later(self._remembered_s, self.forget, org_id)
            self._entries[org_id] = _Remembered(organization.catalog_version, loop.time(), timer)
            self._checks[org_id] = checks
        return checks

    def _loaded(self, org_id: str, task: asyncio.Task[Checks]) -> None:
        if not task.cancelled():
            task.exception()  # who awaits the task gets it
        if self._loading.get(org_id) is task:
            del self._loading[org_id]

    async def _confirm_all(self) -> None:
        for org_id in list(self._entries):
            entry = self._entries.get(org_id)
            if entry is not None:
                entry.confirmed_s = float("-inf")
                await self.confirm(org_id)

    def _confirmed(self, task: asyncio.Task[None]) -> None:
        self._confirming = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # Failure policy: open, for the seconds that anything is remembered.
            reason = error.code if isinstance(error, HooklineError) else type(error).__name__
            log.info("checks not confirmed", extra={"action": "checks_unconfirmed", "reason": reason})


def _make_validator(schemas_text: str) -> Validator:
    """The newest version's validator. Raises ValueError when its schema is none."""
    schemas = orjson.loads(schemas_text)
    version = newest_version(schemas)
    return Validator({} if version is None else schemas[version])
