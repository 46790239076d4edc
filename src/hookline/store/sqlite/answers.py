"""Answers to requests with an Idempotency-Key."""

from __future__ import annotations

import sqlite3

from hookline.store.answers import ANSWER_COLUMN, MAX_ANSWER_BYTES, MAX_ANSWERS, KeptAnswer, row_name, wants_trim
from hookline.store.queries import load_queries
from hookline.store.scope import OrgScope
from hookline.store.sealing import KeyRing

_SQL = load_queries("sqlite", "answers")


def claim(
    connection: sqlite3.Connection,
    scope: OrgScope,
    name: bytes,
    owner: bytes,
    fingerprint: bytes,
    now_ms: int,
    until_ms: int,
    key_ring: KeyRing,
) -> KeptAnswer | None:
    values = {
        "org_id": scope.org_id,
        "name": name,
        "owner": owner,
        "fingerprint": fingerprint,
        "now_ms": now_ms,
        "until_ms": until_ms,
    }
    if connection.execute(_SQL["claim"], values).fetchone() is not None:
        if wants_trim(name):
            bounds = {"org_id": scope.org_id, "most": MAX_ANSWERS, "most_bytes": MAX_ANSWER_BYTES}
            connection.execute(_SQL["trim"], bounds)
        return None
    kept, sealed = connection.execute(_SQL["find"], (scope.org_id, name)).fetchone()
    return KeptAnswer(kept, None if sealed is None else key_ring.open(sealed, ANSWER_COLUMN, row_name(scope, name)))


def keep(
    connection: sqlite3.Connection,
    scope: OrgScope,
    name: bytes,
    owner: bytes,
    answer: bytes,
    expires_at_ms: int,
    key_ring: KeyRing,
) -> bool:
    sealed = key_ring.seal(answer, ANSWER_COLUMN, row_name(scope, name))
    values = {
        "org_id": scope.org_id,
        "name": name,
        "owner": owner,
        "answer": sealed,
        "size": len(sealed),
        "expires_at_ms": expires_at_ms,
    }
    return connection.execute(_SQL["keep"], values).rowcount > 0


def release(connection: sqlite3.Connection, scope: OrgScope, name: bytes, owner: bytes) -> None:
    connection.execute(_SQL["release"], (scope.org_id, name, owner))


def prune(connection: sqlite3.Connection, now_ms: int, limit: int) -> int:
    """Remove what has expired; how many rows that were."""
    return connection.execute(_SQL["prune"], (now_ms, limit)).rowcount
