"""Tokens that end before their time: one by one, by session, all at once, now or later."""

from __future__ import annotations

import pytest

from hookline.store import AppScope, OrgScope, TokenName
from support.store import DAY, HOUR, NOW, application

FORGET = NOW + 28 * DAY
MOST = 5


async def expire(world, sessions=None, ends_at_ms=NOW, now_ms=NOW, scope=None):
    scope = scope or world.scope
    return await world.store.expire_tokens(scope, sessions, ends_at_ms, now_ms=now_ms, forget_at_ms=FORGET, most=MOST)


async def end(world, token_id="t", session_id=None, generation=0, scope=None):
    return await world.store.token_end(scope or world.scope, TokenName(token_id, session_id, generation))


async def test_nothing_is_known_of_most_tokens(world):
    assert await end(world) is None
    assert await world.store.token_generation(world.scope) == 0


async def test_one_is_revoked_and_no_other(world):
    for _ in range(2):  # twice is as good as once
        await world.store.revoke_token(world.scope, "t", NOW + HOUR)
    assert await end(world) == 0
    assert await end(world, "other") is None
    sibling = await world.store.create_application(application())
    assert await end(world, scope=AppScope(sibling.org_id, sibling.id)) is None


async def test_none_outlives_its_application(world):
    """Those that were made by somebody else with our secret included: there may be no row about them."""
    sibling = await world.store.create_application(application())
    scope = AppScope(sibling.org_id, sibling.id)
    await world.store.revoke_token(scope, "t", NOW + HOUR)
    await world.store.delete_application(scope, NOW)
    assert await end(world, "another", scope=scope) == 0
    await world.store.erase_deleted(NOW + DAY, 100)
    assert await world.store.get_application(OrgScope(scope.org_id), scope.app_id) is None
    assert await end(world, scope=scope) == 0
    assert await end(world, scope=AppScope("org_other", world.app.id)) == 0
    assert await end(world) is None


async def test_all_end_that_were_made_before(world):
    assert await expire(world, ends_at_ms=NOW + HOUR)
    assert await world.store.token_generation(world.scope) == 1
    assert await end(world, session_id="s") == NOW + HOUR
    assert await end(world, generation=1) is None


async def test_some_sessions_end(world):
    assert await expire(world, ["s", "t"])
    assert await end(world, session_id="s") == NOW
    assert await end(world, session_id="t") == NOW
    assert await end(world, session_id="u") is None
    assert await end(world, session_id=None) is None
    assert await end(world, session_id="s", generation=1) is None


@pytest.mark.parametrize(("first", "second"), [(NOW, NOW + HOUR), (NOW + HOUR, NOW), (NOW + HOUR, NOW + 2 * HOUR)])
async def test_the_sooner_end_stays(world, first, second):
    assert await expire(world, ends_at_ms=first)
    assert await expire(world, ends_at_ms=second, now_ms=NOW + 1)
    assert await end(world) <= min(first, second) or await end(world) <= NOW + 1
    assert await end(world, generation=1) == second
    assert await end(world, generation=2) is None


async def test_what_a_later_end_covers_takes_no_room(world, database):
    for _ in range(3 * MOST):
        assert await expire(world)
    assert await database.count("token_endings") == 1
    assert await world.store.token_generation(world.scope) == 3 * MOST


async def test_there_is_a_bound(world):
    for number in range(MOST):
        assert await expire(world, [f"s{number}"], NOW + HOUR)
    assert not await expire(world, ["one more"], NOW + HOUR)
    assert not await expire(world, ends_at_ms=NOW + HOUR)
    assert await end(world, session_id="one more") is None
    assert await world.store.token_generation(world.scope) == MOST


async def test_there_is_always_room_to_end_all_at_once(world, database):
    for number in range(MOST):
        assert await expire(world, [f"s{number}"], NOW + HOUR)
    assert await expire(world)
    assert await end(world, session_id="any") == NOW
    assert await end(world, session_id="s0") == NOW
    assert await database.count("token_endings") == 1


async def test_ends_are_forgotten_when_they_end_nothing_any_more(world, database):
    await world.store.revoke_token(world.scope, "t", NOW + HOUR)
    await expire(world, ["s"])
    await expire(world, ends_at_ms=NOW + DAY)
    await world.store.prune(0, NOW + HOUR - 1, 100)
    assert await database.count("revoked_tokens") == 1
    await world.store.prune(0, NOW + HOUR, 100)
    assert await database.count("revoked_tokens") == 0
    assert await database.count("token_endings", "session_id = 's'") == 1
    await world.store.prune(0, FORGET, 100)
    assert await database.count("token_endings", "session_id = 's'") == 0
    # Tokens may live for as long as the operator likes: an end of all of them stays, and so does the number.
    assert await end(world) == NOW + DAY
    assert await world.store.token_generation(world.scope) == 2


async def test_they_go_with_their_application(world, database):
    await world.store.revoke_token(world.scope, "t", NOW + 9 * DAY)
    await expire(world, ["s"])
    await expire(world, ends_at_ms=NOW + DAY)
    await world.store.delete_application(world.scope, NOW)
    await world.store.erase_deleted(NOW + DAY, 100)
    for table in ("revoked_tokens", "token_endings", "token_generations"):
        assert await database.count(table) == 0, table
