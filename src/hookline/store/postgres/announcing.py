"""Operational webhooks in a transaction under way: who listens, and the rows of the outbox for them."""

from __future__ import annotations

from collections.abc import Sequence

from hookline.store import announcing
from hookline.store.announcing import Announcement, Listener
from hookline.store.postgres.base import columns
from hookline.store.postgres.connections import Connection
from hookline.store.queries import load_queries

_SQL = load_queries("postgres", "operations")


async def announce(connection: Connection, announcements: Sequence[Announcement]) -> None:
    """Put them into the outbox, where somebody listens. New rows are in nobody's way: no locks to be ordered."""
    if not announcements:
        return
    app_ids = sorted({one.app_id for one in announcements if one.app_id is not None})
    found = await connection.fetch(_SQL["find_listeners"], app_ids)
    if not found:
        return
    listeners = {row[0]: Listener(row[1], row[2], row[3]) for row in found}
    heard = [one for one in announcements if one.app_id in listeners]
    event_ids: dict[str, str] = {}
    messages = announcing.message_keys(heard)
    if messages:
        event_ids = dict(
            tuple(row) for row in await connection.fetch(_SQL["find_event_ids"], *columns(list(messages), 2))
        )
    rows = [announcing.outbox_row(one, listeners[one.app_id], event_ids.get(one.message_id or "")) for one in heard]
    await connection.execute(_SQL["insert_outbox"], *columns(list(rows), 5))


async def announce_to_organization(connection: Connection, org_id: str, one: Announcement) -> None:
    """The same for what concerns the organization as a whole."""
    row = await connection.fetchrow(_SQL["find_listener_of_organization"], org_id)
    if row is not None:
        listener = Listener(row[0], row[1], None)
        await connection.execute(_SQL["insert_outbox"], *columns([announcing.outbox_row(one, listener, None)], 5))
