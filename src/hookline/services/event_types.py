"""Event types: the catalog of what an organization sends, with JSON Schemas by version."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from hookline.clock import Clock
from hookline.model import EventType
from hookline.services import openapi_import
from hookline.services.errors import (
    BadRequestError,
    ConflictError,
    EventTypeExistsError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    Problem,
)
from hookline.services.event_type_form import EventTypeForm
from hookline.services.principal import Principal
from hookline.services.schemas import check_schemas
from hookline.services.validation import Findings, check_description, check_flags, check_group_name, is_event_type
from hookline.store.errors import ChangedMeanwhileError
from hookline.store.errors import ConflictError as StoreConflictError
from hookline.store.protocol import Catalog, EventTypeFilter, Page, Slice
from hookline.store.scope import OrgScope

MAX_TRIES: Final = 20  # of a change that others interrupt
MAX_EVENT_TYPES: Final = 10_000
LIST_CHUNK: Final = 250
MAX_CATALOG_BYTES: Final = 16 * 1_048_576  # of all schemas: every node may hold them in memory


class ImportedType(msgspec.Struct, frozen=True):
    """An event type that an import changes, or would change."""

    name: str
    form: EventTypeForm


class EventTypes:
    """Creates, reads, changes, archives and removes event types.

    The organization manages them. A customer sees those that have no feature flag, or one that its token carries; the
    others look to it as if they did not exist.
    """

    def __init__(self, store: Catalog, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def create(self, principal: Principal, name: str, form: EventTypeForm) -> EventType:
        """A new type, or an archived one made anew.

        Raises:
            ForbiddenError: the caller is one application only.
            InvalidError: the name or the form breaks a rule.
            EventTypeExistsError: there is a live one of this name.
            LimitReachedError: there are too many, or their schemas take too much.
        """
        scope = principal.require_organization()
        _check(form, name)
        await self._require_room(scope, {name: form})
        try:
            return await self._store.create_event_type(self._made(scope, name, form))
        except StoreConflictError as error:
            raise EventTypeExistsError(
                "An event type with this name exists already. Update it with PUT or PATCH."
            ) from error

    async def get(self, principal: Principal, name: str) -> EventType:
        """Raises NotFoundError."""
        event_type = await self.find(principal, name)
        if event_type is None:
            raise NotFoundError
        return event_type

    async def find(self, principal: Principal, name: str) -> EventType | None:
        """The type, if there is one that the caller sees."""
        event_type = await self._store.get_event_type(principal.org_scope, name) if is_event_type(name) else None
        return event_type if event_type is not None and _sees(principal, event_type) else None

    async def list_page(
        self, principal: Principal, page: Page, *, with_archived: bool = False, with_schemas: bool = True
    ) -> Slice[EventType]:
        """Those that the caller sees, by name."""
        flags = None if _is_provider(principal) else principal.feature_flags
        where = EventTypeFilter(with_archived, with_schemas, flags)
        return await self._store.list_event_types(principal.org_scope, page, where)

    async def put(self, principal: Principal, name: str, form: EventTypeForm) -> tuple[EventType, bool]:
        """Replace a type, or create it; the type, and whether it is new.

        Raises:
            ForbiddenError, InvalidError, LimitReachedError: as `create` says.
        """
        scope = principal.require_organization()
        _check(form, name)
        created = await self._store.get_event_type(scope, name) is None
        await self._require_room(scope, {name: form})
        (event_type,) = await self._store.put_event_types(scope, [self._made(scope, name, form)])
        return event_type, created

    async def put_all(
        self, principal: Principal, forms: Mapping[str, EventTypeForm], *, archive_others: bool
    ) -> list[EventType]:
        """Replace or create all of them, which were checked, or none; archive what is not among them, if asked.

        Raises:
            ForbiddenError, InvalidError, LimitReachedError: as `create` says.
        """
        scope = principal.require_organization()
        await self._require_room(scope, forms)
        made = [self._made(scope, name, form) for name, form in forms.items()]
        archive_at_ms = self._clock.now_ms() if archive_others else None
        return await self._store.put_event_types(scope, made, archive_others_at_ms=archive_at_ms)

    async def update(
        self, principal: Principal, name: str, fill_form: Callable[[EventType], EventTypeForm]
    ) -> EventType:
        """Replace what the form says that `fill_form` makes of the type as it is: once more, if it changed meanwhile.

        Raises:
            ForbiddenError, InvalidError, LimitReachedError: as `create` says.
            NotFoundError: there is no such type.
            ConflictError: others change this type all the time.
        """
        scope = principal.require_organization()
        for _ in range(MAX_TRIES):
            event_type = await self.get(principal, name)
            form = fill_form(event_type)
            _check(form, name)
            await self._require_room(scope, {name: form})
            changed = msgspec.structs.replace(self._made(scope, name, form), created_at_ms=event_type.created_at_ms)
            try:
                updated = await self._store.update_event_type(changed, read_at_ms=event_type.updated_at_ms)
            except ChangedMeanwhileError:
                continue
            if updated is None:
                raise NotFoundError
            return updated
        raise ConflictError("Others change this event type all the time. Try again.")

    async def delete(self, principal: Principal, name: str, *, expunge: bool = False) -> None:
        """Archive a type; with `expunge` remove it. Messages that were sent with it, and endpoints that name it, stay.

        Raises:
            ForbiddenError: the caller is one application only.
            NotFoundError: there is no such type.
        """
        scope = principal.require_organization()
        if not is_event_type(name):
            raise NotFoundError
        if expunge:
            found = await self._store.expunge_event_type(scope, name)
        else:
            found = await self._store.archive_event_type(scope, name, self._clock.now_ms())
        if not found:
            raise NotFoundError

    async def import_openapi(
        self,
        principal: Principal,
        spec: Mapping[str, Any] | None,
        spec_raw: str | None,
        *,
        dry_run: bool = False,
        replace_all: bool = False,
    ) -> list[ImportedType]:
        """Make an event type of each webhook that an OpenAPI document describes: new ones, and those that differ, which
        keep their flags and group. With `replace_all` all others are archived. Returns what differs.

        Raises:
            ForbiddenError: the caller is one application only.
            BadRequestError: not one document, but none or two.
            InvalidError: the document cannot be read, or a type in it breaks a rule.
            LimitReachedError: there are too many, or their schemas take too much.
        """
        scope = principal.require_organization()
        if (spec is None) == (spec_raw is None):
            raise BadRequestError("Give the document either as `spec` or as `specRaw`.")
        forms = await asyncio.to_thread(_read_forms, spec, spec_raw)
        existing = {row.name: row for row in await self._list_all(scope)}
        forms = {name: openapi_import.updated(form, existing.get(name)) for name, form in forms.items()}
        await asyncio.to_thread(_check_imported, forms)
        changed = [
            ImportedType(name, form)
            for name, form in forms.items()
            if name not in existing or EventTypeForm.of(existing[name]) != form
        ]
        if not dry_run and (changed or replace_all):
            put = forms if replace_all else {one.name: one.form for one in changed}
            await self.put_all(principal, put, archive_others=replace_all)
        return changed

    async def _list_all(self, scope: OrgScope) -> list[EventType]:
        found: list[EventType] = []
        while True:
            page = Page(LIST_CHUNK, after=found[-1].name if found else None, ascending=True)
            rows = await self._store.list_event_types(scope, page, EventTypeFilter(with_archived=True))
            found += rows.rows
            if rows.done:
                return found

    async def _require_room(self, scope: OrgScope, forms: Mapping[str, EventTypeForm]) -> None:
        """Failure policy: open by a little. Two who ask at once may both get in; the bound is for memory, not exact."""
        count, size = await self._store.measure_event_types(scope, besides=list(forms))
        if count + len(forms) > MAX_EVENT_TYPES:
            raise LimitReachedError(
                f"An organization may have {MAX_EVENT_TYPES} event types. Expunge what is not used."
            )
        size += sum(len(msgspec.json.encode(form.schemas)) for form in forms.values() if form.schemas)
        if size > MAX_CATALOG_BYTES:
            raise LimitReachedError(
                f"The schemas of an organization may take {MAX_CATALOG_BYTES} bytes in all. Remove old versions."
            )

    def _made(self, scope: OrgScope, name: str, form: EventTypeForm) -> EventType:
        now_ms = self._clock.now_ms()
        return EventType(
            org_id=scope.org_id,
            name=name,
            description=form.description,
            archived=form.archived,
            deprecated=form.deprecated,
            schemas=form.schemas or None,
            feature_flags=tuple(dict.fromkeys(form.feature_flags)) if form.feature_flags else None,
            group_name=form.group_name,
            created_at_ms=now_ms,
            updated_at_ms=now_ms,
        )


def _read_forms(spec: Mapping[str, Any] | None, spec_raw: str | None) -> dict[str, EventTypeForm]:
    return openapi_import.list_webhooks(openapi_import.read_document(spec_raw or "") if spec is None else spec)


def _check_imported(forms: Mapping[str, EventTypeForm]) -> None:
    """Raises InvalidError with what is wrong in the first type that breaks a rule, by its place in the document."""
    for name, form in forms.items():
        try:
            _check(form, name)
        except InvalidError as error:
            raise InvalidError(
                [
                    Problem(("spec",), problem.message, problem.kind, path=("webhooks", name, *problem.path))
                    for problem in error.problems
                ]
            ) from error


def _is_provider(principal: Principal) -> bool:
    """The organization, or its key for one application. Customers' tokens send nothing."""
    return principal.app_id is None or principal.may_send


def _sees(principal: Principal, event_type: EventType) -> bool:
    return (
        _is_provider(principal)
        or event_type.feature_flags is None
        or not set(principal.feature_flags).isdisjoint(event_type.feature_flags)
    )


def _check(form: EventTypeForm, name: str) -> None:
    findings = Findings()
    if not is_event_type(name):
        findings.add("name", "Use 1 to 256 letters, digits, full stops, hyphens and underscores.", "string_pattern")
    check_description(form.description, findings)
    check_flags(form.feature_flags, findings)
    check_group_name(form.group_name, findings)
    check_schemas(form.schemas, findings)
    findings.finish()
