"""Parts for tests of the store: entities with sensible defaults, and a small world of one application to begin with."""

from __future__ import annotations

import itertools
from typing import Any

from hookline.model import (
    Application,
    Attempt,
    AttemptStatus,
    BasicAuth,
    Endpoint,
    EndpointSecret,
    EndpointStatus,
    Extras,
    Kind,
    Message,
    RetryPolicy,
)
from hookline.model.ids import APPLICATION, ATTEMPT, BATCH, ENDPOINT, MESSAGE, id_at
from hookline.store import (
    AppScope,
    Claimed,
    Commit,
    CommitResult,
    DeliveryKey,
    NewMessage,
    NodeLease,
    OrgScope,
    Outcome,
    Spill,
    Store,
    Want,
)

NOW = 1_750_000_000_000
SECOND, HOUR, DAY = 1_000, 3_600_000, 86_400_000
LEASE_S = 3600.0
ORG = "org_one"

_numbers = itertools.count(1)


def new_id(prefix: str, at_ms: int = NOW) -> str:
    """Make an id of that moment, later than all that were made for it before."""
    return id_at(prefix, at_ms)[:-16] + f"{next(_numbers):016d}"


def application(**changes: Any) -> Application:
    fields: dict[str, Any] = {
        "id": new_id(APPLICATION),
        "org_id": ORG,
        "uid": None,
        "name": "Customer",
        "throttle_rate": None,
        "metadata": {},
        "created_at_ms": NOW,
        "updated_at_ms": NOW,
    }
    return Application(**fields | changes)


def endpoint(app_id: str, **changes: Any) -> Endpoint:
    fields: dict[str, Any] = {
        "id": new_id(ENDPOINT),
        "org_id": ORG,
        "app_id": app_id,
        "uid": None,
        "url": "https://example.com/hook",
        "description": "",
        "version": 1,
        "dialect": "standard",
        "status": EndpointStatus.ENABLED,
        "status_reason": None,
        "event_types": None,
        "channels": None,
        "secrets": (EndpointSecret("whsec_first", NOW),),
        "headers": {},
        "policy": None,
        "options": {},
        "ordered": False,
        "throttle_rate": None,
        "metadata": {},
        "created_at_ms": NOW,
        "updated_at_ms": NOW,
    }
    return Endpoint(**fields | changes)


FULL_ENDPOINT: dict[str, Any] = {
    "uid": "billing",
    "url": "https://example.com/hook?a=b",
    "description": "all of it: ä, 'quotes', \"more\"",
    "version": 7,
    "dialect": "openai",
    "status": EndpointStatus.PAUSED,
    "status_reason": "by hand",
    "event_types": ("order.*", "invoice.paid"),
    "channels": ("north", "south"),
    "secrets": (EndpointSecret("whsec_new", NOW + 5), EndpointSecret("whsec_old", NOW, NOW + 99)),
    "headers": {"Authorization": "Bearer s3cret"},
    "policy": RetryPolicy(schedule_s=(1, 2.5), jitter=0.0, timeout_s=3.0, final_client_errors=True),
    "options": {"mode": "structured", "nested": {"n": 1}},
    "ordered": True,
    "throttle_rate": 12,
    "metadata": {"tier": "gold"},
    "extras": Extras(filter={"data.amount": {">": 100}}, auth=BasicAuth("me", "hush"), ca_pem="PEM"),
    "updated_at_ms": NOW + 1,
}


def message(app_id: str, *targets: str, at_ms: int = NOW, **changes: Any) -> Message:
    fields: dict[str, Any] = {
        "id": new_id(MESSAGE, at_ms),
        "org_id": ORG,
        "app_id": app_id,
        "event_type": "order.created",
        "payload": b'{"n":1}',
        "targets": targets,
        "created_at_ms": at_ms,
    }
    return Message(**fields | changes)


def attempt(of: Message, endpoint_id: str, *, at_ms: int = NOW, **changes: Any) -> Attempt:
    """Make a success with its defaults; see `failure` for the other."""
    fields: dict[str, Any] = {
        "id": new_id(ATTEMPT, at_ms),
        "app_id": of.app_id,
        "message_id": of.id,
        "endpoint_id": endpoint_id,
        "kind": Kind.SCHEDULED,
        "number": 1,
        "url": "https://example.com/hook",
        "status": AttemptStatus.SUCCEEDED,
        "final": True,
        "reason": "",
        "detail": "",
        "response_status": 200,
        "response_body": b"ok\x00\xff",
        "duration_ms": 12,
        "created_at_ms": at_ms,
    }
    return Attempt(**fields | changes)


def failure(of: Message, endpoint_id: str, *, final: bool = False, **changes: Any) -> Attempt:
    fields = {"status": AttemptStatus.FAILED, "reason": "http_status", "response_status": 500, "final": final}
    return attempt(of, endpoint_id, **fields | changes)


def key(of: Message, endpoint_id: str, kind: Kind = Kind.SCHEDULED) -> DeliveryKey:
    return DeliveryKey(of.id, endpoint_id, kind)


class World:
    """One application with endpoints, one living node, and short ways to what tests do again and again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.app: Application
        self.node: NodeLease
        self.now_ms = NOW

    async def build(self) -> World:
        self.app = await self.store.create_application(application())
        self.node = await self.store.register_node("node_here", LEASE_S)
        return self

    @property
    def org(self) -> OrgScope:
        return OrgScope(ORG)

    @property
    def scope(self) -> AppScope:
        return AppScope(ORG, self.app.id)

    async def endpoint(self, **changes: Any) -> Endpoint:
        return await self.store.create_endpoint(endpoint(self.app.id, **changes))

    async def set_status(self, of: Endpoint, status: EndpointStatus) -> None:
        import msgspec

        assert await self.store.update_endpoint(msgspec.structs.replace(of, status=status, updated_at_ms=self.now_ms))

    async def write(self, node: NodeLease | None = None, **changes: Any) -> CommitResult:
        """Commit, by our node unless told otherwise."""
        return await self.store.commit(Commit(node or self.node, changes.pop("now_ms", self.now_ms), **changes))

    async def accept(
        self, *targets: str, node: NodeLease | None = None, count: int = 1, **changes: Any
    ) -> list[Message]:
        """Commit messages to these endpoints, in one batch."""
        messages = [message(self.app.id, *targets, **changes) for _ in range(count)]
        await self.write(node, messages=[NewMessage(one) for one in messages], batch_id=new_id(BATCH))
        return messages

    async def accept_ordered(self, *targets: str, count: int = 1) -> list[Message]:
        messages = [message(self.app.id, *targets) for _ in range(count)]
        await self.write(messages=[NewMessage(one, ordered=targets) for one in messages])
        return messages

    async def free(self, endpoint_id: str, *, due_at_ms: int = NOW, count: int = 1) -> list[Message]:
        """Accept messages whose deliveries then leave memory: free rows in `pending`, their batch gone."""
        batch_id = new_id(BATCH)
        messages = [message(self.app.id, endpoint_id) for _ in range(count)]
        spills = [Spill(key(one, endpoint_id), self.app.id, due_at_ms) for one in messages]
        await self.write(messages=[NewMessage(one) for one in messages], batch_id=batch_id)
        await self.write(spills=spills, settled_batches=[batch_id])
        return messages

    async def lease(
        self, endpoint_id: str, *, node: NodeLease | None = None, room: int = 100, ordered: bool = False
    ) -> list[Claimed]:
        want = Want(endpoint_id, room, ordered)
        return await self.store.claim(node or self.node, [want], self.now_ms)

    async def record(self, *outcomes: Outcome, node: NodeLease | None = None) -> None:
        await self.write(node, outcomes=list(outcomes))

    async def die(self, node: NodeLease) -> None:
        """End the node's lease, as time would."""
        assert await self.store.renew_lease(node, -1.0)

    async def due(self, node: NodeLease | None = None, now_ms: int | None = None) -> list[str]:
        lanes = await self.store.due_lanes(node or self.node, self.now_ms if now_ms is None else now_ms, 100)
        return [lane.endpoint_id for lane in lanes]
