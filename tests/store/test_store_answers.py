"""Answers that are kept for a request that may come again: who claims it, what is kept, for how long, how much."""

from __future__ import annotations

import asyncio

import pytest

from hookline.store import KeptAnswer, OrgScope, answers
from support.store import NOW, SECOND

ORG = OrgScope("org_one")
NAME, OWNER, PRINT = b"n" * 32, b"owner001", b"p" * 32


async def claim(store, name=NAME, owner=OWNER, fingerprint=PRINT, now_ms=NOW, until_ms=NOW + SECOND, scope=ORG):
    return await store.claim_answer(scope, name, owner=owner, fingerprint=fingerprint, now_ms=now_ms, until_ms=until_ms)


async def keep(store, name=NAME, owner=OWNER, answer=b"done", expires_at_ms=NOW + SECOND, scope=ORG):
    return await store.keep_answer(scope, name, owner=owner, answer=answer, expires_at_ms=expires_at_ms)


async def test_the_first_gets_the_claim_and_the_rest_its_answer(store):
    assert await claim(store) is None
    assert await claim(store, owner=b"other") == KeptAnswer(PRINT, None)
    assert await keep(store)
    assert await claim(store, owner=b"other", fingerprint=b"q" * 32) == KeptAnswer(PRINT, b"done")


async def test_one_of_many_gets_it(store):
    owners = [bytes([number]) * 8 for number in range(12)]
    got = await asyncio.gather(*[claim(store, owner=owner) for owner in owners])
    assert got.count(None) == 1
    assert await keep(store, owner=owners[got.index(None)])


async def test_names_belong_to_their_organization(store):
    assert await claim(store) is None
    assert await claim(store, scope=OrgScope("org_two")) is None
    assert await keep(store)
    assert not await keep(store, scope=OrgScope("org_three"))
    assert await claim(store, scope=OrgScope("org_two")) == KeptAnswer(PRINT, None)


async def test_what_is_released_is_free(store):
    assert await claim(store) is None
    await store.release_answer(ORG, NAME, owner=b"somebody")
    assert await claim(store) is not None
    await store.release_answer(ORG, NAME, owner=OWNER)
    assert await claim(store, owner=b"other") is None
    assert not await keep(store)  # ours no more


async def test_an_answer_that_is_kept_cannot_be_released(store):
    await claim(store)
    await keep(store)
    await store.release_answer(ORG, NAME, owner=OWNER)
    assert not await keep(store, answer=b"another")
    assert await claim(store) == KeptAnswer(PRINT, b"done")


@pytest.mark.parametrize("kept", [False, True])
async def test_all_of_it_ends(store, kept):
    await claim(store)
    if kept:
        await keep(store)
    assert await claim(store, owner=b"next", now_ms=NOW + SECOND - 1) is not None
    assert await claim(store, owner=b"next", now_ms=NOW + SECOND, until_ms=NOW + 2 * SECOND) is None
    assert not await keep(store)
    assert await claim(store, now_ms=NOW + SECOND) == KeptAnswer(PRINT, None)


async def test_what_has_ended_is_pruned(store, database):
    await claim(store)
    await claim(store, name=b"m" * 32, until_ms=NOW + 2 * SECOND)
    await store.prune(0, NOW + SECOND, 100)
    assert await database.count("answers") == 1
    await store.prune(0, NOW + 2 * SECOND, 100)
    assert await database.count("answers") == 0


async def test_answers_are_sealed(store, database):
    await claim(store)
    await keep(store, answer=b"whsec_top-secret")
    [(row,)] = await database.fetch("SELECT answer FROM hookline_answers")
    assert bytes(row).startswith(b"k1.")
    assert b"top-secret" not in bytes(row)


@pytest.mark.parametrize(("most", "most_bytes"), [(3, 10**9), (10**9, 3 * 1_500)])
async def test_an_organization_keeps_a_bounded_number(store, database, monkeypatch, most, most_bytes):
    room = type(store).__module__.rpartition(".")[0]
    for name, value in (("MAX_ANSWERS", most), ("MAX_ANSWER_BYTES", most_bytes)):
        monkeypatch.setattr(f"{room}.answers.{name}", value)
    other = OrgScope("org_two")
    await claim(store, scope=other)
    await keep(store, scope=other, answer=b"x" * 1_000)
    await claim(store, name=b"\xff at work", until_ms=NOW + 1)
    for number in range(6):
        name = bytes([0xF0 + number]) * 32
        await claim(store, name=name)
        await keep(store, name=name, answer=b"x" * 1_000, expires_at_ms=NOW + SECOND + number)
    await claim(store, name=b"\x00" * 32)  # looks after the bound
    assert answers.wants_trim(b"\x00" * 32)
    assert not answers.wants_trim(b"\xf0" * 32)
    kept = await database.fetch("SELECT name FROM hookline_answers WHERE org_id = 'org_one' AND answer IS NOT NULL")
    assert {bytes(name)[0] for (name,) in kept} == {0xF3, 0xF4, 0xF5}
    assert await database.count("answers", "org_id = 'org_one' AND answer IS NULL") == 2
    assert await database.count("answers", "org_id = 'org_two'") == 1
