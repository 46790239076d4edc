"""Which application a path means: an id or a uid, seen by a caller, becomes the scope for everything that follows.

The lookup is remembered for a few seconds for the one route that is called thousands of times a second. All others
ask the database each time, so that a uid that moved to another application is seen at once.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hookline.clock import Clock
from hookline.model import Application
from hookline.services.errors import NotFoundError
from hookline.services.principal import Principal
from hookline.services.validation import may_be_name
from hookline.store.protocol import Management
from hookline.store.scope import AppScope

REMEMBERED_S: Final = 5.0
MAX_REMEMBERED: Final = 50_000


class Directory:
    """Resolves applications. This is where a caller that is one application is kept out of all others."""

    def __init__(self, store: Management, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._scopes: OrderedDict[tuple[str, str], tuple[AppScope, float]] = OrderedDict()

    def remembered(self, principal: Principal, id_or_uid: str) -> AppScope | None:
        """The scope, if it was resolved within the last few seconds; None says nothing.

        Raises:
            NotFoundError: the caller is another application.
        """
        entry = self._scopes.get((principal.org_id, id_or_uid))
        if entry is None or entry[1] <= self._clock.monotonic_s():
            return None
        if principal.app_id is not None and principal.app_id != entry[0].app_id:
            raise NotFoundError
        return entry[0]

    async def resolve(self, principal: Principal, id_or_uid: str) -> AppScope:
        """The scope of an application that the caller may see.

        Raises:
            NotFoundError: there is none.
        """
        application = await self.find(principal, id_or_uid)
        return AppScope(application.org_id, application.id)

    async def find(self, principal: Principal, id_or_uid: str) -> Application:
        """The application itself.

        Raises:
            NotFoundError: there is none that the caller may see.
        """
        if not may_be_name(id_or_uid):
            raise NotFoundError
        application = await self._store.get_application(principal.org_scope, id_or_uid)
        if application is None or (principal.app_id is not None and principal.app_id != application.id):
            raise NotFoundError
        self._remember(application, id_or_uid)
        return application

    def forget(self) -> None:
        """Some application was renamed or deleted."""
        self._scopes.clear()

    def _remember(self, application: Application, id_or_uid: str) -> None:
        self._scopes[(application.org_id, id_or_uid)] = (
            AppScope(application.org_id, application.id),
            self._clock.monotonic_s() + REMEMBERED_S,
        )
        if len(self._scopes) > MAX_REMEMBERED:
            self._scopes.popitem(last=False)
