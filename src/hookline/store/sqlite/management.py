"""Applications, endpoints and API keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from hookline.model import ApiKey, Application, Endpoint, EndpointStatus
from hookline.model.operational import ENDPOINT_DELETED
from hookline.store import announcing, records
from hookline.store.errors import ChangedMeanwhileError, ConflictError
from hookline.store.protocol import Page, Slice
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope, OrgScope
from hookline.store.sealing import KeyRing
from hookline.store.sqlite import erasing, health, lanes, operations, routing
from hookline.store.sqlite.paging import fetch_page

_SQL = load_queries("sqlite", "management")


def create_application(connection: sqlite3.Connection, application: Application) -> Application:
    created = msgspec.structs.replace(application, routing_version=routing.next_version(connection))
    with _unique_uid():
        connection.execute(_SQL["insert_application"], records.application_to_row(created))
    return created


def create_operations_application(connection: sqlite3.Connection, application: Application) -> Application:
    with _unique_uid():
        return operations.create_application(connection, application)


def find_application(connection: sqlite3.Connection, scope: OrgScope, id_or_uid: str) -> Application | None:
    row = connection.execute(_SQL["find_application"], (scope.org_id, id_or_uid)).fetchone()
    return None if row is None else records.application_from_row(row)


def list_applications(connection: sqlite3.Connection, scope: OrgScope, page: Page) -> Slice[Application]:
    found = fetch_page(connection, _SQL["list_applications"], {"org_id": scope.org_id}, page)
    return Slice([records.application_from_row(row) for row in found.rows], found.done, found.last_seen)


def update_application(
    connection: sqlite3.Connection, application: Application, read_at_ms: int | None
) -> Application | None:
    """Raises ChangedMeanwhileError when it is not any more what was read."""
    identifier, org_id, uid, name, throttle_rate, metadata, _, updated_at_ms, _ = records.application_to_row(
        application
    )
    version = routing.next_version(connection)
    with _unique_uid():
        row = connection.execute(
            _SQL["update_application"],
            (uid, name, throttle_rate, metadata, updated_at_ms, version, identifier, org_id, read_at_ms),
        ).fetchone()
    if row is None:
        if read_at_ms is not None and find_application(connection, OrgScope(org_id), identifier) is not None:
            raise ChangedMeanwhileError("the application was changed by somebody else; read it again")
        return None
    return records.application_from_row(row)


def delete_application(connection: sqlite3.Connection, scope: AppScope, now_ms: int) -> bool:
    erasing.begin(connection, scope)
    version = routing.next_version(connection)
    row = (now_ms, version, scope.app_id, scope.org_id)
    if not connection.execute(_SQL["delete_application"], row).rowcount:
        return False
    connection.execute(_SQL["delete_endpoints_of_application"], (now_ms, scope.app_id))
    health.forget_application(connection, scope.app_id)
    return True


def create_endpoint(connection: sqlite3.Connection, endpoint: Endpoint, key_ring: KeyRing) -> bool:
    """Write it; whether anybody is told of it."""
    routing.advance_for(connection, endpoint.org_id, endpoint.app_id)
    with _unique_uid():
        connection.execute(_SQL["insert_endpoint"], records.endpoint_to_row(endpoint, key_ring))
    return operations.announce(connection, announcing.of_created(endpoint))


def find_endpoint(
    connection: sqlite3.Connection, scope: AppScope, id_or_uid: str, key_ring: KeyRing
) -> Endpoint | None:
    row = connection.execute(_SQL["find_endpoint"], (scope.org_id, scope.app_id, id_or_uid)).fetchone()
    return None if row is None else records.endpoint_from_row(row, key_ring)


def find_endpoint_id(connection: sqlite3.Connection, scope: AppScope, endpoint_id: str) -> bool:
    """Whether this application has a live endpoint with this id."""
    row = (endpoint_id, scope.org_id, scope.app_id)
    return connection.execute(_SQL["find_endpoint_status"], row).fetchone() is not None


def list_endpoints(connection: sqlite3.Connection, scope: AppScope, page: Page, key_ring: KeyRing) -> Slice[Endpoint]:
    values = {"org_id": scope.org_id, "app_id": scope.app_id}
    found = fetch_page(connection, _SQL["list_endpoints"], values, page)
    return Slice([records.endpoint_from_row(row, key_ring) for row in found.rows], found.done, found.last_seen)


def update_endpoint(
    connection: sqlite3.Connection, endpoint: Endpoint, key_ring: KeyRing, read_at_ms: int | None
) -> tuple[Endpoint, bool, bool] | None:
    """Write it; the endpoint as it is now, whether it has just become enabled, and whether anybody is told of it.

    Raises:
        ChangedMeanwhileError: it is not any more what was read.
    """
    owner = (endpoint.id, endpoint.org_id, endpoint.app_id)
    row = connection.execute(_SQL["find_endpoint_status"], owner).fetchone()
    if row is None:
        return None
    if read_at_ms is not None and row[1] != read_at_ms:
        raise ChangedMeanwhileError("the endpoint was changed by somebody else; read it again")
    routing.advance_for(connection, endpoint.org_id, endpoint.app_id)
    with _unique_uid():
        (created_at_ms,) = connection.execute(
            _SQL["update_endpoint"], records.endpoint_to_row(endpoint, key_ring)
        ).fetchone()
    returned = row[0] != EndpointStatus.ENABLED and endpoint.status is EndpointStatus.ENABLED
    if returned:
        lanes.close(connection, endpoint.id, endpoint.updated_at_ms)
    else:
        lanes.recompute(connection, [endpoint.id])  # it may have become ordered, or stopped to be
    health.note_change(connection, row[0], endpoint)
    told = operations.announce(connection, announcing.of_updated(row[0], endpoint))
    return msgspec.structs.replace(endpoint, created_at_ms=created_at_ms), returned, told


def delete_endpoint(
    connection: sqlite3.Connection, scope: AppScope, endpoint_id: str, now_ms: int
) -> tuple[bool, bool]:
    """Mark it deleted: whether it was there, and whether anybody is told of it."""
    uid = operations.find_endpoint_uid(connection, scope, endpoint_id)
    row = (now_ms, endpoint_id, scope.org_id, scope.app_id)
    if not connection.execute(_SQL["delete_endpoint"], row).rowcount:
        return False, False
    routing.advance(connection, scope.app_id)
    health.forget(connection, endpoint_id)
    news = announcing.of_endpoint(ENDPOINT_DELETED, scope.app_id, endpoint_id, uid, None)
    return True, operations.announce(connection, [news])


def count_endpoints(connection: sqlite3.Connection) -> dict[EndpointStatus, int]:
    found = {EndpointStatus(status): count for status, count in connection.execute(_SQL["count_endpoints"])}
    return {status: found.get(status, 0) for status in EndpointStatus}


def create_api_key(connection: sqlite3.Connection, key: ApiKey) -> ApiKey:
    connection.execute(_SQL["insert_api_key"], records.api_key_to_row(key))
    return key


def find_api_key(connection: sqlite3.Connection, key_hash: bytes) -> ApiKey | None:
    row = connection.execute(_SQL["find_api_key"], (key_hash,)).fetchone()
    return None if row is None else records.api_key_from_row(row)


def list_api_keys(connection: sqlite3.Connection, scope: OrgScope) -> list[ApiKey]:
    return [records.api_key_from_row(row) for row in connection.execute(_SQL["list_api_keys"], (scope.org_id,))]


def update_api_key(connection: sqlite3.Connection, key: ApiKey) -> ApiKey | None:
    values = (key.name, key.expires_at_ms, key.revoked_at_ms, key.id, key.org_id)
    row = connection.execute(_SQL["update_api_key"], values).fetchone()
    return None if row is None else records.api_key_from_row(row)


@contextmanager
def _unique_uid() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        if "uid" not in str(error):
            raise
        raise ConflictError("another one has this uid already; choose another uid, or update that one") from error
