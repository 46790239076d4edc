"""Applications: an organization's customers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from hookline.clock import Clock
from hookline.model import Application, ids
from hookline.services.directory import Directory
from hookline.services.errors import ConflictError, NotFoundError
from hookline.services.operations import refuse_operations
from hookline.services.principal import Principal
from hookline.services.validation import Findings, check_metadata, check_name, check_throttle_rate, check_uid
from hookline.store.errors import ChangedMeanwhileError
from hookline.store.errors import ConflictError as StoreConflictError
from hookline.store.protocol import Management, Page, Slice
from hookline.store.scope import AppScope

DEFAULT_UID: Final = "default"
MAX_TRIES: Final = 20  # of a change that others interrupt


class ApplicationForm(msgspec.Struct, frozen=True):
    """What a caller says about an application."""

    name: str
    uid: str | None = None
    throttle_rate: int | None = None
    metadata: Mapping[str, str] = {}

    @classmethod
    def of(cls, application: Application) -> ApplicationForm:
        """The form that says what is already so: the base of a partial update."""
        return cls(application.name, application.uid, application.throttle_rate, application.metadata)


class Applications:
    """Creates, reads, changes and deletes applications."""

    def __init__(self, store: Management, directory: Directory, clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock

    async def create(
        self, principal: Principal, form: ApplicationForm, *, get_if_exists: bool = False
    ) -> tuple[Application, bool]:
        """A new application and True; with `get_if_exists` the one that has this uid already, and False.

        Raises:
            ForbiddenError: the caller is one application only.
            InvalidError: the form breaks a rule.
            ConflictError: the uid is taken.
        """
        scope = principal.require_organization()
        _check(form)
        if get_if_exists and form.uid is not None:
            existing = await self._store.get_application(scope, form.uid)
            if existing is not None:
                return existing, False
        now_ms = self._clock.now_ms()
        application = Application(
            id=ids.new_id(ids.APPLICATION),
            org_id=scope.org_id,
            uid=form.uid,
            name=form.name,
            throttle_rate=form.throttle_rate,
            metadata=form.metadata,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )
        try:
            return await self._store.create_application(application), True
        except StoreConflictError:
            # Somebody else was faster. With get_if_exists that is as good as having asked a moment later.
            existing = await self._store.get_application(scope, form.uid) if get_if_exists and form.uid else None
            if existing is None:
                raise
            return existing, False

    async def resolve_or_create(self, principal: Principal, id_or_uid: str, form: ApplicationForm | None) -> AppScope:
        """The scope of an application that a path names; it is made first if there is none and the form is for it.

        Raises:
            NotFoundError: there is none, and the form is missing, or for another uid, or not the caller's to make.
            InvalidError: the form breaks a rule.
        """
        try:
            return await self._directory.resolve(principal, id_or_uid)
        except NotFoundError:
            if form is None or form.uid != id_or_uid or principal.app_id is not None:
                raise
        application, _ = await self.create(principal, form, get_if_exists=True)
        return AppScope(application.org_id, application.id)

    async def resolve_default(self, principal: Principal) -> AppScope:
        """The application that a caller means who names none: its own, or the organization's default one, which is
        made at first use, so that whoever has but one project never creates anything first.
        """
        name = principal.app_id or DEFAULT_UID
        known = self._directory.remembered(principal, name)
        if known is not None:
            return known
        form = ApplicationForm("Default", DEFAULT_UID)
        return await self.resolve_or_create(principal, name, None if principal.app_id else form)

    async def get(self, principal: Principal, id_or_uid: str) -> Application:
        """Raises NotFoundError."""
        return await self._directory.find(principal, id_or_uid)

    async def list_page(self, principal: Principal, page: Page) -> Slice[Application]:
        """Raises ForbiddenError when the caller is one application only."""
        return await self._store.list_applications(principal.require_organization(), page)

    async def update(
        self, principal: Principal, id_or_uid: str, fill_form: Callable[[Application], ApplicationForm]
    ) -> Application:
        """Replace what the form says that `fill_form` makes of the application as it is: once more, if somebody else
        changed it meanwhile, so that neither change is lost.

        Raises:
            ForbiddenError: the caller is one application only.
            InvalidError: the form breaks a rule.
            ConflictError: the uid is taken, this is the operations application, or others change it all the time.
            NotFoundError: there is no such application.
        """
        principal.require_organization()
        application = await self._directory.find(principal, id_or_uid)
        await refuse_operations(self._store, application)
        for _ in range(MAX_TRIES):
            form = fill_form(application)
            _check(form)
            changed = msgspec.structs.replace(
                application,
                name=form.name,
                uid=form.uid,
                throttle_rate=form.throttle_rate,
                metadata=form.metadata,
                updated_at_ms=max(self._clock.now_ms(), application.updated_at_ms + 1),
            )
            try:
                updated = await self._store.update_application(changed, read_at_ms=application.updated_at_ms)
            except ChangedMeanwhileError:
                application = await self._directory.find(principal, application.id)
                continue
            self._directory.forget()
            if updated is None:
                raise NotFoundError
            return updated
        raise ConflictError("Others change this application all the time. Try again.")

    async def delete(self, principal: Principal, id_or_uid: str) -> str:
        """Delete an application with all its endpoints; its id, for whoever keeps it in memory.

        Raises:
            ForbiddenError: the caller is one application only.
            NotFoundError: there is no such application.
            ConflictError: it is the operations application.
        """
        principal.require_organization()
        application = await self._directory.find(principal, id_or_uid)
        await refuse_operations(self._store, application)
        deleted = await self._store.delete_application(
            AppScope(application.org_id, application.id), self._clock.now_ms()
        )
        self._directory.forget()
        if not deleted:
            raise NotFoundError
        return application.id


def _check(form: ApplicationForm) -> None:
    findings = Findings()
    check_name(form.name, findings)
    check_uid(form.uid, ids.APPLICATION, findings)
    check_throttle_rate(form.throttle_rate, findings)
    check_metadata(form.metadata, findings)
    findings.finish()
