"""When the answer to COMMIT is lost: what the store says, and that nothing is there twice or lost afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from hookline.model import Kind
from hookline.model.ids import BATCH
from hookline.store import (
    AmbiguousCommitError,
    KeyRing,
    MessageFilter,
    NewMessage,
    Outcome,
    Page,
    StoreUnavailableError,
)
from hookline.store.postgres import PostgresStore
from support.store import NOW, World, attempt, failure, message, new_id
from support.tcp_proxy import Fate, TcpProxy

COMMIT = b"COMMIT\x00"


@pytest.fixture
async def proxy(postgres_dsn: str) -> AsyncIterator[TcpProxy]:
    port = urlsplit(postgres_dsn).port
    assert port is not None
    async with TcpProxy(port) as proxy:
        yield proxy


@pytest.fixture
async def remote(postgres_dsn: str, proxy: TcpProxy) -> AsyncIterator[World]:
    """Give a world whose store reaches its server through the proxy."""
    parts = urlsplit(postgres_dsn)
    url = parts._replace(netloc=f"postgres@127.0.0.1:{proxy.port}").geturl()
    store = PostgresStore(url, key_ring=KeyRing.generate())
    await store.migrate()
    await store.open(engine=True)
    yield await World(store).build()
    await store.close()


def _messages(world: World, count: int = 2) -> list[NewMessage]:
    return [NewMessage(message(world.app.id, "ep_one")) for _ in range(count)]


async def test_a_commit_whose_answer_was_lost_did_happen(remote: World, proxy: TcpProxy) -> None:
    batch_id, messages = new_id(BATCH), _messages(remote)
    proxy.watch(COMMIT, Fate.SWALLOW_ANSWER)
    with pytest.raises(AmbiguousCommitError) as caught:
        await remote.write(messages=messages, batch_id=batch_id)
    assert caught.value.result is not None
    assert await remote.store.resolve_batch(batch_id) is True
    assert await remote.store.get_message(remote.scope, messages[0].message.id) == messages[0].message
    assert await remote.store.own_batches(remote.node, NOW + 1) == [batch_id]


async def test_a_commit_that_never_arrived_did_not_and_never_will(remote: World, proxy: TcpProxy) -> None:
    batch_id, messages = new_id(BATCH), _messages(remote)
    proxy.watch(COMMIT, Fate.CUT)
    with pytest.raises(AmbiguousCommitError):
        await remote.write(messages=messages, batch_id=batch_id)
    assert await remote.store.resolve_batch(batch_id) is False
    assert await remote.store.get_message(remote.scope, messages[0].message.id) is None
    assert await remote.store.own_batches(remote.node, NOW + 1) == []


@pytest.mark.parametrize("arrives", [True, False])
async def test_who_asks_waits_for_a_commit_under_way(remote: World, proxy: TcpProxy, arrives: bool) -> None:
    batch_id, messages = new_id(BATCH), _messages(remote)
    proxy.watch(COMMIT, Fate.HOLD)
    with pytest.raises(AmbiguousCommitError):
        await remote.write(messages=messages, batch_id=batch_id)
    asked = asyncio.create_task(remote.store.resolve_batch(batch_id))
    done, _ = await asyncio.wait([asked], timeout=0.2)
    assert not done  # the transaction still holds the batch's row
    proxy.release(forward=arrives)
    assert await asked is arrives
    found = await remote.store.get_message(remote.scope, messages[0].message.id)
    assert (found is not None) is arrives


@pytest.mark.parametrize("fate", [Fate.SWALLOW_ANSWER, Fate.CUT])
async def test_attempts_are_recorded_once_however_often_they_are_brought(
    remote: World, proxy: TcpProxy, fate: Fate
) -> None:
    endpoint = await remote.endpoint()
    (one, two) = await remote.accept(endpoint.id, count=2)
    outcomes = [Outcome(attempt(one, endpoint.id)), Outcome(failure(two, endpoint.id), retry_at_ms=NOW + 5_000)]
    proxy.watch(COMMIT, fate)
    with pytest.raises(AmbiguousCommitError):
        await remote.record(*outcomes)
    await remote.record(*outcomes)  # as the engine does: it does not know
    for of in (one, two):
        attempts = await remote.store.list_attempts_of_message(remote.scope, of.id, Page(), MessageFilter())
        assert len(attempts.rows) == 1
    assert (await remote.store.backlog(NOW)).waiting == 1
    await remote.record(Outcome(failure(two, endpoint.id, number=2), retry_at_ms=NOW + 9_000))
    assert len((await remote.store.list_attempts_of_message(remote.scope, two.id, Page(), MessageFilter())).rows) == 2


async def test_a_second_record_waits_for_the_first_that_is_still_under_way(remote: World, proxy: TcpProxy) -> None:
    endpoint = await remote.endpoint()
    (one,) = await remote.accept(endpoint.id)
    outcome = Outcome(failure(one, endpoint.id), retry_at_ms=NOW + 5_000)
    proxy.watch(COMMIT, Fate.HOLD)
    with pytest.raises(AmbiguousCommitError):
        await remote.record(outcome)
    again = asyncio.create_task(remote.record(outcome))
    done, _ = await asyncio.wait([again], timeout=0.2)
    assert not done
    proxy.release(forward=True)
    await again
    assert len((await remote.store.list_attempts_of_message(remote.scope, one.id, Page(), MessageFilter())).rows) == 1


@pytest.mark.parametrize("fate", [Fate.SWALLOW_ANSWER, Fate.CUT])
async def test_rows_of_a_lost_claim_come_back_with_the_next_one(remote: World, proxy: TcpProxy, fate: Fate) -> None:
    endpoint = await remote.endpoint()
    messages = await remote.free(endpoint.id, count=3)
    proxy.watch(COMMIT, fate)
    with pytest.raises(StoreUnavailableError):
        await remote.lease(endpoint.id)
    claimed = await remote.lease(endpoint.id)
    assert {one.message.id for one in claimed} == {one.id for one in messages}
    assert all(one.kind is Kind.SCHEDULED and one.attempts == 0 and one.rescues == 0 for one in claimed)
    assert await remote.lease(endpoint.id) == []


async def test_rows_of_a_lost_claim_under_way_come_back_too(remote: World, proxy: TcpProxy) -> None:
    endpoint = await remote.endpoint()
    await remote.free(endpoint.id, count=3)
    proxy.watch(COMMIT, Fate.HOLD)
    with pytest.raises(StoreUnavailableError):
        await remote.lease(endpoint.id)
    again = asyncio.create_task(remote.lease(endpoint.id))
    done, _ = await asyncio.wait([again], timeout=0.2)
    assert not done
    proxy.release(forward=True)
    assert len(await again) == 3
