"""Organizations' settings and event types. Every change moves the version of the organization's catalog."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from hookline.model import EventType, Organization, OrganizationSettings
from hookline.store import records
from hookline.store.errors import ChangedMeanwhileError, ConflictError
from hookline.store.protocol import EventTypeFilter, Page, Slice
from hookline.store.queries import load_queries
from hookline.store.scope import OrgScope
from hookline.store.sqlite.paging import fetch_page

_SQL = load_queries("sqlite", "catalog")


def find_organization(connection: sqlite3.Connection, scope: OrgScope) -> Organization:
    row = connection.execute(_SQL["find_organization"], (scope.org_id,)).fetchone()
    return records.organization_from_row(scope.org_id, row)


def update_settings(
    connection: sqlite3.Connection, scope: OrgScope, settings: OrganizationSettings, read_version: int
) -> Organization:
    """Raises ChangedMeanwhileError when the catalog is not any more what was read."""
    version = _advance(connection, scope.org_id)
    if version != read_version + 1:
        raise ChangedMeanwhileError("the settings were changed by somebody else; read them again")
    connection.execute(_SQL["set_settings"], (records.settings_to_text(settings), scope.org_id))
    return Organization(scope.org_id, settings, version)


def create_event_type(connection: sqlite3.Connection, event_type: EventType) -> EventType:
    """Raises ConflictError when there is a live one of this name."""
    _advance(connection, event_type.org_id)
    row = connection.execute(_SQL["create_event_type"], records.event_type_to_row(event_type)).fetchone()
    if row is None:
        raise ConflictError("an event type of this name exists already; update that one")
    return msgspec.structs.replace(event_type, created_at_ms=row[0], updated_at_ms=row[1])


def find_event_type(connection: sqlite3.Connection, scope: OrgScope, name: str) -> EventType | None:
    row = connection.execute(_SQL["find_event_type"], (scope.org_id, name)).fetchone()
    return None if row is None else records.event_type_from_row(row)


def list_event_types(
    connection: sqlite3.Connection, scope: OrgScope, page: Page, where: EventTypeFilter
) -> Slice[EventType]:
    values = {
        "org_id": scope.org_id,
        "with_archived": where.with_archived,
        "with_schemas": where.with_schemas,
        "flags": None if where.flags is None else msgspec.json.encode(where.flags).decode(),
    }
    found = fetch_page(connection, _SQL["list_event_types"], values, page)
    return Slice([records.event_type_from_row((row[1], row[0], *row[2:])) for row in found.rows], found.done)


def list_live_types(
    connection: sqlite3.Connection, scope: OrgScope, *, with_schemas: bool
) -> list[tuple[str, str | None]]:
    values = {"org_id": scope.org_id, "with_schemas": with_schemas}
    return connection.execute(_SQL["list_live_types"], values).fetchall()


def measure_event_types(connection: sqlite3.Connection, scope: OrgScope, besides: Sequence[str]) -> tuple[int, int]:
    values = (scope.org_id, msgspec.json.encode(besides).decode())
    count, size = connection.execute(_SQL["measure_event_types"], values).fetchone()
    return count, size


def update_event_type(
    connection: sqlite3.Connection, event_type: EventType, read_at_ms: int | None
) -> EventType | None:
    """Raises ChangedMeanwhileError when it is not any more what was read."""
    found = find_event_type(connection, OrgScope(event_type.org_id), event_type.name)
    if found is None:
        return None
    if read_at_ms is not None and found.updated_at_ms != read_at_ms:
        raise ChangedMeanwhileError("the event type was changed by somebody else; read it again")
    return _put(connection, event_type)


def put_event_types(
    connection: sqlite3.Connection, scope: OrgScope, event_types: Sequence[EventType], archive_others_at_ms: int | None
) -> list[EventType]:
    kept = [_put(connection, event_type) for event_type in event_types]
    if archive_others_at_ms is not None:
        names = msgspec.json.encode([event_type.name for event_type in event_types]).decode()
        values = {"org_id": scope.org_id, "names": names, "now_ms": archive_others_at_ms}
        connection.execute(_SQL["archive_other_event_types"], values).fetchall()
        _advance(connection, scope.org_id)
    return kept


def archive_event_type(connection: sqlite3.Connection, scope: OrgScope, name: str, now_ms: int) -> bool:
    found = connection.execute(_SQL["archive_event_type"], (now_ms, scope.org_id, name)).fetchone() is not None
    if found:
        _advance(connection, scope.org_id)
    return found


def expunge_event_type(connection: sqlite3.Connection, scope: OrgScope, name: str) -> bool:
    found = connection.execute(_SQL["expunge_event_type"], (scope.org_id, name)).fetchone() is not None
    if found:
        _advance(connection, scope.org_id)
    return found


def _put(connection: sqlite3.Connection, event_type: EventType) -> EventType:
    _advance(connection, event_type.org_id)
    created_at_ms, updated_at_ms = connection.execute(
        _SQL["put_event_type"], records.event_type_to_row(event_type)
    ).fetchone()
    return msgspec.structs.replace(event_type, created_at_ms=created_at_ms, updated_at_ms=updated_at_ms)


def _advance(connection: sqlite3.Connection, org_id: str) -> int:
    (version,) = connection.execute(_SQL["advance_catalog"], (org_id,)).fetchone()
    return int(version)
