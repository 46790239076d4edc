"""A database with a past: many messages and attempts over weeks, written past the store, as fast as each database can.

One application has most messages and one of its endpoints most attempts; ten small ones stand beside it; and there is
something rare of each kind (a tag, an event type, an endpoint, a failure), which filters have to find.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import msgspec

from hookline.model import EndpointStatus
from hookline.model.ids import ATTEMPT, MESSAGE, id_at
from hookline.store import AppScope, Store
from hookline.store.postgres import PostgresStore, partitions
from support.store import ORG, application, endpoint

DAY_MS: Final = 86_400_000
SMALL_APPLICATIONS: Final = 10
RARE: Final = 5_000  # one in so many has the rare tag, or the rare type
MANY_AT_ONCE: Final = 20_000

MESSAGE_COLUMNS: Final = (
    "app_id",
    "id",
    "org_id",
    "event_type",
    "channels",
    "tags",
    "payload",
    "targets",
    "created_at_ms",
)
ATTEMPT_COLUMNS: Final = (
    "id",
    "app_id",
    "message_id",
    "endpoint_id",
    "kind",
    "number",
    "url",
    "status",
    "final",
    "reason",
    "detail",
    "response_status",
    "response_body",
    "duration_ms",
    "created_at_ms",
)
PENDING_COLUMNS: Final = ("message_id", "endpoint_id", "kind", "app_id", "attempts", "rescues", "due_at_ms")

Row = tuple[Any, ...]


class Past(msgspec.Struct):
    """What was made. `busy` gets everything of its application, `rare` next to nothing, `failing` nothing well."""

    scope: AppScope
    busy: str
    second: str
    rare: str
    failing: str
    now_ms: int
    messages: int
    attempts: int
    middle_message: str
    middle_attempt: str


class Plan:
    """The rows of a past of so many messages, with about three attempts each, oldest first."""

    def __init__(self, past: Past, apps: list[list[str]], payload: bytes, days: int) -> None:
        self._past = past
        self._apps = apps  # application, then its endpoints
        self._payload = payload
        self._start_ms = past.now_ms - days * DAY_MS
        self._step_ms = days * DAY_MS / past.messages
        self._serial = itertools.count()

    def messages(self) -> Iterator[Row]:
        for number in range(self._past.messages):
            app_id, *endpoints = self._app_of(number)
            at_ms = self._at(number)
            event_type = "rare.type" if number % RARE == 7 else f"type.{number % 20}"
            tags = "rare" if number % RARE == 11 else "common" if number % 2 else None
            channels = f"c{number % 10}"
            targets = ",".join(self._targets(number, endpoints))
            yield (app_id, self._message(number), ORG, event_type, channels, tags, self._payload, targets, at_ms)

    def attempts(self) -> Iterator[Row]:
        for number in range(self._past.messages):
            app_id, *endpoints = self._app_of(number)
            for endpoint_id in self._targets(number, endpoints):
                yield from self._attempts_at(number, app_id, endpoint_id)

    def pending(self) -> Iterator[Row]:
        """What the failing endpoint still gets of the newest messages."""
        for number in range(self._past.messages):
            app_id, *endpoints = self._app_of(number)
            if self._past.failing in self._targets(number, endpoints) and self._goes_on(number):
                due_ms = self._past.now_ms + DAY_MS
                yield (self._message(number), self._past.failing, "scheduled", app_id, 1, 0, due_ms)

    def _attempts_at(self, number: int, app_id: str, endpoint_id: str) -> Iterator[Row]:
        fails = endpoint_id == self._past.failing
        failures = 1 if fails else 2 if number % 4 == 0 and endpoint_id == self._past.busy else 0
        lost = number % 1_000 == 4
        for attempt in range(1, failures + 1):
            final = (fails and not self._goes_on(number)) or (lost and attempt == failures)
            yield self._attempt(number, app_id, endpoint_id, attempt, 2, final=final)
        if not fails and not (lost and failures):
            yield self._attempt(number, app_id, endpoint_id, failures + 1, 0, final=True)

    def _attempt(self, number: int, app_id: str, endpoint_id: str, attempt: int, status: int, *, final: bool) -> Row:
        at_ms = self._at(number) + attempt * 50
        name = id_at(ATTEMPT, at_ms)[:-16] + f"{next(self._serial):016d}"
        code, reason = (200, "") if status == 0 else (500, "http_status")
        url, message_id = "https://example.com/hooks", self._message(number)
        outcome = (url, status, final, reason, "", code, b"ok", 12, at_ms)
        return (name, app_id, message_id, endpoint_id, "scheduled", attempt, *outcome)

    def _app_of(self, number: int) -> list[str]:
        return self._apps[0] if number % 5 else self._apps[1 + number // 5 % SMALL_APPLICATIONS]

    def _targets(self, number: int, endpoints: list[str]) -> list[str]:
        if endpoints[0] != self._past.busy:
            return endpoints
        chosen = [self._past.busy, self._past.second]
        if number % 1_000 == 1:
            chosen.append(self._past.rare)
        if number % 3 == 0:
            chosen.append(self._past.failing)
        return chosen

    def _goes_on(self, number: int) -> bool:
        return number >= self._past.messages * 0.99

    def _at(self, number: int) -> int:
        return round(self._start_ms + number * self._step_ms)

    def _message(self, number: int) -> str:
        return id_at(MESSAGE, self._at(number))[:-16] + f"{number:016d}"


async def fill(
    store: Store, url: str, *, messages: int, now_ms: int, days: int = 60, payload_bytes: int = 1_024
) -> Past:
    """Fill a fresh database; `store` is open on it."""
    apps = []
    for number in range(1 + SMALL_APPLICATIONS):
        app = await store.create_application(application(name=f"Customer {number}", uid=f"customer-{number}"))
        made = [await store.create_endpoint(endpoint(app.id, status=EndpointStatus.ENABLED)) for _ in range(4)]
        apps.append([app.id, *(one.id for one in made)])
    main, busy, second, rare, failing = apps[0]
    past = Past(AppScope(ORG, main), busy, second, rare, failing, now_ms, messages, 0, "", "")
    payload = b'{"text":"%b"}' % (b"x" * (payload_bytes - 11))
    plan = Plan(past, apps, payload, days)
    counts: dict[str, int] = {}

    def counted(name: str, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            counts[name] = counts.get(name, 0) + 1
            yield row

    tables: list[tuple[str, tuple[str, ...], Callable[[], Iterator[Row]]]] = [
        ("messages", MESSAGE_COLUMNS, plan.messages),
        ("attempts", ATTEMPT_COLUMNS, plan.attempts),
        ("pending", PENDING_COLUMNS, plan.pending),
    ]
    if isinstance(store, PostgresStore):
        for at_ms in range(now_ms - days * DAY_MS, now_ms, partitions.WEEK_MS):
            await partitions.ensure_partitions(store._upkeep, at_ms)
        connection = await asyncpg.connect(url)
        for name, columns, rows in tables:
            await connection.copy_records_to_table(f"hookline_{name}", records=counted(name, rows()), columns=columns)
        await connection.execute("VACUUM ANALYZE")
        await connection.close()
    else:
        file = sqlite3.connect(Path(url.removeprefix("sqlite:///")), isolation_level=None)
        file.execute("PRAGMA synchronous = OFF")
        for name, columns, rows in tables:
            sql = f"INSERT INTO hookline_{name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
            waiting = counted(name, rows())
            while chunk := list(itertools.islice(waiting, MANY_AT_ONCE)):
                file.execute("BEGIN")
                file.executemany(sql, chunk)
                file.execute("COMMIT")
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        file.close()
    half = now_ms - days * DAY_MS // 2
    past.attempts = counts["attempts"]
    past.middle_message, past.middle_attempt = id_at(MESSAGE, half), id_at(ATTEMPT, half)
    return past
