"""Organizations' settings and event types. Every change moves the version of the organization's catalog, under the
lock of its row, and is announced by the transaction itself.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from hookline.model import EventType, Organization, OrganizationSettings
from hookline.store import records
from hookline.store.errors import ChangedMeanwhileError, ConflictError
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.paging import fetch_page
from hookline.store.protocol import EventTypeFilter, Page, Slice
from hookline.store.queries import load_queries
from hookline.store.scope import OrgScope

_SQL = load_queries("postgres", "catalog")
_NOTIFY = load_queries("postgres", "commit")["notify"]


class Catalog(PostgresBase):
    """What messages and endpoints are checked by."""

    async def get_organization(self, scope: OrgScope) -> Organization:
        row = await self._reads.fetch_row(_SQL["find_organization"], scope.org_id)
        return records.organization_from_row(scope.org_id, None if row is None else tuple(row))

    async def update_settings(
        self, scope: OrgScope, settings: OrganizationSettings, *, read_version: int
    ) -> Organization:
        async with self._changing(scope.org_id) as (connection, version):
            if version != read_version + 1:
                raise ChangedMeanwhileError("the settings were changed by somebody else; read them again")
            await connection.execute(_SQL["set_settings"], scope.org_id, records.settings_to_text(settings))
        return Organization(scope.org_id, settings, version)

    async def create_event_type(self, event_type: EventType) -> EventType:
        async with self._changing(event_type.org_id) as (connection, _):
            row = await connection.fetchrow(_SQL["create_event_type"], *records.event_type_to_row(event_type))
            if row is None:
                raise ConflictError("an event type of this name exists already; update that one")
        return msgspec.structs.replace(event_type, created_at_ms=row[0], updated_at_ms=row[1])

    async def get_event_type(self, scope: OrgScope, name: str) -> EventType | None:
        row = await self._reads.fetch_row(_SQL["find_event_type"], scope.org_id, name)
        return None if row is None else records.event_type_from_row(tuple(row))

    async def list_event_types(self, scope: OrgScope, page: Page, where: EventTypeFilter) -> Slice[EventType]:
        flags = None if where.flags is None else list(where.flags)
        found = await fetch_page(
            self._reads, _SQL["list_event_types"], page, scope.org_id, where.with_archived, flags, where.with_schemas
        )
        return Slice([records.event_type_from_row((row[1], row[0], *row[2:])) for row in found.rows], found.done)

    async def list_live_types(self, scope: OrgScope, *, with_schemas: bool) -> list[tuple[str, str | None]]:
        rows = await self._reads.fetch(_SQL["list_live_types"], scope.org_id, with_schemas)
        return [(name, schemas) for name, schemas in rows]

    async def measure_event_types(self, scope: OrgScope, *, besides: Sequence[str]) -> tuple[int, int]:
        row = await self._reads.fetch_row(_SQL["measure_event_types"], scope.org_id, list(besides))
        return (0, 0) if row is None else (row[0], row[1])

    async def update_event_type(self, event_type: EventType, *, read_at_ms: int | None = None) -> EventType | None:
        async with self._changing(event_type.org_id) as (connection, _):
            row = await connection.fetchrow(_SQL["find_event_type"], event_type.org_id, event_type.name)
            if row is None:
                return None
            if read_at_ms is not None and records.event_type_from_row(tuple(row)).updated_at_ms != read_at_ms:
                raise ChangedMeanwhileError("the event type was changed by somebody else; read it again")
            return await _put(connection, event_type)

    async def put_event_types(
        self, scope: OrgScope, event_types: Sequence[EventType], *, archive_others_at_ms: int | None = None
    ) -> list[EventType]:
        async with self._changing(scope.org_id) as (connection, _):
            kept = [await _put(connection, event_type) for event_type in event_types]
            if archive_others_at_ms is not None:
                names = [event_type.name for event_type in event_types]
                await connection.execute(_SQL["archive_other_event_types"], scope.org_id, names, archive_others_at_ms)
        return kept

    async def archive_event_type(self, scope: OrgScope, name: str, now_ms: int) -> bool:
        async with self._changing(scope.org_id) as (connection, _):
            return await connection.fetchval(_SQL["archive_event_type"], scope.org_id, name, now_ms) is not None

    async def expunge_event_type(self, scope: OrgScope, name: str) -> bool:
        async with self._changing(scope.org_id) as (connection, _):
            return await connection.fetchval(_SQL["expunge_event_type"], scope.org_id, name) is not None

    @asynccontextmanager
    async def _changing(self, org_id: str) -> AsyncIterator[tuple[Connection, int]]:
        """A transaction that has the lock of the organization's row, and the version that it will leave behind."""
        async with self._reads.transaction() as connection:
            version: int = await connection.fetchval(_SQL["advance_catalog"], org_id)
            yield connection, version
            await connection.execute(_NOTIFY, f"catalog/{org_id}")


async def _put(connection: Connection, event_type: EventType) -> EventType:
    row = await connection.fetchrow(_SQL["put_event_type"], *records.event_type_to_row(event_type))
    assert row is not None
    return msgspec.structs.replace(event_type, created_at_ms=row[0], updated_at_ms=row[1])
