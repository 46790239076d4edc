"""The operations application: where an organization's operational webhooks go.

It is made when its first endpoint is, and is no customer: lists of applications leave it out, and nobody renames or
deletes it. Its messages and attempts are read as those of any other application; nothing is told about itself.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hookline.clock import Clock
from hookline.model import Application, compile_filter, ids
from hookline.model.operational import OPERATIONAL_NAMES, OPERATIONAL_TYPES
from hookline.services.errors import ConflictError, InvalidError, Problem
from hookline.services.principal import Principal
from hookline.services.validation import MAX_EVENT_TYPES
from hookline.store.errors import ConflictError as StoreConflictError
from hookline.store.protocol import Management
from hookline.store.scope import AppScope, OrgScope

UID: Final = "operations"
NAME: Final = "Operational webhooks"


class Operations:
    """Finds, or makes, the operations application of whoever calls."""

    def __init__(self, store: Management, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def find_scope(self, principal: Principal) -> AppScope | None:
        """The application's scope; None while there is none.

        Raises:
            ForbiddenError: the caller is one application only.
        """
        application = await self._store.get_operations_application(principal.require_organization())
        return None if application is None else _scope_of(application)

    async def make_scope(self, principal: Principal) -> AppScope:
        """The same, after making what is not there yet.

        Raises:
            ForbiddenError: the caller is one application only.
        """
        scope = principal.require_organization()
        application = await self._store.get_operations_application(scope)
        return _scope_of(await self._create(scope) if application is None else application)

    async def _create(self, scope: OrgScope) -> Application:
        now_ms = self._clock.now_ms()
        wanted = Application(
            id=ids.new_id(ids.APPLICATION),
            org_id=scope.org_id,
            uid=UID,
            name=NAME,
            throttle_rate=None,
            metadata={},
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        try:
            return await self._store.create_operations_application(wanted)
        except StoreConflictError:
            # A customer's application has the uid: ours does without.
            return await self._store.create_operations_application(msgspec.structs.replace(wanted, uid=None))


async def refuse_operations(store: Management, application: Application) -> None:
    """Raises ConflictError when this is the operations application, which is not the caller's to change."""
    found = await store.get_operations_application(OrgScope(application.org_id))
    if found is not None and found.id == application.id:
        raise ConflictError(
            "This application is Hookline's own: operational webhooks go through it. "
            "Remove their endpoints, under /api/v1/operational-webhook/endpoint, to hear nothing more."
        )


def check_operational_types(names: tuple[str, ...] | None) -> None:
    """Raises InvalidError for filters that no operational event type matches."""
    problems = [
        Problem(
            ("event_types", index),
            f"No operational event type matches this. There are {', '.join(one.name for one in OPERATIONAL_TYPES)}.",
            "enum",
        )
        for index, name in enumerate((names or ())[:MAX_EVENT_TYPES])  # who has more is told so elsewhere
        if not any(compile_filter([name], None).wants(known, ()) for known in OPERATIONAL_NAMES)
    ]
    if problems:
        raise InvalidError(problems)


def _scope_of(application: Application) -> AppScope:
    return AppScope(application.org_id, application.id)
