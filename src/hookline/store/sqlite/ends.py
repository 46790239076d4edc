"""Final attempts that no request was made for: canceled deliveries and poisonous ones."""

from __future__ import annotations

import sqlite3

from hookline.model import MANUAL_NUMBER, Attempt, AttemptStatus, Kind
from hookline.model.ids import ATTEMPT, new_id
from hookline.store import records
from hookline.store.queries import load_queries

_INSERT_ATTEMPT = load_queries("sqlite", "commit")["insert_attempt"]

DETAILS = {
    "endpoint_deleted": "No request was made: the endpoint was deleted.",
    "payload_expired": "No request was made: the payload was removed when its time was up.",
    "payload_expunged": "No request was made: the payload was removed by request.",
    "poison": "Given up: each node that took this delivery died before it could record an attempt.",
}


class Ends:
    """Collects ends of one transaction, then writes them."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self.attempts: list[Attempt] = []

    def __len__(self) -> int:
        return len(self.attempts)

    def add(
        self,
        app_id: str,
        message_id: str,
        endpoint_id: str,
        kind: str,
        attempts: int,
        status: AttemptStatus,
        reason: str,
    ) -> None:
        """End the delivery that has made `attempts` requests before."""
        attempt = Attempt(
            id=new_id(ATTEMPT),
            app_id=app_id,
            message_id=message_id,
            endpoint_id=endpoint_id,
            kind=Kind(kind),
            number=MANUAL_NUMBER if kind == Kind.MANUAL else attempts + 1,
            url="",
            status=status,
            final=True,
            reason=reason,
            detail=DETAILS[reason],
            response_status=0,
            response_body=b"",
            duration_ms=0,
            created_at_ms=self._now_ms,
        )
        self.attempts.append(attempt)

    def write(self, connection: sqlite3.Connection) -> None:
        connection.executemany(_INSERT_ATTEMPT, [records.attempt_to_row(attempt) for attempt in self.attempts])
