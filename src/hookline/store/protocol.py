"""The `Store` protocol: everything that Hookline asks of a database, with SQLite and PostgreSQL behind it.

Each method is one transaction unless it says otherwise. Times are Unix milliseconds. Leases run on the database's
own clock; due times on the caller's (`now_ms`). Questions about customers' data begin with a scope. All methods may
raise `StoreUnavailableError` and, when they write, `StoreFullError`; then nothing of the transaction was kept.

One conformance suite (`tests/store`) runs against every implementation and is the exact meaning of this page.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from hookline.model import (
    ApiKey,
    Application,
    Attempt,
    AttemptStatus,
    DeliveryState,
    Endpoint,
    EndpointStatus,
    EventType,
    Message,
    Organization,
    OrganizationSettings,
)
from hookline.model.health import EndpointHealth, Evidence, FailingEndpoint
from hookline.store.alerts import AlertStore
from hookline.store.answers import Answers
from hookline.store.changes import (
    Claimed,
    Commit,
    CommitResult,
    DueLane,
    LaneHealth,
    NodeLease,
    OutboxRow,
    PruneReport,
    RescueReport,
    Retention,
    SlotRequest,
    Slots,
    Want,
)
from hookline.store.credentials import Credentials
from hookline.store.jobs import JobStore
from hookline.store.scope import AppScope, OrgScope
from hookline.store.tasks import TaskStore


class Page(msgspec.Struct, frozen=True):
    """Which part of a list: at most `limit` rows strictly after `after` or strictly before `before` (ids), in id order.

    The rows come in list order in both directions. `ascending` is oldest first.
    """

    limit: int = 50
    after: str | None = None
    before: str | None = None
    ascending: bool = False


class MessageFilter(msgspec.Struct, frozen=True):
    """Which messages or attempts. Times bound the object's own creation: `since_ms` inclusive, `until_ms` exclusive."""

    event_types: tuple[str, ...] | None = None
    channel: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    status: AttemptStatus | None = None
    status_class: int | None = None  # 0 for no answer, 100, 200, ... 500
    endpoint_id: str | None = None
    tag: str | None = None
    #: attempts alone: the last one so far of a delivery that goes on, being sent or waiting for its endpoint
    unsettled: Literal["sending", "pending"] | None = None

    @property
    def is_about_messages(self) -> bool:
        """Whether attempts must be asked for their messages."""
        return self.event_types is not None or self.channel is not None or self.tag is not None

    @property
    def is_about_trouble(self) -> bool:
        """Whether no success can match: these attempts have an index of their own."""
        return self.status is not None and self.status is not AttemptStatus.SUCCEEDED


class EventTypeFilter(msgspec.Struct, frozen=True):
    """Which event types, and how much of each. `flags` are those that the caller has; None sees all types."""

    with_archived: bool = False
    with_schemas: bool = True
    flags: tuple[str, ...] | None = None


T = TypeVar("T")


class Slice(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list. `done` is false while more rows may follow; a page may be short and still not the last one
    (a filter without an index looks at a bounded number of rows, `last_seen` is where to go on).
    """

    rows: list[T]
    done: bool
    last_seen: str | None = None


class DeliveryView(msgspec.Struct, frozen=True):
    """Where the delivery of one message to one endpoint stands."""

    endpoint_id: str
    state: DeliveryState
    attempts: int
    next_attempt_at_ms: int | None


class EndpointMessage(msgspec.Struct, frozen=True):
    """A message at one endpoint, and where its delivery there stands."""

    message: Message
    delivery: DeliveryView


class AttemptCounts(msgspec.Struct, frozen=True):
    """Attempts of an endpoint in a period, by when they were recorded. `exhausted`: failures that nothing followed."""

    succeeded: int
    failed: int
    exhausted: int
    canceled: int


class DeliveryCounts(msgspec.Struct, frozen=True):
    """Deliveries to an endpoint: those that ended in a period, and those not ended yet of messages accepted in it."""

    succeeded: int
    pending: int
    sending: int
    exhausted: int
    canceled: int


class Backlog(msgspec.Struct, frozen=True):
    """What is owed and not in memory, for `/metrics` and the benchmark's ledger."""

    due: int
    waiting: int
    leased: int
    parked: int
    oldest_due_at_ms: int | None
    batches: int


class Change(msgspec.Struct, frozen=True):
    """An application whose endpoints changed, and its routing version since."""

    app_id: str
    version: int


class Management(Protocol):
    """What surfaces read and configure. Every change of an endpoint moves its application's routing version and is
    announced on the bus after the commit; where the organization has an operations application with an endpoint that
    is not disabled, the change puts its operational webhook into the outbox, in its own transaction.
    """

    async def create_application(self, application: Application) -> Application:
        """Raises ConflictError when the uid is taken in this organization."""
        ...

    async def get_application(self, scope: OrgScope, id_or_uid: str) -> Application | None: ...
    async def list_applications(self, scope: OrgScope, page: Page) -> Slice[Application]: ...
    async def update_application(
        self, application: Application, *, read_at_ms: int | None = None
    ) -> Application | None:
        """Replace name, uid, throttle_rate, metadata. None when it is gone. Raises ConflictError.

        `read_at_ms` is the `updated_at_ms` of the state that this change was made from: ChangedMeanwhileError when it
        is not the application's any more.
        """
        ...

    async def delete_application(self, scope: AppScope, now_ms: int) -> bool:
        """Mark it and its endpoints deleted (uids are free again), and remove their names, addresses, secrets and
        keys; the Pruner removes the rest.
        """
        ...

    async def get_operations_application(self, scope: OrgScope) -> Application | None:
        """Where the organization's operational webhooks go. It is not in `list_applications`."""
        ...

    async def create_operations_application(self, application: Application) -> Application:
        """Make it, unless there is one already: that one. Raises ConflictError when the uid is taken."""
        ...

    async def create_endpoint(self, endpoint: Endpoint) -> Endpoint: ...
    async def get_endpoint(self, scope: AppScope, id_or_uid: str) -> Endpoint | None: ...
    async def list_endpoints(self, scope: AppScope, page: Page) -> Slice[Endpoint]: ...
    async def update_endpoint(self, endpoint: Endpoint, *, read_at_ms: int | None = None) -> Endpoint | None:
        """Replace everything but id, owner and created_at. None when it is gone. Raises ConflictError.

        `read_at_ms` is the `updated_at_ms` of the state that this change was made from: ChangedMeanwhileError when
        it is not the endpoint's any more. A change made so must move `updated_at_ms`; a disable by its receiver does.

        An endpoint that becomes enabled gets its lane closed and due at once: what was parked goes on.
        """
        ...

    async def delete_endpoint(self, scope: AppScope, endpoint_id: str, now_ms: int) -> bool: ...
    async def endpoint_health(self, scope: AppScope, endpoint_ids: Sequence[str]) -> dict[str, EndpointHealth]:
        """Of those endpoints that fail or were disabled; the others are not in it. Enabling one forgets all of it."""
        ...

    async def create_api_key(self, key: ApiKey) -> ApiKey: ...
    async def find_api_key(self, key_hash: bytes) -> ApiKey | None:
        """By hash alone: this is how a caller's scope is found. Expired and revoked ones are returned too."""
        ...

    async def list_api_keys(self, scope: OrgScope) -> list[ApiKey]: ...
    async def update_api_key(self, key: ApiKey) -> ApiKey | None:
        """Replace name and expires_at_ms, and set revoked_at_ms once: what was revoked stays so."""
        ...

    async def get_message(self, scope: AppScope, id_or_event_id: str, *, with_content: bool = True) -> Message | None:
        """Without content the payload is not read from the database, and empty here."""
        ...

    async def expunge_messages(self, scope: AppScope, message_ids: Sequence[str], now_ms: int) -> set[str]:
        """Empty these payloads now, and cancel what their messages still owe, reason `payload_expunged`. Those that
        there are, also those that were empty before. Nodes are told to let go of what they hold in memory.
        """
        ...

    async def expunge_attempt(self, scope: AppScope, message_id: str, attempt_id: str, body: bytes) -> bool:
        """Replace what the receiver answered by `body`. False when there is no such attempt."""
        ...

    async def get_messages(
        self, scope: AppScope, message_ids: Collection[str], *, with_content: bool = True
    ) -> list[Message]:
        """Those that there are, in no order."""
        ...

    async def list_messages(
        self, scope: AppScope, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Message]: ...
    async def list_messages_of_endpoint(
        self,
        scope: AppScope,
        endpoint_id: str,
        page: Page,
        where: MessageFilter,
        *,
        states: Collection[DeliveryState] | None,
        now_ms: int,
        with_content: bool = True,
    ) -> Slice[EndpointMessage]:
        """Messages that were for this endpoint, or were sent to it all the same, whose delivery there is in one of
        these states (None: in any). Looks at a window of the application's messages.
        """
        ...

    async def get_attempt(self, scope: AppScope, message_id: str, attempt_id: str) -> Attempt | None: ...
    async def list_attempts_of_message(
        self, scope: AppScope, message_id: str, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Attempt]: ...
    async def list_attempts_of_endpoint(
        self, scope: AppScope, endpoint_id: str, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Attempt]: ...
    async def deliveries_of_message(self, scope: AppScope, message_id: str, now_ms: int) -> list[DeliveryView]:
        """One for each target, from final attempts, `pending`, and what is owed by neither; then for endpoints that it
        was sent to all the same.
        """
        ...

    async def count_attempts(
        self, scope: AppScope, endpoint_id: str, since_ms: int, until_ms: int
    ) -> AttemptCounts | None:
        """None when there is no such endpoint. Counting stops at ten millions of a kind."""
        ...

    async def count_deliveries(
        self, scope: AppScope, endpoint_id: str, since_ms: int, until_ms: int, now_ms: int
    ) -> DeliveryCounts | None:
        """The same of deliveries. What a node has in memory and tries for the first time is not counted yet."""
        ...

    async def request_resend(self, scope: AppScope, message_id: str, endpoint_id: str, now_ms: int) -> bool:
        """Put a manual delivery into `pending`, due now. False when message or endpoint is not of this application, or
        the payload is gone.
        """
        ...


class Catalog(Protocol):
    """What messages and endpoints of an organization are checked by: its settings and event types. Every change moves
    the organization's `catalog_version` in the same transaction and is announced on the bus after the commit.
    """

    async def get_organization(self, scope: OrgScope) -> Organization:
        """What it has said; the defaults and version 0 when it has said nothing yet."""
        ...

    async def update_settings(
        self, scope: OrgScope, settings: OrganizationSettings, *, read_version: int
    ) -> Organization:
        """Replace all settings. Raises ChangedMeanwhileError when `catalog_version` is not `read_version` any more."""
        ...

    async def create_event_type(self, event_type: EventType) -> EventType:
        """A new one, or an archived one made anew (its `created_at_ms` stays). Raises ConflictError: a live one."""
        ...

    async def get_event_type(self, scope: OrgScope, name: str) -> EventType | None: ...
    async def list_event_types(self, scope: OrgScope, page: Page, where: EventTypeFilter) -> Slice[EventType]:
        """By name: the page's cursors are names."""
        ...

    async def list_live_types(self, scope: OrgScope, *, with_schemas: bool) -> list[tuple[str, str | None]]:
        """Name and schemas (JSON by version) of every type that is not archived."""
        ...

    async def measure_event_types(self, scope: OrgScope, *, besides: Sequence[str]) -> tuple[int, int]:
        """How many there are besides these names, archived ones included, and how many bytes their schemas take."""
        ...

    async def update_event_type(self, event_type: EventType, *, read_at_ms: int | None = None) -> EventType | None:
        """Replace everything but name, owner and created_at. None when it is gone. `updated_at_ms` moves in any case.

        Raises ChangedMeanwhileError when `read_at_ms` is not its `updated_at_ms` any more.
        """
        ...

    async def put_event_types(
        self, scope: OrgScope, event_types: Sequence[EventType], *, archive_others_at_ms: int | None = None
    ) -> list[EventType]:
        """Create or replace all of them in one transaction; archive all others, if a time is given."""
        ...

    async def archive_event_type(self, scope: OrgScope, name: str, now_ms: int) -> bool:
        """False when there is none."""
        ...

    async def expunge_event_type(self, scope: OrgScope, name: str) -> bool:
        """Remove it. False when there is none."""
        ...


class Routes(NamedTuple):
    """What a selection is made from: an application's routing version, its live endpoints, its rate for all of them."""

    version: int
    endpoints: list[Endpoint]
    throttle_rate: int | None = None


class EngineStore(Protocol):
    """What the engine asks. These methods see all tenants; only the engine may hold this side."""

    async def register_node(self, node_id: str, lease_s: float) -> NodeLease:
        """Take or renew a place among the nodes, with a higher epoch than ever before under this id."""
        ...

    async def renew_lease(self, node: NodeLease, lease_s: float) -> bool:
        """False when the epoch is gone: this node was declared dead."""
        ...

    async def take_lead(self, task: str, node: NodeLease, lease_s: float) -> bool:
        """Whether this node does what one of them does for all, for the next `lease_s`; on the database's clock."""
        ...

    async def list_failing(self, before_ms: int, after_id: str, limit: int) -> list[FailingEndpoint]:
        """Enabled endpoints that were noted as failing at or before `before_ms`, by id, from behind `after_id` on."""
        ...

    async def weigh_failing(self, endpoint: FailingEndpoint, recent_ms: int) -> Evidence:
        """What its attempts say; those since `recent_ms` are the recent ones."""
        ...

    async def correct_failing(self, endpoint: FailingEndpoint, failing_since_ms: int | None) -> None:
        """Set since when it fails, or that it does not; nothing, if something else has become known meanwhile."""
        ...

    async def retire_node(self, node: NodeLease) -> None:
        """Graceful stop: free every lease that is left under this epoch, without counting a rescue; remove the row."""
        ...

    async def commit(self, change: Commit) -> CommitResult:
        """The one write path. In this order, in one transaction:

        0. the fence: the node's row with this epoch, held `FOR KEY SHARE`, else FencedError;
        1. routing versions of the applications in `routing`, else StaleRoutingError (nothing was written);
        2. outbox rows of messages that have one are deleted; a message whose row was gone is `taken`;
        3. keys: expired ones make way, then insert-or-ignore, in sorted order; a message that lost one is a duplicate
           (an existing key with the same message id is the message's own and no duplicate), and keeps none of its keys;
        4. messages; more than 64 targets go to `fanouts` once, by hash; a batch row (id, node, epoch, the ids of the
           messages that have targets) when any kept message has targets that are born leased;
        5. ordered targets: sequence numbers from the lane's counter, under its row's lock, and rows in `pending`;
           targets of a message with `deliver_at_ms`: free rows in `pending`, due then;
        6. outcomes: the attempt row, then `pending`, where «row» is the one of the attempt's own kind:
             success, born leased       nothing more (there is no row)
             success, has_row or late   delete the scheduled row whoever leases it; a manual success its manual row too
             late failure               the attempt is written as not final, `pending` stays
             failure, retry, no row     insert free, due then; on conflict update only if it is leased to this node
             failure, retry, has_row    update if it is still leased to this node, else nothing
             failure or cancel, final   delete the row if it is leased to this node or free
           (an update sets attempts to the attempt's number, rescues to 0, no lease);
        7. spills: insert or leave as it is; releases: free the lease if it is ours, rescues unchanged;
        8. lanes: `next_due_at` of every endpoint that got a free row becomes the earlier of the two; health as given;
        9. disables: status and reason, routing version;
        10. settled batch rows go;
        11. the health of endpoints: a failure that is not late notes since when, a success with a row, a late or a
            `healed` one forgets it, a final failure and a disable note when;
        12. operational webhooks of outcomes and disables, into the outbox: a delivery that failed for good, that failed
            for the fourth time, or that arrived after that; an endpoint that was disabled. Only where somebody
            listens; late failures and manual attempts say nothing.

        NOTIFY at most once, and only if another node should know (ordered targets, disables, lane health).

        Raises:
            AmbiguousCommitError: the connection broke during COMMIT. Its outcomes may be committed again by the same
                store: those that are there already are left out, with what they did to `pending`.
        """
        ...

    async def resolve_batch(self, batch_id: str) -> bool:
        """Whether the batch was committed. If it was not, it never will be: its id is taken by a tombstone first."""
        ...

    async def due_lanes(self, node: NodeLease, now_ms: int, limit: int) -> list[DueLane]:
        """Lanes of enabled endpoints with `next_due_at <= now_ms`, not open, not leased (ordered) to another live node;
        longest due first. A lane that is open beyond its time is returned with its health as stored.
        """
        ...

    async def next_due_at(self, now_ms: int) -> int | None:
        """When the next lane of an enabled endpoint will be due: how long the Claimer may sleep."""
        ...

    async def claim(self, node: NodeLease, wants: Sequence[Want], now_ms: int) -> list[Claimed]:
        """Lease due rows, at most `room` per lane, and recompute `next_due_at` of those lanes under their rows' locks.

        Unordered: by due time, `SKIP LOCKED`. Ordered: take or keep the lane's lease, then rows by sequence from the
        head on, stopping at the first one that is leased or not yet due; none if another live node has the lane.
        Of each lane no more than `count_claimable` says: a suspect comes alone, and what is behind it stays free.
        """
        ...

    async def release_lanes(self, node: NodeLease, endpoint_ids: Sequence[str]) -> None:
        """Give back leases of ordered lanes."""
        ...

    async def lane_health(self, endpoint_ids: Sequence[str]) -> list[LaneHealth]: ...

    async def take_slots(self, requests: Sequence[SlotRequest]) -> list[Slots]:
        """Moments at which messages may go under these rates; one answer for each request.

        The slots of a rate follow each other without a gap for as long as somebody asks, and each is given to one node
        only. None is given that is more than `pacing.HORIZON_S` ahead, but the next one always can be had at its time.
        """
        ...

    async def rescue(self, node: NodeLease, now_ms: int, limit: int, *, poison_after: int = 3) -> RescueReport:
        """Take over what dead nodes owe, in bounded steps: (1) nodes whose lease ended are fenced (epoch + 1, under
        `FOR UPDATE`); (2) batches whose (node, epoch) is not a live one become `pending`: for each target that has
        neither a final attempt nor a row, one row, due now, `rescues` 1; the batch row goes; (3) rows leased by such
        a (node, epoch) become free and due, `rescues` + 1; more than `poison_after` rescues: a final failed attempt,
        reason `poison`, instead. Two nodes may do this at once.
        """
        ...

    async def own_batches(self, node: NodeLease, older_than_ms: int) -> list[str]:
        """Batch rows of this node and epoch that were written before `older_than_ms`."""
        ...

    async def adopt_batches(self, node: NodeLease, batch_ids: Sequence[str], now_ms: int) -> int:
        """Turn what these batches of our own still owe into free `pending` rows (rescues 0); their rows go."""
        ...

    async def cancel_deleted(self, now_ms: int, limit: int) -> PruneReport:
        """Write a final `canceled` attempt (reason `endpoint_deleted`) for free `pending` rows of deleted endpoints;
        those of deleted applications are `erase_deleted`'s.
        """
        ...

    async def erase_deleted(self, now_ms: int, limit: int) -> PruneReport:
        """Remove what deleted applications left: at most `limit` rows of `pending`, messages, keys and attempts each;
        and ten minutes after the deletion, when nothing more can come, all else that knows of them.
        """
        ...

    async def expire_payloads(self, now_ms: int, limit: int) -> PruneReport:
        """Empty payloads whose time has come and cancel what they still owe, reason `payload_expired`."""
        ...

    async def prune(self, before_ms: int, now_ms: int, limit: int) -> PruneReport:
        """Remove messages and attempts made before `before_ms`, expired keys, and rows of nodes dead for a day. A
        message that is still owed (`pending`, a batch) stays, with its attempts.
        """
        ...

    async def list_retentions(self) -> list[Retention]: ...
    async def prune_organization(self, org_id: str, before_ms: int, limit: int) -> PruneReport:
        """As `prune`, but row by row, of the messages and attempts of one organization."""
        ...

    async def read_outbox(self, limit: int) -> list[OutboxRow]:
        """The oldest rows that were not refused, whatever their ids: no cursor."""
        ...

    async def refuse_outbox(self, row_id: int, error: str, now_ms: int) -> None:
        """Keep a row that cannot be sent, with the reason, out of the Relay's way."""
        ...

    async def load_routing(self, app_id: str) -> Routes | None:
        """None when the application is gone."""
        ...

    async def routing_changes(self, since: int, limit: int) -> list[Change]:
        """Applications whose routing version is above `since`, lowest first."""
        ...

    async def backlog(self, now_ms: int) -> Backlog: ...
    async def count_endpoints(self) -> dict[EndpointStatus, int]:
        """How many live endpoints there are in each state, of all tenants; a state with none is 0. Reads them all."""
        ...


class Store(Management, Catalog, Credentials, Answers, AlertStore, EngineStore, TaskStore, JobStore, Protocol):
    """A database. `open` connects (and, on SQLite, takes the engine lock if asked); `migrate` brings the schema up."""

    #: how many `commit` calls may usefully run at once
    committers: int

    async def open(self, *, engine: bool) -> None:
        """Raises EngineLockedError, StoreUnavailableError, KeyCheckError, MigrationError (schema not current)."""
        ...

    async def migrate(self) -> list[str]:
        """Apply what is missing; the names of what was applied. May be called before `open`, by many at once."""
        ...

    async def ping(self) -> None:
        """Raises StoreUnavailableError."""
        ...

    def subscribe(self, listener: Callable[[str, str], None]) -> None:
        """Be told of wake-ups from any node: `("routing", app_id)`, `("lane", endpoint_id)`, `("outbox", "")`,
        `("catalog", org_id)`, `("task", task_id)`, `("job", job_id)`, `("expunged", app_id)` when payloads of it were
        emptied that may be in memory, and `("resync", "")` after notifications may have been missed. Called on the
        event loop; hints only.
        """
        ...

    async def close(self) -> None: ...
