"""Endpoints to which nothing but failures happen are switched off, and come back when they are enabled."""

from __future__ import annotations

import pytest

from hookline.model import Endpoint, EndpointStatus, OrganizationSettings
from hookline.store import OrgScope
from integration.engine.rig import Rig, status
from support.store import ORG

PERIOD_S = 100.0


async def judge(rig: Rig) -> None:
    """Let every engine's Judge do a whole round."""
    for engine in rig.engines:
        seen = rig.store.calls["take_lead"]
        engine.judge.wake()
        await rig.until(lambda seen=seen: rig.store.calls["take_lead"] > seen)
        await engine.judge.work()


async def look(rig: Rig, of: Endpoint) -> Endpoint:
    found = await rig.store.get_endpoint(rig.scope, of.id)
    assert found is not None
    return found


async def health_of(rig: Rig, of: Endpoint):
    return (await rig.store.endpoint_health(rig.scope, [of.id])).get(of.id)


async def fail(rig: Rig, engine) -> None:
    await rig.reach(await rig.accept(engine), "exhausted")


async def test_nothing_but_failures_for_the_period(rig):
    hook = await rig.endpoint("bad", schedule_s=())
    rig.receivers.plan("bad", status(500))
    engine = await rig.engine(disable_after_s=PERIOD_S)
    await fail(rig, engine)
    begun_ms = (await health_of(rig, hook)).failing_since_ms
    rig.clock.advance(PERIOD_S - 1)
    await fail(rig, engine)
    await judge(rig)
    assert (await look(rig, hook)).status is EndpointStatus.ENABLED
    rig.clock.advance(1)
    await judge(rig)
    off = await look(rig, hook)
    assert (off.status, off.status_reason) == (EndpointStatus.DISABLED, "failing")
    health = await health_of(rig, hook)
    assert (health.failing_since_ms, health.disabled_at_ms) == (begun_ms, rig.clock.now_ms())
    assert health.detail.startswith("Every attempt failed since ")
    assert engine.stats.disabled == {"failing": 1}
    assert (await rig.accept(engine)).targets == ()  # it collects nothing new, and this node knows


async def test_enabling_it_begins_anew_and_what_was_parked_goes_on(rig):
    hook = await rig.endpoint("bad", schedule_s=(1,) * 3 + (PERIOD_S * 10,))
    rig.receivers.plan("bad", status(500))
    engine = await rig.engine(disable_after_s=PERIOD_S)
    message = await rig.accept(engine)
    for attempts in (1, 2, 3):
        await rig.until(lambda attempts=attempts: has_attempts(rig, message, attempts))
        rig.clock.advance(PERIOD_S / 3 + 1)
    await rig.until(lambda: has_attempts(rig, message, 4))
    await fill_attempts(rig, engine, message)
    await judge(rig)
    assert (await look(rig, hook)).status is EndpointStatus.DISABLED
    assert await rig.state(message) == "parked"
    rig.receivers.plan("bad", status(200))
    await rig.set_status(hook, EndpointStatus.ENABLED)
    assert await health_of(rig, hook) is None
    rig.clock.advance(PERIOD_S * 10)
    await rig.reach(message, "succeeded")
    await judge(rig)
    assert (await look(rig, hook)).status is EndpointStatus.ENABLED


async def has_attempts(rig: Rig, message, count: int) -> bool:
    return len(await rig.attempts(message)) >= count


async def fill_attempts(rig: Rig, engine, message) -> None:
    """Enough failed attempts in the last part of the period, without one that gives up."""
    for _ in range(5):
        more = await rig.accept(engine)
        await rig.until(lambda more=more: has_attempts(rig, more, 1))


async def test_one_success_is_enough(rig):
    hook = await rig.endpoint("flaky", schedule_s=())
    rig.receivers.plan("flaky", status(500), status(200), status(500))
    engine = await rig.engine(disable_after_s=PERIOD_S)
    await fail(rig, engine)
    rig.clock.advance(PERIOD_S - 1)
    await rig.reach(await rig.accept(engine), "succeeded")
    assert await health_of(rig, hook) is None
    await fail(rig, engine)
    rig.clock.advance(2)
    await judge(rig)
    assert (await look(rig, hook)).status is EndpointStatus.ENABLED


async def test_a_success_that_nobody_noted_counts_too(rig):
    """Another node delivered while this one's failures were fresh: the attempts say so."""
    hook = await rig.endpoint("flaky", schedule_s=())
    rig.receivers.plan("flaky", status(500), status(200), status(500))
    engine = await rig.engine(disable_after_s=PERIOD_S)
    await fail(rig, engine)
    engine.dispatcher.lanes[hook.id].failures = 0
    rig.clock.advance(PERIOD_S / 2)
    await rig.reach(await rig.accept(engine), "succeeded")
    assert await health_of(rig, hook) is not None
    rig.clock.advance(PERIOD_S / 2)
    await fail(rig, engine)
    await judge(rig)
    assert (await look(rig, hook)).status is EndpointStatus.ENABLED
    assert (await health_of(rig, hook)).failing_since_ms == rig.clock.now_ms()


async def test_old_failures_with_nothing_since_disable_nobody(rig):
    hook = await rig.endpoint("quiet", schedule_s=())
    rig.receivers.plan("quiet", status(500))
    engine = await rig.engine(disable_after_s=PERIOD_S)
    await fail(rig, engine)
    rig.clock.advance(PERIOD_S * 3)
    await judge(rig)
    assert (await look(rig, hook)).status is EndpointStatus.ENABLED


async def test_it_survives_a_restart(rig):
    hook = await rig.endpoint("bad", schedule_s=())
    rig.receivers.plan("bad", status(500))
    first = await rig.engine(disable_after_s=PERIOD_S)
    await fail(rig, first)
    rig.engines.remove(first)
    await first.stop(0)
    rig.clock.advance(PERIOD_S)
    second = await rig.engine(disable_after_s=PERIOD_S)
    await fail(rig, second)
    await rig.store.take_lead("judge", first.lease.node, -1.0)  # its lead ends with its time
    await judge(rig)
    assert (await look(rig, hook)).status is EndpointStatus.DISABLED


@pytest.mark.parametrize(("operator_s", "own_s", "disabled"), [(0, None, False), (1e6, 50, True), (50, 0, False)])
async def test_the_period_is_the_operators_or_the_organizations(rig, operator_s, own_s, disabled):
    hook = await rig.endpoint("bad", schedule_s=())
    rig.receivers.plan("bad", status(500))
    if own_s is not None:
        await set_own_period(rig, own_s)
    engine = await rig.engine(disable_after_s=operator_s)
    await fail(rig, engine)
    rig.clock.advance(PERIOD_S)
    await fail(rig, engine)
    await judge(rig)
    assert ((await look(rig, hook)).status is EndpointStatus.DISABLED) is disabled
    if own_s is not None:
        await set_own_period(rig, None)


async def set_own_period(rig: Rig, own_s: int | None) -> None:
    organization = await rig.store.get_organization(OrgScope(ORG))
    settings = OrganizationSettings(endpoint_disable_after_s=own_s)
    await rig.store.update_settings(OrgScope(ORG), settings, read_version=organization.catalog_version)


async def test_pausing_loses_nothing(rig):
    """A paused endpoint goes on collecting; what failed before and what came meanwhile arrives when it is resumed."""
    hook = await rig.endpoint("busy", schedule_s=(1, 1, 1, 1))
    rig.receivers.plan("busy", status(500))
    engine = await rig.engine()
    before = await rig.accept(engine)
    await rig.until(lambda: has_attempts(rig, before, 1))
    await rig.set_status(hook, EndpointStatus.PAUSED)
    meanwhile = await rig.accept_many(engine, 5)
    await rig.until(lambda: all_parked(rig, [before, *meanwhile]))
    made = len(rig.receivers.calls("busy"))
    rig.clock.advance(3600)
    await rig.rounds()
    assert len(rig.receivers.calls("busy")) == made
    rig.receivers.plan("busy", status(200))
    await rig.set_status(hook, EndpointStatus.ENABLED)
    for message in [before, *meanwhile]:
        await rig.reach(message, "succeeded")
    assert await rig.nothing_owed()


async def all_parked(rig: Rig, messages) -> bool:
    return [await rig.state(message) for message in messages] == ["parked"] * len(messages)
