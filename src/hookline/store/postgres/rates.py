"""Rates: slots that are given to one node each, in one statement; rates never seen before get their rows first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hookline.store.changes import SlotRequest, Slots
from hookline.store.pacing import ABSURD_S, HORIZON_S
from hookline.store.postgres.base import PostgresBase, columns
from hookline.store.queries import load_queries

_SQL = load_queries("postgres", "rates")
_HORIZON_NS: Final = round(HORIZON_S * 1e9)
_ABSURD_NS: Final = round(ABSURD_S * 1e9)


class Rates(PostgresBase):
    """What Pacer asks."""

    async def take_slots(self, requests: Sequence[SlotRequest]) -> list[Slots]:
        given = await self._take(requests)
        known = {slots.key for slots in given}
        unknown = [asked for asked in requests if asked.key not in known]
        if unknown:
            async with self._rates.query() as connection:
                await connection.execute(_SQL["add_rates"], [asked.key for asked in unknown])
            given += await self._take(unknown)
        return given

    async def _take(self, requests: Sequence[SlotRequest]) -> list[Slots]:
        asked = columns([(one.key, one.rate, one.wanted) for one in requests], 3)
        rows = await self._rates.fetch(_SQL["take_slots"], *asked, _HORIZON_NS, _ABSURD_NS)
        return [Slots(key, delay_ns / 1e9, count) for key, delay_ns, count in rows]
