"""The health of endpoints: who fails since when, and who was disabled why."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import orjson

from hookline.model import Endpoint, EndpointStatus
from hookline.model.health import ENOUGH_ATTEMPTS, EndpointHealth, Evidence, FailingEndpoint, explain
from hookline.model.ids import ATTEMPT, ID_MARGIN_MS, id_at
from hookline.store.announcing import REQUESTED
from hookline.store.healing import HealthChanges
from hookline.store.queries import load_queries
from hookline.store.scope import AppScope

_SQL = load_queries("sqlite", "health")


def note(connection: sqlite3.Connection, changes: HealthChanges) -> None:
    """Write what the outcomes of a commit say."""
    connection.executemany(_SQL["note_healed"], [(endpoint_id,) for endpoint_id in changes.healed])
    connection.executemany(_SQL["note_failed"], changes.failed)
    connection.executemany(_SQL["note_exhausted"], [(at_ms, endpoint_id) for endpoint_id, at_ms in changes.exhausted])


def note_disabled(
    connection: sqlite3.Connection, app_id: str, endpoint_id: str, now_ms: int, reason: str, detail: str | None
) -> int | None:
    """Keep why it was disabled; since when it was failing, if it was."""
    row = (endpoint_id, app_id, now_ms, reason, detail)
    (failing_since_ms,) = connection.execute(_SQL["note_disabled"], row).fetchone()
    return None if failing_since_ms is None else int(failing_since_ms)


def note_change(connection: sqlite3.Connection, before: str, endpoint: Endpoint) -> None:
    """An endpoint was disabled on request, or is back: from a pause, too, in which it could not succeed."""
    is_disabled = endpoint.status is EndpointStatus.DISABLED
    if is_disabled and before != EndpointStatus.DISABLED:
        reason = endpoint.status_reason or REQUESTED
        note_disabled(connection, endpoint.app_id, endpoint.id, endpoint.updated_at_ms, reason, explain(reason))
    elif not is_disabled and before not in {EndpointStatus.ENABLED, endpoint.status}:
        forget(connection, endpoint.id)


def forget(connection: sqlite3.Connection, endpoint_id: str) -> None:
    connection.execute(_SQL["forget"], (endpoint_id,))


def forget_application(connection: sqlite3.Connection, app_id: str) -> None:
    connection.execute(_SQL["forget_application"], (app_id,))


def find(connection: sqlite3.Connection, scope: AppScope, endpoint_ids: Sequence[str]) -> dict[str, EndpointHealth]:
    wanted = orjson.dumps(list(endpoint_ids)).decode()
    rows = connection.execute(_SQL["find"], (scope.org_id, scope.app_id, wanted))
    return {endpoint_id: EndpointHealth(*values) for endpoint_id, *values in rows}


def list_failing(connection: sqlite3.Connection, before_ms: int, after_id: str, limit: int) -> list[FailingEndpoint]:
    return [FailingEndpoint(*row) for row in connection.execute(_SQL["list_failing"], (before_ms, after_id, limit))]


def weigh(connection: sqlite3.Connection, endpoint: FailingEndpoint, recent_ms: int) -> Evidence:
    endpoint_id = endpoint.endpoint_id
    since = id_at(ATTEMPT, endpoint.failing_since_ms - ID_MARGIN_MS)
    success = connection.execute(_SQL["find_success"], (endpoint_id, since, endpoint.failing_since_ms)).fetchone()
    if success is not None:
        again = connection.execute(_SQL["find_failure_after"], (endpoint_id, success[0])).fetchone()
        return Evidence(success[1], None if again is None else again[0], 0)
    recently = (endpoint_id, id_at(ATTEMPT, recent_ms - ID_MARGIN_MS), recent_ms, ENOUGH_ATTEMPTS)
    (failures,) = connection.execute(_SQL["count_failures"], recently).fetchone()
    return Evidence(None, None, failures)


def correct(connection: sqlite3.Connection, endpoint: FailingEndpoint, failing_since_ms: int | None) -> None:
    """Fails since then, or not at all; unless something else has become known of it meanwhile."""
    known = (endpoint.endpoint_id, endpoint.failing_since_ms)
    if failing_since_ms is None:
        connection.execute(_SQL["stop_failing"], known)
    else:
        connection.execute(_SQL["set_failing_since"], (*known, failing_since_ms))
