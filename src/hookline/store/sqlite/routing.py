"""Routing versions: every change of an endpoint takes the next number of one clock and gives it to its application."""

from __future__ import annotations

import sqlite3

from hookline.store import records
from hookline.store.errors import StoreError
from hookline.store.protocol import Change, Routes
from hookline.store.queries import load_queries
from hookline.store.sealing import KeyRing

_SQL = load_queries("sqlite", "management")


def next_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute(_SQL["next_routing_version"]).fetchone()
    return int(version)


def advance(connection: sqlite3.Connection, app_id: str) -> int:
    """Move the version of an application, whoever owns it."""
    version = next_version(connection)
    connection.execute(_SQL["set_routing_version_of_any"], (version, app_id))
    return version


def advance_for(connection: sqlite3.Connection, org_id: str, app_id: str) -> int:
    """Move the version of an application of this organization.

    Raises:
        StoreError: there is no such application any more.
    """
    version = next_version(connection)
    if not connection.execute(_SQL["set_routing_version"], (version, app_id, org_id)).rowcount:
        raise StoreError("the application is gone; create its endpoints under another one", code="application_gone")
    return version


def load(connection: sqlite3.Connection, app_id: str, key_ring: KeyRing) -> Routes | None:
    row = connection.execute(_SQL["find_routing"], (app_id,)).fetchone()
    if row is None:
        return None
    rows = connection.execute(_SQL["list_live_endpoints"], (app_id,))
    return Routes(row[0], [records.endpoint_from_row(found, key_ring) for found in rows], row[1])


def list_changes(connection: sqlite3.Connection, since: int, limit: int) -> list[Change]:
    return [Change(*row) for row in connection.execute(_SQL["list_routing_changes"], (since, limit))]
