"""Trials: no lane bounds them, so they have bounds of their own."""

from __future__ import annotations

import asyncio

import pytest

from hookline.clock import SystemClock
from hookline.egress import MemoryTransport, Outcome, Response
from hookline.engine import EngineOptions, OverloadedError
from hookline.engine.errands import Errands
from hookline.engine.trial import MOST_AT_ONCE, MOST_OF_APPLICATION, Trial
from support.store import endpoint, message


def try_one(trial: Trial, app_id: str) -> asyncio.Task[Outcome]:
    return asyncio.create_task(trial.send(endpoint(app_id, dialect="plain", secrets=()), message(app_id)))


async def test_whoever_never_answers_keeps_few_places() -> None:
    transport = MemoryTransport(lambda _: None)
    trial = Trial(transport, Errands(transport, SystemClock()), SystemClock(), EngineOptions())
    apps = [f"app_{number}" for number in range(MOST_AT_ONCE // MOST_OF_APPLICATION)]
    first, *others = ([try_one(trial, app_id) for _ in range(MOST_OF_APPLICATION)] for app_id in apps)
    await asyncio.sleep(0)
    assert len(transport.hanging) == MOST_AT_ONCE
    for app_id in (apps[0], "app_another"):
        with pytest.raises(OverloadedError):
            await try_one(trial, app_id)
    first[0].cancel()
    await asyncio.wait(first[:1])
    with pytest.raises(OverloadedError):
        await try_one(trial, apps[1])
    again = try_one(trial, apps[0])
    await asyncio.sleep(0)
    assert len(transport.hanging) == MOST_AT_ONCE
    for exchange in list(transport.hanging):
        exchange.release(Response(200))
    for task in [again, *first[1:], *(task for group in others for task in group)]:
        assert isinstance(await task, Response)
    transport.script = lambda _: Response(204)
    for _ in range(MOST_OF_APPLICATION + 1):
        assert isinstance(await try_one(trial, apps[0]), Response)
