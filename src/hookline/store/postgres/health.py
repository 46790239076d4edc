"""The health of endpoints: who fails since when, and who was disabled why."""

from __future__ import annotations

from collections.abc import Sequence

from hookline.model import Endpoint, EndpointStatus
from hookline.model.health import ENOUGH_ATTEMPTS, EndpointHealth, Evidence, FailingEndpoint, explain
from hookline.model.ids import ATTEMPT, ID_MARGIN_MS, id_at
from hookline.store.announcing import REQUESTED
from hookline.store.healing import HealthChanges
from hookline.store.postgres.base import PostgresBase, columns
from hookline.store.postgres.connections import Connection
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope

_SQL = load_queries("postgres", "health")

DisabledRow = tuple[str, str, int, str, str | None]  # endpoint, application, when, reason, detail


class Health(PostgresBase):
    """What surfaces show of it, and what the Judge asks."""

    async def endpoint_health(self, scope: AppScope, endpoint_ids: Sequence[str]) -> dict[str, EndpointHealth]:
        rows = await self._reads.fetch(_SQL["find"], scope.org_id, scope.app_id, list(endpoint_ids))
        return {row[0]: EndpointHealth(*tuple(row)[1:]) for row in rows}

    async def list_failing(self, before_ms: int, after_id: str, limit: int) -> list[FailingEndpoint]:
        rows = await self._upkeep.fetch(_SQL["list_failing"], before_ms, after_id, limit)
        return [FailingEndpoint(*row) for row in rows]

    async def weigh_failing(self, endpoint: FailingEndpoint, recent_ms: int) -> Evidence:
        endpoint_id = endpoint.endpoint_id
        since = id_at(ATTEMPT, endpoint.failing_since_ms - ID_MARGIN_MS)
        success = await self._upkeep.fetch_row(_SQL["find_success"], endpoint_id, since, endpoint.failing_since_ms)
        if success is not None:
            again = await self._upkeep.fetch_value(_SQL["find_failure_after"], endpoint_id, success[0])
            return Evidence(success[1], again, 0)
        recently = (endpoint_id, id_at(ATTEMPT, recent_ms - ID_MARGIN_MS), recent_ms, ENOUGH_ATTEMPTS)
        return Evidence(None, None, await self._upkeep.fetch_value(_SQL["count_failures"], *recently))

    async def correct_failing(self, endpoint: FailingEndpoint, failing_since_ms: int | None) -> None:
        known = (endpoint.endpoint_id, endpoint.failing_since_ms)
        async with self._upkeep.query() as connection:
            if failing_since_ms is None:
                await connection.execute(_SQL["stop_failing"], *known)
            else:
                await connection.execute(_SQL["set_failing_since"], *known, failing_since_ms)


async def note(connection: Connection, changes: HealthChanges) -> None:
    """Write what the outcomes of a commit say. These locks come after those of lanes."""
    if changes.healed:
        await connection.execute(_SQL["note_healed"], changes.healed)
    if changes.failed:
        await connection.execute(_SQL["note_failed"], *columns(list(changes.failed), 3))
    if changes.exhausted:
        await connection.execute(_SQL["note_exhausted"], *columns(list(changes.exhausted), 2))


async def note_disabled(connection: Connection, rows: Sequence[DisabledRow]) -> dict[str, int | None]:
    """Keep why endpoints were disabled; since when each was failing, if it was."""
    found = await connection.fetch(_SQL["note_disabled"], *columns(list(rows), 5))
    return {row[0]: row[1] for row in found}


async def note_change(connection: Connection, before: str, endpoint: Endpoint) -> None:
    """An endpoint was disabled on request, or is back: from a pause, too, in which it could not succeed."""
    is_disabled = endpoint.status is EndpointStatus.DISABLED
    if is_disabled and before != EndpointStatus.DISABLED:
        reason = endpoint.status_reason or REQUESTED
        row = (endpoint.id, endpoint.app_id, endpoint.updated_at_ms, reason, explain(reason))
        await note_disabled(connection, [row])
    elif not is_disabled and before not in {EndpointStatus.ENABLED, endpoint.status}:
        await forget(connection, endpoint.id)


async def forget(connection: Connection, endpoint_id: str) -> None:
    await connection.execute(_SQL["forget"], endpoint_id)


async def forget_application(connection: Connection, app_id: str) -> None:
    await connection.execute(_SQL["forget_application"], app_id)
