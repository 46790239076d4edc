"""The services on a real store: a SQLite database in memory, and a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from hookline.clock import ManualClock
from hookline.store import Store, create_store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(clock: ManualClock) -> AsyncIterator[Store]:
    store = create_store("sqlite:///:memory:", key_ring=None, clock=clock)
    await store.migrate()
    await store.open(engine=False)
    yield store
    await store.close()
