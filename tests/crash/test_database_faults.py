"""The database is away, or its disk is full: refused with the right status, nothing acknowledged, and well again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from support.small_disk import SmallDisk
from support.torture.publisher import Answer
from support.torture.world import Options, World

FILLER_BYTES = 200_000
DISK_MIB = {"sqlite": 12, "postgres": 64}


@pytest.fixture
def disk(database) -> Iterator[SmallDisk]:
    with SmallDisk(DISK_MIB[database]) as made:
        yield made


async def send_until_refused(world: World) -> Answer:
    async with asyncio.timeout(30):
        while (answer := await world.send(filler_bytes=FILLER_BYTES)).status == 202:
            pass
    return answer


async def wait_for_refusals(world: World, count: int) -> None:
    report = world.ledger.report
    goal = report.refused + count
    assert await world.ledger.until(lambda: report.refused >= goal, 30)


async def test_database_away(tmp_path):
    """PostgreSQL is stopped and comes back; nobody tells the server."""
    async with World(Options("postgres"), tmp_path) as world:
        await world.flow(20)
        assert world.postgres is not None
        await asyncio.to_thread(world.postgres.stop)
        answer = await send_until_refused(world)
        assert answer.status == 503
        assert answer.json()["code"] in {"database_unavailable", "commit_ambiguous"}
        assert int(answer.headers["retry-after"]) > 0
        management = await world.ask("POST", "/api/v1/app", b'{"name":"late"}')
        assert management.status == 503
        assert int(management.headers["retry-after"]) > 0
        assert not await world.nodes[0].is_ready()
        before = len(world.ledger.acked)
        await wait_for_refusals(world, 20)
        assert len(world.ledger.acked) == before
        world.ledger.begin_recovery()
        await asyncio.to_thread(world.postgres.start)
        await world.flow(20)
        report = await world.finish()
    assert report.faults == []
    assert report.self_ended == 0


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_disk_full(database, disk, tmp_path):
    async with World(Options(database, disk=disk.path), tmp_path) as world:
        await world.flow(20)
        disk.fill()
        answer = await send_until_refused(world)
        assert answer.status == 507
        assert answer.json()["code"] == "database_full"
        assert int(answer.headers["retry-after"]) > 0
        await wait_for_refusals(world, 5)
        world.ledger.begin_recovery()
        disk.relieve()
        await world.flow(20)
        assert (await world.send(filler_bytes=FILLER_BYTES)).status == 202
        report = await world.finish()
    assert report.faults == []
    assert report.self_ended == 0


@pytest.mark.parametrize("database", ["sqlite"])
async def test_killed_while_the_disk_is_full(database, disk, tmp_path):
    async with World(Options(database, disk=disk.path), tmp_path) as world:
        await world.flow(20)
        disk.fill()
        assert (await send_until_refused(world)).status == 507
        world.ledger.begin_recovery()
        await world.nodes[0].kill()
        disk.relieve()
        await world.nodes[0].start()
        await world.flow(20)
        report = await world.finish()
    assert report.faults == []
