"""Operational webhooks: rows of the outbox, in the transaction of the change, and only where somebody listens."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from hookline.model import Application, Endpoint, EndpointStatus, Kind
from hookline.model.ids import BATCH
from hookline.store import AppScope, ConflictError, Disable, NewMessage, OrgScope, Outcome, Page
from support.store import HOUR, NOW, ORG, World, application, attempt, endpoint, failure, message, new_id


class Operations:
    """The operations application of the world's organization, with an endpoint, and what was put into the outbox."""

    def __init__(self, world: World, app: Application, hook: Endpoint) -> None:
        self.world = world
        self.app = app
        self.hook = hook

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        rows = await self.world.store.read_outbox(100)
        assert {(row.org_id, row.app) for row in rows} <= {(ORG, self.app.id)}
        payloads = [json.loads(row.payload) for row in rows]
        assert [row.event_type for row in rows] == [payload["type"] for payload in payloads]
        return [(payload["type"], payload["data"]) for payload in payloads]

    async def types(self) -> list[str]:
        return [event_type for event_type, _ in await self.told()]

    async def event_ids(self) -> list[str]:
        return [row.event_id for row in await self.world.store.read_outbox(100)]


@pytest.fixture
async def operations(world: World) -> Operations:
    app = await world.store.create_operations_application(application(uid="operations"))
    return Operations(world, app, await world.store.create_endpoint(endpoint(app.id)))


# --- the application


async def test_an_organization_has_one_operations_application(store):
    org = OrgScope(ORG)
    assert await store.get_operations_application(org) is None
    made = await store.create_operations_application(application(uid="operations"))
    assert await store.get_operations_application(org) == made
    assert await store.create_operations_application(application(uid="another")) == made
    assert await store.get_operations_application(OrgScope("org_two")) is None
    assert await store.get_application(org, "operations") == made


async def test_it_is_not_among_the_customers(world, operations):
    listed = await world.store.list_applications(OrgScope(ORG), Page())
    assert [app.id for app in listed.rows] == [world.app.id]


async def test_its_uid_may_be_taken(store):
    await store.create_application(application(uid="operations"))
    with pytest.raises(ConflictError):
        await store.create_operations_application(application(uid="operations"))
    assert (await store.create_operations_application(application(uid=None))).uid is None


# --- endpoints


async def test_nobody_listens_nobody_is_told(database, world):
    one = await world.endpoint()
    await world.store.delete_endpoint(world.scope, one.id, NOW)
    app = await world.store.create_operations_application(application(uid="operations"))
    await world.endpoint()
    await world.store.create_endpoint(endpoint(app.id, status=EndpointStatus.DISABLED))
    await world.endpoint()
    gone = await world.store.create_endpoint(endpoint(app.id))
    await world.store.delete_endpoint(AppScope(ORG, app.id), gone.id, NOW)
    await world.endpoint()
    assert await database.count("outbox") == 0


async def test_other_organizations_are_not_told(database, world, operations):
    other = await world.store.create_application(application(org_id="org_two"))
    await world.store.create_endpoint(endpoint(other.id, org_id="org_two"))
    assert await database.count("outbox") == 0


async def test_nothing_is_told_about_itself(database, world, operations):
    scope = AppScope(ORG, operations.app.id)
    changed = msgspec.structs.replace(operations.hook, description="new", updated_at_ms=NOW + 1)
    await world.store.update_endpoint(changed)
    second = await world.store.create_endpoint(endpoint(operations.app.id))
    await world.store.delete_endpoint(scope, second.id, NOW)
    (one,) = await accept_for(world, operations.app.id, operations.hook.id)
    await world.record(Outcome(failure(one, operations.hook.id, final=True, number=8)))
    assert await database.count("outbox") == 0


async def accept_for(world: World, app_id: str, *targets: str) -> list[Any]:
    one = message(app_id, *targets)
    await world.write(messages=[NewMessage(one)], batch_id=new_id(BATCH))
    return [one]


async def test_endpoints_are_told_from_first_to_last(world, operations):
    app = await world.store.update_application(msgspec.structs.replace(world.app, uid="acme"))
    one = await world.endpoint(uid="hook")
    world.now_ms = NOW + 1
    await world.set_status(one, EndpointStatus.DISABLED)
    world.now_ms = NOW + 2
    await world.set_status(one, EndpointStatus.DISABLED)
    world.now_ms = NOW + 3
    await world.set_status(one, EndpointStatus.PAUSED)
    await world.store.delete_endpoint(world.scope, one.id, NOW + 4)
    assert not await world.store.delete_endpoint(world.scope, one.id, NOW + 5)
    base = {"appId": app.id, "appUid": "acme", "endpointId": one.id, "endpointUid": "hook"}
    disabled = {"failSince": None, "trigger": "manual", "reason": "requested", "detail": None}
    assert await operations.told() == [
        ("endpoint.created", base),
        ("endpoint.updated", base),
        ("endpoint.disabled", base | disabled),
        ("endpoint.updated", base),
        ("endpoint.updated", base),
        ("endpoint.enabled", base),
        ("endpoint.deleted", base),
    ]
    event_ids = await operations.event_ids()
    assert len(set(event_ids)) == len(event_ids)
    assert event_ids[0] == f"endpoint.created.{one.id}"
    assert event_ids[2] == f"endpoint.disabled.{one.id}.{NOW + 1}"


async def test_what_fails_is_not_told(world, operations):
    await world.endpoint(uid="taken")
    other = await world.endpoint()
    told = await operations.types()
    with pytest.raises(ConflictError):
        await world.endpoint(uid="taken")
    with pytest.raises(ConflictError):
        await world.store.update_endpoint(msgspec.structs.replace(other, uid="taken"))
    assert await operations.types() == told


async def test_a_disable_by_the_receiver_is_told_once(world, operations):
    one = await world.endpoint()
    (first, second) = await world.accept(one.id, count=2)
    disable = Disable(world.app.id, one.id, "gone")
    for of in (first, second):
        await world.write(outcomes=[Outcome(failure(of, one.id, reason="gone", number=1))], disables=[disable])
    types = await operations.types()
    assert types == ["endpoint.created", "endpoint.disabled"]
    data = (await operations.told())[1][1]
    assert (data["reason"], data["trigger"]) == ("gone", "automatic")


# --- deliveries


@pytest.fixture
async def hook(world: World, operations: Operations) -> Endpoint:
    one = await world.endpoint()
    for row in await world.store.read_outbox(100):  # nobody asks here how it began
        await world.store.refuse_outbox(row.id, "", NOW)
    return one


async def test_a_delivery_that_fails_and_recovers(world, operations, hook):
    (one,) = await world.accept(hook.id, event_id="evt-1")
    attempts = [failure(one, hook.id, number=number, response_status=503) for number in range(1, 6)]
    for made in attempts:
        await world.record(Outcome(made, NOW + HOUR, has_row=made.number > 1))
        world.now_ms += HOUR
        await world.lease(hook.id)
    await world.record(Outcome(attempt(one, hook.id, number=6), has_row=True))
    told = await operations.told()
    assert [event_type for event_type, _ in told] == ["message.attempt.failing", "message.attempt.recovered"]
    assert told[0][1] == {
        "appId": world.app.id,
        "appUid": None,
        "endpointId": hook.id,
        "msgId": one.id,
        "msgEventId": "evt-1",
        "lastAttempt": {"id": attempts[3].id, "responseStatusCode": 503, "timestamp": "2025-06-15T15:06:40.000Z"},
    }
    assert told[1][1]["lastAttempt"]["responseStatusCode"] == 200


@pytest.mark.parametrize(
    ("changes", "number", "told"),
    [
        ({"final": True}, 1, ["message.attempt.exhausted"]),
        ({"final": True}, 4, ["message.attempt.exhausted"]),
        ({"final": True, "reason": "gone"}, 2, ["message.attempt.exhausted"]),
        ({}, 3, []),
        ({}, 5, []),
        ({"final": True, "kind": Kind.MANUAL}, -1, []),
    ],
)
async def test_which_failures_are_told(world, operations, hook, changes, number, told):
    (one,) = await world.accept(hook.id)
    retry_at_ms = None if changes.get("final") else NOW + HOUR
    await world.record(Outcome(failure(one, hook.id, number=number, **changes), retry_at_ms))
    assert await operations.types() == told


async def test_a_late_failure_is_not_told_and_a_late_success_is(world, operations, hook):
    (one, two) = await world.accept(hook.id, count=2)
    await world.record(Outcome(failure(one, hook.id, final=True, number=9), late=True))
    await world.record(Outcome(attempt(two, hook.id, number=7), late=True))
    assert await operations.types() == ["message.attempt.recovered"]


async def test_two_that_say_the_same_say_it_under_one_id(world, operations, hook):
    (one,) = await world.accept(hook.id)
    made = attempt(one, hook.id, number=5)
    for _ in range(2):
        await world.record(Outcome(made, has_row=True))
    assert await operations.event_ids() == [f"message.attempt.recovered.{made.id}"] * 2


async def test_many_at_once(world, operations, hook):
    messages = await world.accept(hook.id, count=30)
    await world.record(*(Outcome(failure(one, hook.id, final=True, number=2)) for one in messages))
    assert [data["msgId"] for _, data in await operations.told()] == [one.id for one in messages]


async def test_poison_is_told(world, operations, hook):
    (one,) = await world.free(hook.id)
    node = world.node
    for number in range(4):
        other = await world.store.register_node(f"node_{number}", 3600.0)
        assert await world.lease(hook.id, node=other)
        await world.die(other)
        await world.store.rescue(node, world.now_ms, 100)
    ((event_type, data),) = await operations.told()
    assert (event_type, data["msgId"], data["lastAttempt"]["responseStatusCode"]) == (
        "message.attempt.exhausted",
        one.id,
        0,
    )


async def test_a_spilled_delivery_that_arrives_says_nothing(world, operations, hook):
    (one,) = await world.free(hook.id)
    await world.lease(hook.id)
    await world.record(Outcome(attempt(one, hook.id), has_row=True))
    assert await operations.types() == []
