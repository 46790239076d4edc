"""The operations application of an organization, and what its endpoints are told."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import msgspec

from hookline.model import Application
from hookline.store import announcing, records
from hookline.store.announcing import Announcement, Listener
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope, OrgScope
from hookline.store.sqlite import routing

_SQL = load_queries("sqlite", "operations")


def find_application(connection: sqlite3.Connection, scope: OrgScope) -> Application | None:
    row = connection.execute(_SQL["find_operations_application"], (scope.org_id,)).fetchone()
    return None if row is None else records.application_from_row(row)


def create_application(connection: sqlite3.Connection, application: Application) -> Application:
    """Make it, unless there is one: the one that there is now. The caller looks after the uid."""
    created = msgspec.structs.replace(application, routing_version=routing.next_version(connection))
    connection.execute(_SQL["insert_operations_application"], records.application_to_row(created))
    found = find_application(connection, OrgScope(application.org_id))
    return created if found is None else found


def find_endpoint_uid(connection: sqlite3.Connection, scope: AppScope, endpoint_id: str) -> str | None:
    row = connection.execute(_SQL["find_endpoint_uid"], (endpoint_id, scope.org_id, scope.app_id)).fetchone()
    return None if row is None else row[0]


def announce(connection: sqlite3.Connection, announcements: Sequence[Announcement]) -> bool:
    """Put them into the outbox, where somebody listens: whether anybody does. The last thing of a transaction."""
    listeners: dict[str | None, Listener | None] = {}
    rows = []
    for one in announcements:
        if one.app_id not in listeners:
            row = connection.execute(_SQL["find_listener"], (one.app_id,)).fetchone()
            listeners[one.app_id] = None if row is None else Listener(*row)
        listener = listeners[one.app_id]
        if listener is not None:
            rows.append(announcing.outbox_row(one, listener, _find_event_id(connection, one)))
    if rows:
        connection.executemany(_SQL["insert_outbox"], rows)
    return bool(rows)


def announce_to_organization(connection: sqlite3.Connection, org_id: str, one: Announcement) -> bool:
    """The same for what concerns the organization as a whole."""
    row = connection.execute(_SQL["find_listener_of_organization"], (org_id,)).fetchone()
    if row is not None:
        connection.execute(_SQL["insert_outbox"], announcing.outbox_row(one, Listener(*row), None))
    return row is not None


def _find_event_id(connection: sqlite3.Connection, one: Announcement) -> str | None:
    if one.message_id is None:
        return None
    row = connection.execute(_SQL["find_event_id"], (one.app_id, one.message_id)).fetchone()
    return None if row is None else row[0]
