"""Applications, endpoints and API keys.

Every change of routing takes the next number of one clock, under its row's lock: versions become visible in order, so
`routing_changes` misses none. NOTIFY is part of the transaction: nobody hears of what was rolled back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from hookline.model import ApiKey, Application, Endpoint, EndpointStatus
from hookline.model.operational import ENDPOINT_DELETED
from hookline.store import announcing, records
from hookline.store.errors import ChangedMeanwhileError, ConflictError, StoreError
from hookline.store.postgres import health
from hookline.store.postgres.announcing import announce
from hookline.store.postgres.base import PostgresBase
from hookline.store.postgres.connections import Connection
from hookline.store.postgres.erasing import begin_erasure
from hookline.store.postgres.failures import retry_contention
from hookline.store.postgres.paging import fetch_page
from hookline.store.protocol import Change, Page, Routes, Slice
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope, OrgScope

_SQL = load_queries("postgres", "management")
_CLAIMS = load_queries("postgres", "claims")
_OPERATIONS = load_queries("postgres", "operations")
_NOTIFY = load_queries("postgres", "commit")["notify"]


class Management(PostgresBase):
    """What surfaces configure, and the routing tables made of it."""

    # --- applications -------------------------------------------------------------------------------------------------

    async def create_application(self, application: Application) -> Application:
        async with self._writing() as connection:
            created = msgspec.structs.replace(application, routing_version=await _next_version(connection))
            await connection.execute(_SQL["insert_application"], *records.application_to_row(created))
        return created

    async def get_application(self, scope: OrgScope, id_or_uid: str) -> Application | None:
        row = await self._reads.fetch_row(_SQL["find_application"], scope.org_id, id_or_uid)
        return None if row is None else records.application_from_row(tuple(row))

    async def list_applications(self, scope: OrgScope, page: Page) -> Slice[Application]:
        found = await fetch_page(self._reads, _SQL["list_applications"], page, scope.org_id)
        return Slice([records.application_from_row(row) for row in found.rows], found.done, found.last_seen)

    async def update_application(
        self, application: Application, *, read_at_ms: int | None = None
    ) -> Application | None:
        identifier, org_id, uid, name, throttle_rate, metadata, _, updated_at_ms, _ = records.application_to_row(
            application
        )
        values = (identifier, org_id, uid, name, throttle_rate, metadata, updated_at_ms)
        async with self._writing() as connection:
            version = await _next_version(connection)
            row = await connection.fetchrow(_SQL["update_application"], *values, version, read_at_ms)
            if row is None:
                found = await connection.fetchrow(_SQL["find_application"], org_id, identifier)
                if found is not None and read_at_ms is not None:
                    raise ChangedMeanwhileError("the application was changed by somebody else; read it again")
                return None
            await connection.execute(_NOTIFY, f"routing/{identifier}")
        return records.application_from_row(tuple(row))

    async def delete_application(self, scope: AppScope, now_ms: int) -> bool:
        return await retry_contention(lambda: self._delete_application_once(scope, now_ms))

    async def _delete_application_once(self, scope: AppScope, now_ms: int) -> bool:
        async with self._writing() as connection:
            endpoints = (scope.app_id, scope.org_id, now_ms)
            await begin_erasure(connection, scope)
            await connection.execute(_SQL["delete_endpoints_of_application"], *endpoints)
            await health.forget_application(connection, scope.app_id)
            version = await _next_version(connection)
            found = await connection.fetchval(_SQL["delete_application"], scope.app_id, scope.org_id, now_ms, version)
            # Again, for endpoints that were created until we had the clock; from now on there can be no more.
            await connection.execute(_SQL["delete_endpoints_of_application"], *endpoints)
            await connection.execute(_NOTIFY, f"routing/{scope.app_id}")
        return found is not None

    async def get_operations_application(self, scope: OrgScope) -> Application | None:
        row = await self._reads.fetch_row(_OPERATIONS["find_operations_application"], scope.org_id)
        return None if row is None else records.application_from_row(tuple(row))

    async def create_operations_application(self, application: Application) -> Application:
        async with self._writing() as connection:
            created = msgspec.structs.replace(application, routing_version=await _next_version(connection))
            row = records.application_to_row(created)
            await connection.execute(_OPERATIONS["insert_operations_application"], *row)
        found = await self.get_operations_application(OrgScope(application.org_id))
        return created if found is None else found

    # --- endpoints ----------------------------------------------------------------------------------------------------

    async def create_endpoint(self, endpoint: Endpoint) -> Endpoint:
        async with self._writing() as connection:
            await connection.execute(_SQL["insert_endpoint"], *records.endpoint_to_row(endpoint, self._key_ring))
            await announce(connection, announcing.of_created(endpoint))
            await _advance(connection, endpoint.org_id, endpoint.app_id)
        return endpoint

    async def get_endpoint(self, scope: AppScope, id_or_uid: str) -> Endpoint | None:
        row = await self._reads.fetch_row(_SQL["find_endpoint"], scope.org_id, scope.app_id, id_or_uid)
        return None if row is None else records.endpoint_from_row(tuple(row), self._key_ring)

    async def list_endpoints(self, scope: AppScope, page: Page) -> Slice[Endpoint]:
        found = await fetch_page(self._reads, _SQL["list_endpoints"], page, scope.org_id, scope.app_id)
        endpoints = [records.endpoint_from_row(row, self._key_ring) for row in found.rows]
        return Slice(endpoints, found.done, found.last_seen)

    async def update_endpoint(self, endpoint: Endpoint, *, read_at_ms: int | None = None) -> Endpoint | None:
        return await retry_contention(lambda: self._update_endpoint_once(endpoint, read_at_ms))

    async def _update_endpoint_once(self, endpoint: Endpoint, read_at_ms: int | None) -> Endpoint | None:
        owner = (endpoint.id, endpoint.org_id, endpoint.app_id)
        row = list(records.endpoint_to_row(endpoint, self._key_ring))
        del row[19]  # created_at_ms stays as it is
        async with self._writing() as connection:
            found = await connection.fetchrow(_SQL["lock_endpoint"], *owner)
            if found is None:
                return None
            status, updated_at_ms = found
            if read_at_ms is not None and updated_at_ms != read_at_ms:
                raise ChangedMeanwhileError("the endpoint was changed by somebody else; read it again")
            created_at_ms = await connection.fetchval(_SQL["update_endpoint"], *row)
            await connection.fetch(_CLAIMS["await_lanes"], [endpoint.id])
            if status != EndpointStatus.ENABLED and endpoint.status is EndpointStatus.ENABLED:
                await connection.execute(_SQL["close_lane"], endpoint.id, endpoint.updated_at_ms)
                news = f"lane/{endpoint.id} "
            else:
                # It may have become ordered, or stopped to be.
                await connection.execute(_CLAIMS["recompute_lanes"], [endpoint.id])
                news = ""
            await health.note_change(connection, status, endpoint)
            await announce(connection, announcing.of_updated(status, endpoint))
            await _advance(connection, endpoint.org_id, endpoint.app_id, news)
        return msgspec.structs.replace(endpoint, created_at_ms=created_at_ms)

    async def delete_endpoint(self, scope: AppScope, endpoint_id: str, now_ms: int) -> bool:
        async with self._writing() as connection:
            found = await connection.fetchrow(_SQL["delete_endpoint"], endpoint_id, scope.org_id, scope.app_id, now_ms)
            if found is None:
                return False
            await health.forget(connection, endpoint_id)
            deleted = announcing.of_endpoint(ENDPOINT_DELETED, scope.app_id, endpoint_id, found["uid"], None)
            await announce(connection, [deleted])
            await _advance(connection, scope.org_id, scope.app_id)
            return True

    async def count_endpoints(self) -> dict[EndpointStatus, int]:
        async with self._reads.transaction() as connection:
            await connection.execute("SET LOCAL enable_seqscan = on")  # it is the whole table that is asked for
            rows = await connection.fetch(_SQL["count_endpoints"])
        found = {EndpointStatus(status): count for status, count in rows}
        return {status: found.get(status, 0) for status in EndpointStatus}

    # --- API keys -----------------------------------------------------------------------------------------------------

    async def create_api_key(self, key: ApiKey) -> ApiKey:
        async with self._writing() as connection:
            await connection.execute(_SQL["insert_api_key"], *records.api_key_to_row(key))
        return key

    async def find_api_key(self, key_hash: bytes) -> ApiKey | None:
        row = await self._reads.fetch_row(_SQL["find_api_key"], key_hash)
        return None if row is None else records.api_key_from_row(tuple(row))

    async def list_api_keys(self, scope: OrgScope) -> list[ApiKey]:
        return [
            records.api_key_from_row(tuple(row)) for row in await self._reads.fetch(_SQL["list_api_keys"], scope.org_id)
        ]

    async def update_api_key(self, key: ApiKey) -> ApiKey | None:
        values = (key.id, key.org_id, key.name, key.expires_at_ms, key.revoked_at_ms)
        row = await self._reads.fetch_row(_SQL["update_api_key"], *values)
        return None if row is None else records.api_key_from_row(tuple(row))

    # --- routing ------------------------------------------------------------------------------------------------------

    async def load_routing(self, app_id: str) -> Routes | None:
        async with self._reads.query() as connection:
            # The version first: what is read afterwards is as new, or newer, and a newer version will be announced.
            found = await connection.fetchrow(_SQL["find_routing"], app_id)
            if found is None:
                return None
            rows = await connection.fetch(_SQL["list_live_endpoints"], app_id)
        version, throttle_rate = found
        return Routes(version, [records.endpoint_from_row(tuple(row), self._key_ring) for row in rows], throttle_rate)

    async def routing_changes(self, since: int, limit: int) -> list[Change]:
        return [Change(*row) for row in await self._reads.fetch(_SQL["list_routing_changes"], since, limit)]

    # --- parts --------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Connection]:
        try:
            async with self._reads.transaction() as connection:
                yield connection
        except asyncpg.UniqueViolationError as error:
            if "uid" not in (error.constraint_name or ""):
                raise
            raise ConflictError("another one has this uid already; choose another uid, or update that one") from error


async def _next_version(connection: Connection) -> int:
    version: int = await connection.fetchval(_SQL["next_routing_version"])
    return version


async def _advance(connection: Connection, org_id: str, app_id: str, news: str = "") -> None:
    """Move the version of an application, and say so. The last locks that a transaction takes.

    Raises:
        StoreError: there is no such application any more.
    """
    version = await _next_version(connection)
    if await connection.fetchval(_SQL["set_routing_version"], version, app_id, org_id) is None:
        raise StoreError("the application is gone; create its endpoints under another one", code="application_gone")
    await connection.execute(_NOTIFY, f"{news}routing/{app_id}")
