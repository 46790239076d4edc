"""Deadline buckets on a real loop."""

from __future__ import annotations

import asyncio
import time

from hookline.egress.deadlines import TICK_S, Deadlines


async def test_overdue_items_come_once_in_time_and_in_order() -> None:
    loop = asyncio.get_running_loop()
    came: list[tuple[float, float]] = []
    everything = asyncio.Event()
    start_s = time.monotonic()
    waits_s = [0.1, 0.03, 0.06, 0.2, 0.0, -1.0]

    def overdue(wait_s: float) -> None:
        came.append((wait_s, time.monotonic() - start_s))
        if len(came) == len(waits_s):
            everything.set()

    deadlines: Deadlines[float] = Deadlines(loop, overdue)
    for wait_s in waits_s:
        deadlines.add(wait_s, start_s + wait_s)
    async with asyncio.timeout(5):
        await everything.wait()
    assert [wait_s for wait_s, _ in came] == sorted(waits_s)
    for wait_s, took_s in came:
        assert took_s >= wait_s - 0.003
        assert took_s < max(wait_s, 0) + TICK_S + 0.3
    assert list(deadlines) == []
    assert deadlines._timer is None


async def test_discarded_items_never_come() -> None:
    came: list[str] = []
    last = asyncio.Event()

    def overdue(name: str) -> None:
        came.append(name)
        last.set()

    deadlines: Deadlines[str] = Deadlines(asyncio.get_running_loop(), overdue)
    now_s = time.monotonic()
    bucket = deadlines.add("gone", now_s + 0.03)
    deadlines.add("stays", now_s + 0.06)
    assert sorted(deadlines) == ["gone", "stays"]
    bucket.discard("gone")
    async with asyncio.timeout(5):
        await last.wait()
    assert came == ["stays"]


async def test_an_earlier_deadline_moves_the_timer() -> None:
    first = asyncio.Event()
    deadlines: Deadlines[str] = Deadlines(asyncio.get_running_loop(), lambda _: first.set())
    now_s = time.monotonic()
    deadlines.add("late", now_s + 60)
    deadlines.add("soon", now_s + 0.02)
    async with asyncio.timeout(5):
        await first.wait()
    assert list(deadlines) == ["late"]
    deadlines.close()
