"""What is checked of messages and endpoints, and how long a node believes what it has read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anyio
import pytest

from hookline.clock import ManualClock
from hookline.model import OrganizationSettings
from hookline.services import NO_CHECKS, Checks, ChecksCache, EventTypeForm, EventTypes, Organizations, Principal
from hookline.store import OrgScope, Store

ORG = "org_1"
CALLER = Principal(ORG)
SCHEMA = {"type": "object", "required": ["id"], "properties": {"user_name": {"type": "string"}}}


def fields(problems: list[Any]) -> list[tuple[Any, ...]]:
    return [(*problem.field, *problem.path) for problem in problems]


@pytest.fixture
def types(store: Store, clock: ManualClock) -> EventTypes:
    return EventTypes(store, clock)


@pytest.fixture
def cache(store: Store) -> ChecksCache:
    cache = ChecksCache(store)
    store.subscribe(cache.heard)
    return cache


async def switch(store: Store, **members: str) -> None:
    names = {"types": "eventTypeCheck", "schemas": "schemaValidation"}
    await Organizations(store).change(CALLER, {names[name]: value for name, value in members.items()})


class TestChecks:
    def test_unknown_types(self) -> None:
        checks = Checks(frozenset({"order.created", "order.item.added", "z"}), {})
        assert checks.problems_of_message("order.created", {}, 99) == []
        assert fields(checks.problems_of_message("order.creatd", {}, 99)) == [("event_type",)]
        assert checks.problems_of_message("endpoint.disabled", {}, 99) == [], "our own"

    def test_filters_of_endpoints(self) -> None:
        checks = Checks(frozenset({"order.created", "order.item.added", "z"}), {})
        assert checks.problems_of_filter(None) == []
        names = ["*", "order.*", "order.item.*", "z", "message.attempt.*", "endpoint.created"]
        assert checks.problems_of_filter(names) == []
        names = ["z.*", "order.cre.*", "order.created.*", "zz", "z", "zz.*", "a.*"]
        assert fields(checks.problems_of_filter(names)) == [("event_types", index) for index in (0, 1, 2, 3, 5, 6)]
        assert fields(checks.problems_of_filter(["gone", "new", "z"], ["gone"])) == [("event_types", 1)]

    def test_payloads(self) -> None:
        text = json.dumps({"2": {"required": ["old"]}, "10": SCHEMA})
        checks = Checks(None, {"user.signup": text})
        assert checks.problems_of_message("anything", {}, 99) == []
        assert checks.problems_of_message("user.signup", {"id": 1}, 99) == []
        found = checks.problems_of_message("user.signup", {"user_name": 1}, 99)
        assert sorted(fields(found)) == [("payload",), ("payload", "user_name")]
        assert {problem.kind for problem in found} == {"json_schema"}

    def test_a_schema_that_cannot_be_used_lets_nothing_through(self) -> None:
        checks = Checks(None, {"a": '{"1":{"type":"none"}}'})
        assert fields(checks.problems_of_message("a", {}, 99)) == [("event_type",)]

    def test_validators_outlive_what_did_not_change(self) -> None:
        first = Checks(None, {"a": '{"1":{}}', "b": '{"1":{}}'})
        for name in "ab":
            first.problems_of_message(name, {}, 99)
        second = Checks(None, {"a": '{"1":{}}', "b": '{"1":{"required":["x"]}}'})
        second.take_over(first)
        assert second._validators == {"a": first._validators["a"]}
        assert second.problems_of_message("b", {}, 99) != []

    def test_nothing_is_checked_by_default(self) -> None:
        assert NO_CHECKS.problems_of_message("anything", {}, 99) == []
        assert NO_CHECKS.problems_of_filter(["anything.*"]) == []


class TestCache:
    async def test_most_want_nothing(self, cache: ChecksCache) -> None:
        assert cache.remembered(ORG) is None
        assert await cache.get(ORG) is NO_CHECKS
        assert cache.remembered(ORG) is NO_CHECKS

    async def test_a_change_is_heard_of(self, cache: ChecksCache, store: Store, types: EventTypes) -> None:
        assert await cache.get(ORG) is NO_CHECKS
        await switch(store, types="known")
        assert cache.remembered(ORG) is None
        assert fields((await cache.get(ORG)).problems_of_message("a", {}, 99)) == [("event_type",)]
        await types.create(CALLER, "a", EventTypeForm("", schemas={"1": SCHEMA}))
        assert (await cache.get(ORG)).problems_of_message("a", {}, 99) == []
        await switch(store, schemas="on")
        assert fields((await cache.get(ORG)).problems_of_message("a", {}, 99)) == [("payload",)]
        await types.delete(CALLER, "a")
        assert fields((await cache.get(ORG)).problems_of_message("a", {}, 99)) == [("event_type",)]
        await switch(store, types="off", schemas="off")
        assert await cache.get(ORG) is NO_CHECKS

    async def test_one_organization_says_nothing_of_another(self, cache: ChecksCache, store: Store) -> None:
        await switch(store, types="known")
        assert await cache.get("org_2") is NO_CHECKS
        assert await cache.get(ORG) is not NO_CHECKS
        await switch(store, types="off")
        assert cache.remembered("org_2") is NO_CHECKS

    async def test_missed_news_are_found_by_the_version(self, store: Store) -> None:
        deaf = ChecksCache(store)
        assert await deaf.get(ORG) is NO_CHECKS
        await switch(store, types="known")
        assert await deaf.get(ORG) is NO_CHECKS, "nothing told it"
        assert await deaf.get_fresh(ORG) is not NO_CHECKS
        await switch(store, types="off")
        deaf.heard("resync", "")
        with anyio.fail_after(5):
            while await deaf.get(ORG) is not NO_CHECKS:
                await anyio.sleep(0)

    async def test_nothing_is_believed_for_long(self, store: Store) -> None:
        deaf = ChecksCache(store, remembered_s=0.05)
        assert await deaf.get(ORG) is NO_CHECKS
        await switch(store, types="known")
        with anyio.fail_after(5):
            while deaf.remembered(ORG) is not None:
                await anyio.sleep(0.001)
        assert await deaf.get(ORG) is not NO_CHECKS

    async def test_what_is_confirmed_stays(self, store: Store) -> None:
        cache = ChecksCache(store, remembered_s=0.2)
        checks = await cache.get(ORG)
        loop = asyncio.get_running_loop()
        until = loop.time() + 0.5
        while loop.time() < until:
            assert await cache.get_fresh(ORG) is checks
            assert cache.remembered(ORG) is checks
            await anyio.sleep(0.01)

    async def test_a_load_that_was_overtaken_is_not_kept(self, store: Store) -> None:
        """The change comes while the old state is on its way."""
        reading, go_on = asyncio.Event(), asyncio.Event()

        class Slow:
            async def get_organization(self, scope: OrgScope) -> Any:
                found = await store.get_organization(scope)
                reading.set()
                await go_on.wait()
                return found

            def __getattr__(self, name: str) -> Any:
                return getattr(store, name)

        cache = ChecksCache(Slow())  # type: ignore[arg-type]
        store.subscribe(cache.heard)
        asked = asyncio.create_task(cache.get(ORG))
        await reading.wait()
        await switch(store, types="known")
        go_on.set()
        assert await asked is NO_CHECKS, "it asked before"
        assert cache.remembered(ORG) is None
        assert await cache.get(ORG) is not NO_CHECKS

    async def test_many_who_wait_share_one_load(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        cache = ChecksCache(store)
        asked = []
        real = store.get_organization

        async def counting(scope: OrgScope) -> Any:
            asked.append(scope)
            return await real(scope)

        monkeypatch.setattr(store, "get_organization", counting)
        assert set(await asyncio.gather(*(cache.get(ORG) for _ in range(50)))) == {NO_CHECKS}
        assert len(asked) == 1

    async def test_a_load_that_fails_is_tried_again(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        cache = ChecksCache(store)

        async def fail(scope: OrgScope) -> Any:
            raise RuntimeError("away")

        with monkeypatch.context() as patch:
            patch.setattr(store, "get_organization", fail)
            with pytest.raises(RuntimeError):
                await cache.get(ORG)
        assert await cache.get(ORG) is NO_CHECKS

    async def test_reasons_for_the_outbox(self, cache: ChecksCache, store: Store, types: EventTypes) -> None:
        assert await cache.refuse(ORG, "a", b"{}") is None
        await types.create(CALLER, "a", EventTypeForm("", schemas={"1": SCHEMA}))
        await switch(store, types="known", schemas="on")
        assert await cache.refuse(ORG, "a", b'{"id":1}') is None
        assert "event_type" in (await cache.refuse(ORG, "b", b"{}") or "")
        reason = await cache.refuse(ORG, "a", b'{"id":1,"user_name":4711}') or ""
        assert reason == "payload/user_name: it does not fit the schema of its event type"


async def test_settings_of_two_writers_both_stay(store: Store) -> None:
    organizations = Organizations(store)
    await asyncio.gather(
        organizations.change(CALLER, {"eventTypeCheck": "known"}),
        organizations.change(CALLER, {"schemaValidation": "on"}),
    )
    assert await organizations.settings(CALLER) == OrganizationSettings(
        event_type_check="known", schema_validation="on"
    )
