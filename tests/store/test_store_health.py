"""The health of endpoints: noted when they begin to fail, forgotten when they succeed, kept when they are disabled."""

from __future__ import annotations

import pytest

from hookline.model import AttemptStatus, EndpointStatus
from hookline.model.health import EndpointHealth, Evidence, FailingEndpoint
from hookline.store import AppScope, Disable, Outcome
from support.store import HOUR, NOW, ORG, SECOND, World, attempt, failure


async def health_of(world: World, endpoint_id: str) -> EndpointHealth | None:
    return (await world.store.endpoint_health(world.scope, [endpoint_id])).get(endpoint_id)


async def fail(world: World, endpoint_id: str, at_ms: int, **changes) -> None:
    (one,) = await world.accept(endpoint_id)
    is_final = changes.get("final", False)
    made = failure(one, endpoint_id, at_ms=at_ms, **changes)
    await world.record(Outcome(made, None if is_final else at_ms + HOUR))


async def succeed(world: World, endpoint_id: str, at_ms: int, *, healed: bool = False) -> None:
    (one,) = await world.accept(endpoint_id)
    await world.record(Outcome(attempt(one, endpoint_id, at_ms=at_ms), healed=healed))


@pytest.fixture
async def hook(world):
    return await world.endpoint()


async def test_a_healthy_endpoint_has_no_row(database, world, hook):
    await succeed(world, hook.id, NOW)
    assert await health_of(world, hook.id) is None
    assert await database.count("endpoint_health") == 0


async def test_the_first_failure_is_kept(world, hook):
    await fail(world, hook.id, NOW + SECOND)
    await fail(world, hook.id, NOW + HOUR)
    assert await health_of(world, hook.id) == EndpointHealth(NOW + SECOND)


async def test_a_delivery_that_is_given_up_is_noted(world, hook):
    await fail(world, hook.id, NOW, final=True, duration_ms=5)
    await fail(world, hook.id, NOW + HOUR, final=True, duration_ms=5)
    await fail(world, hook.id, NOW + 2 * HOUR)
    assert await health_of(world, hook.id) == EndpointHealth(NOW, NOW + HOUR + 5)


async def test_a_success_that_heals_forgets(world, hook):
    await fail(world, hook.id, NOW)
    await succeed(world, hook.id, NOW + 1)
    assert await health_of(world, hook.id) == EndpointHealth(NOW)  # this node saw nothing wrong, and paid nothing
    await succeed(world, hook.id, NOW + 2, healed=True)
    assert await health_of(world, hook.id) is None


async def test_a_retry_that_succeeds_forgets(world, hook):
    (one,) = await world.free(hook.id)
    await fail(world, hook.id, NOW)
    await world.lease(hook.id)
    await world.record(Outcome(attempt(one, hook.id, number=2), has_row=True))
    assert await health_of(world, hook.id) is None


async def test_the_last_word_of_a_commit_counts(world, hook):
    (one, two, three) = await world.accept(hook.id, count=3)
    await world.record(
        Outcome(failure(one, hook.id, final=True)),
        Outcome(attempt(two, hook.id), healed=True),
        Outcome(failure(three, hook.id, at_ms=NOW + 7), NOW + HOUR),
    )
    assert await health_of(world, hook.id) == EndpointHealth(NOW + 7)
    await world.record(Outcome(failure(one, hook.id), NOW + HOUR), Outcome(attempt(two, hook.id), healed=True))
    assert await health_of(world, hook.id) is None


async def test_late_failures_and_cancellations_note_nothing(world, hook):
    (one, two) = await world.accept(hook.id, count=2)
    await world.record(Outcome(failure(one, hook.id), NOW + HOUR, late=True))
    await world.record(Outcome(attempt(two, hook.id, status=AttemptStatus.CANCELED)))
    assert await health_of(world, hook.id) is None


async def test_others_do_not_see_it(world, hook):
    await fail(world, hook.id, NOW)
    assert await world.store.endpoint_health(AppScope("org_two", world.app.id), [hook.id]) == {}
    assert await world.store.endpoint_health(AppScope(ORG, "app_other"), [hook.id]) == {}


async def test_a_disable_keeps_its_reason_until_it_is_enabled(world, hook):
    await fail(world, hook.id, NOW)
    result = await world.write(
        disables=[Disable(world.app.id, hook.id, "gone", "Its receiver is gone.")], now_ms=NOW + 9
    )
    assert result.disabled == {hook.id}
    known = EndpointHealth(NOW, None, NOW + 9, "gone", "Its receiver is gone.")
    assert await health_of(world, hook.id) == known
    await succeed(world, hook.id, NOW + 10, healed=True)
    assert await health_of(world, hook.id) == known
    world.now_ms = NOW + 11
    await world.set_status(hook, EndpointStatus.ENABLED)
    assert await health_of(world, hook.id) is None


async def test_whoever_comes_back_from_a_pause_starts_afresh(world, hook):
    """The time of the pause is none of failures: else the first few of them would disable the endpoint at once."""
    await fail(world, hook.id, NOW)
    await world.set_status(hook, EndpointStatus.PAUSED)
    assert await health_of(world, hook.id) == EndpointHealth(NOW)
    await world.set_status(hook, EndpointStatus.PAUSED)
    assert await health_of(world, hook.id) == EndpointHealth(NOW)
    await world.set_status(hook, EndpointStatus.ENABLED)
    assert await health_of(world, hook.id) is None
    await fail(world, hook.id, NOW + HOUR)
    await world.set_status(hook, EndpointStatus.ENABLED)
    assert await health_of(world, hook.id) == EndpointHealth(NOW + HOUR)


async def test_a_disable_on_request_is_noted(world, hook):
    world.now_ms = NOW + 1
    await world.set_status(hook, EndpointStatus.DISABLED)
    assert await health_of(world, hook.id) == EndpointHealth(None, None, NOW + 1, "requested")


async def test_a_disable_for_failing_needs_that_it_still_fails_so(world, hook):
    disable = Disable(world.app.id, hook.id, "failing", "It fails.", failing_since_ms=NOW)
    assert (await world.write(disables=[disable])).disabled == frozenset()
    await fail(world, hook.id, NOW + 1)
    assert (await world.write(disables=[disable])).disabled == frozenset()
    found = await world.store.get_endpoint(world.scope, hook.id)
    assert found.status is EndpointStatus.ENABLED
    still = Disable(world.app.id, hook.id, "failing", "It fails.", failing_since_ms=NOW + 1)
    assert (await world.write(disables=[still])).disabled == {hook.id}
    assert (await world.write(disables=[still])).disabled == frozenset()
    found = await world.store.get_endpoint(world.scope, hook.id)
    assert (found.status, found.status_reason) == (EndpointStatus.DISABLED, "failing")


async def test_what_is_deleted_has_no_health(database, world, hook):
    other = await world.endpoint()
    for one in (hook, other):
        await fail(world, one.id, NOW)
    await world.store.delete_endpoint(world.scope, hook.id, NOW)
    await fail(world, hook.id, NOW)
    assert await database.count("endpoint_health") == 1
    await world.store.delete_application(world.scope, NOW)
    assert await database.count("endpoint_health") == 0


# --- what the Judge asks


async def test_who_fails_for_so_long(world, hook):
    second, disabled, paused = [await world.endpoint() for _ in range(3)]
    for number, one in enumerate((hook, second, disabled, paused)):
        await fail(world, one.id, NOW + number)
    await world.write(disables=[Disable(world.app.id, disabled.id, "gone")])
    await world.set_status(paused, EndpointStatus.PAUSED)
    expected = [
        FailingEndpoint(one.id, world.app.id, ORG, NOW + number, None) for number, one in enumerate((hook, second))
    ]
    assert await world.store.list_failing(NOW + 9, "", 10) == expected
    assert await world.store.list_failing(NOW, "", 10) == expected[:1]
    assert await world.store.list_failing(NOW + 9, "", 1) == expected[:1]
    assert await world.store.list_failing(NOW + 9, hook.id, 10) == expected[1:]


async def test_what_the_attempts_say(world, hook):
    await succeed(world, hook.id, NOW - SECOND)
    for number in range(7):
        await fail(world, hook.id, NOW + number * HOUR)
    (suspect,) = await world.store.list_failing(NOW, "", 10)
    assert await world.store.weigh_failing(suspect, NOW + 5 * HOUR) == Evidence(None, None, 2)
    assert await world.store.weigh_failing(suspect, NOW) == Evidence(None, None, 5)
    await succeed(world, hook.id, NOW + 7 * HOUR)
    assert await world.store.weigh_failing(suspect, NOW) == Evidence(NOW + 7 * HOUR, None, 0)
    await fail(world, hook.id, NOW + 8 * HOUR)
    await fail(world, hook.id, NOW + 9 * HOUR)
    assert await world.store.weigh_failing(suspect, NOW) == Evidence(NOW + 7 * HOUR, NOW + 8 * HOUR, 0)


async def test_a_note_is_corrected_unless_it_has_changed(world, hook):
    await fail(world, hook.id, NOW)
    (suspect,) = await world.store.list_failing(NOW, "", 10)
    await world.store.correct_failing(suspect, NOW + HOUR)
    assert await health_of(world, hook.id) == EndpointHealth(NOW + HOUR)
    await world.store.correct_failing(suspect, None)
    assert await health_of(world, hook.id) == EndpointHealth(NOW + HOUR)
    (suspect,) = await world.store.list_failing(NOW + HOUR, "", 10)
    await world.store.correct_failing(suspect, None)
    assert await health_of(world, hook.id) is None


async def test_one_node_leads(world):
    other = await world.store.register_node("node_other", 3600.0)
    assert await world.store.take_lead("judge", world.node, 60.0)
    assert await world.store.take_lead("judge", world.node, 60.0)
    assert not await world.store.take_lead("judge", other, 60.0)
    assert await world.store.take_lead("something else", other, 60.0)
    assert await world.store.take_lead("judge", world.node, -1.0)
    assert await world.store.take_lead("judge", other, 60.0)
    assert not await world.store.take_lead("judge", world.node, 60.0)
