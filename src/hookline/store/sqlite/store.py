"""`SqliteStore`: the `Store` protocol over one file, or in memory for tests.

    new ──migrate──> new ──open──> open ──close──> closed

`open(engine=True)` takes the engine's lock and does the checkpoints; without the engine a process may read, configure
and fill the outbox beside it. In memory there is one connection, and everything happens on it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TypeVar

from hookline.clock import Clock
from hookline.model import (
    ApiKey,
    Application,
    Attempt,
    DeliveryState,
    Endpoint,
    EndpointStatus,
    EventType,
    Message,
    Organization,
    OrganizationSettings,
)
from hookline.model.health import EndpointHealth, Evidence, FailingEndpoint
from hookline.store.answers import KeptAnswer, wants_trim
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
from hookline.store.credentials import TokenName
from hookline.store.errors import StoreUnavailableError
from hookline.store.pacing import Rates
from hookline.store.protocol import (
    AttemptCounts,
    Backlog,
    Change,
    DeliveryCounts,
    DeliveryView,
    EndpointMessage,
    EventTypeFilter,
    MessageFilter,
    Page,
    Routes,
    Slice,
)
from hookline.store.scope import AppScope, OrgScope
from hookline.store.sealing import KeyRing
from hookline.store.sqlite import (
    answers,
    catalog,
    committing,
    counting,
    erasing,
    health,
    lanes,
    listing,
    management,
    messages,
    nodes,
    operations,
    rescuing,
    retention,
    routing,
    setup,
    tokens,
)
from hookline.store.sqlite.alerts import SqliteAlertStore
from hookline.store.sqlite.checkpoints import Checkpointer
from hookline.store.sqlite.connection import MEMORY, connect
from hookline.store.sqlite.job_store import SqliteJobStore
from hookline.store.sqlite.lock import EngineLock
from hookline.store.sqlite.readers import Readers
from hookline.store.sqlite.task_store import SqliteTaskStore
from hookline.store.sqlite.watching import Listener, Watcher
from hookline.store.sqlite.writer import Writer

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class SqliteStore(SqliteTaskStore, SqliteJobStore, SqliteAlertStore):
    """See the module. `created_key_file` names the key file that `open` has made, if it did: say so to the operator."""

    committers = 1

    def __init__(self, path: str, *, key_ring: KeyRing | None, clock: Clock) -> None:
        self._path = path
        self._file = None if path == MEMORY else Path(path)
        self._clock = clock
        self._given_key_ring = key_ring
        self._key_ring: KeyRing
        self._writer = Writer(path)
        self._watcher = Watcher(self._writer)
        self._readers: Readers | None = None
        self._checkpointer: Checkpointer | None = None
        self._lock: EngineLock | None = None
        self._rates = Rates()  # one process has the engine: nobody else needs to know of its slots
        self.created_key_file: Path | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    async def open(self, *, engine: bool) -> None:
        try:
            await asyncio.to_thread(self._open, engine=engine)
            if self._file is not None:
                await self._watcher.start()
                if self._checkpointer is not None:
                    self._checkpointer.start()
        except BaseException:
            await self.close()
            raise

    def _open(self, *, engine: bool) -> None:
        if self._file is not None and engine:
            self._lock = EngineLock(self._beside(".lock"))
            self._lock.acquire()
        connection = self._writer.connect(checkpoints=not engine)
        setup.require_schema(connection)
        key_path = None if self._file is None else self._beside(".key")
        self._key_ring, created = setup.unlock(connection, self._given_key_ring, key_path)
        if created:
            self.created_key_file = key_path
        if self._file is None:
            self._given_key_ring = self._key_ring
            return
        self._readers = Readers(self._path)
        self._readers.connect()
        if engine:
            setup.end_leases(connection)
            self._checkpointer = Checkpointer(self._path, self._writer)
            self._checkpointer.connect()

    async def migrate(self) -> list[str]:
        now_ms = self._clock.now_ms()
        if self._file is None:
            return setup.migrate(self._writer.connect(checkpoints=False), now_ms)

        def work() -> list[str]:
            connection = connect(self._path, wait_s=0)
            try:
                return setup.migrate(connection, now_ms)
            finally:
                connection.close()

        return await asyncio.to_thread(work)

    async def ping(self) -> None:
        await self._read(lambda c: c.execute("SELECT 1 FROM hookline_meta LIMIT 1").fetchone())

    def subscribe(self, listener: Listener) -> None:
        self._watcher.subscribe(listener)

    async def close(self) -> None:
        await self._watcher.stop()
        if self._checkpointer is not None:
            await self._checkpointer.stop()
            self._checkpointer = None
        if self._readers is not None:
            await asyncio.to_thread(self._readers.close)
            self._readers = None
        await self._writer.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # --- applications, endpoints, API keys ----------------------------------------------------------------------------

    async def create_application(self, application: Application) -> Application:
        return await self._writer.run(lambda c: management.create_application(c, application))

    async def get_application(self, scope: OrgScope, id_or_uid: str) -> Application | None:
        return await self._look_up(lambda c: management.find_application(c, scope, id_or_uid))

    async def list_applications(self, scope: OrgScope, page: Page) -> Slice[Application]:
        return await self._read(lambda c: management.list_applications(c, scope, page))

    async def update_application(
        self, application: Application, *, read_at_ms: int | None = None
    ) -> Application | None:
        updated = await self._writer.run(lambda c: management.update_application(c, application, read_at_ms))
        if updated is not None:
            self._watcher.announce("routing", updated.id)
        return updated

    async def delete_application(self, scope: AppScope, now_ms: int) -> bool:
        deleted = await self._writer.run(lambda c: management.delete_application(c, scope, now_ms))
        if deleted:
            self._watcher.announce("routing", scope.app_id)
        return deleted

    async def create_endpoint(self, endpoint: Endpoint) -> Endpoint:
        told = await self._writer.run(lambda c: management.create_endpoint(c, endpoint, self._key_ring))
        self._announce_change(endpoint.app_id, told=told)
        return endpoint

    async def get_endpoint(self, scope: AppScope, id_or_uid: str) -> Endpoint | None:
        return await self._look_up(lambda c: management.find_endpoint(c, scope, id_or_uid, self._key_ring))

    async def list_endpoints(self, scope: AppScope, page: Page) -> Slice[Endpoint]:
        return await self._read(lambda c: management.list_endpoints(c, scope, page, self._key_ring))

    async def update_endpoint(self, endpoint: Endpoint, *, read_at_ms: int | None = None) -> Endpoint | None:
        result = await self._writer.run(lambda c: management.update_endpoint(c, endpoint, self._key_ring, read_at_ms))
        if result is None:
            return None
        updated, returned, told = result
        self._announce_change(updated.app_id, told=told)
        if returned:
            self._watcher.announce("lane", updated.id)
        return updated

    async def delete_endpoint(self, scope: AppScope, endpoint_id: str, now_ms: int) -> bool:
        deleted, told = await self._writer.run(lambda c: management.delete_endpoint(c, scope, endpoint_id, now_ms))
        if deleted:
            self._announce_change(scope.app_id, told=told)
        return deleted

    async def endpoint_health(self, scope: AppScope, endpoint_ids: Sequence[str]) -> dict[str, EndpointHealth]:
        return await self._look_up(lambda c: health.find(c, scope, endpoint_ids))

    async def get_operations_application(self, scope: OrgScope) -> Application | None:
        return await self._look_up(lambda c: operations.find_application(c, scope))

    async def create_operations_application(self, application: Application) -> Application:
        return await self._writer.run(lambda c: management.create_operations_application(c, application))

    async def create_api_key(self, key: ApiKey) -> ApiKey:
        return await self._writer.run(lambda c: management.create_api_key(c, key))

    async def find_api_key(self, key_hash: bytes) -> ApiKey | None:
        return await self._look_up(lambda c: management.find_api_key(c, key_hash))

    async def list_api_keys(self, scope: OrgScope) -> list[ApiKey]:
        return await self._read(lambda c: management.list_api_keys(c, scope))

    async def update_api_key(self, key: ApiKey) -> ApiKey | None:
        return await self._writer.run(lambda c: management.update_api_key(c, key))

    # --- tokens that end before their time ----------------------------------------------------------------------------

    async def revoke_token(self, scope: AppScope, token_id: str, expires_at_ms: int) -> None:
        await self._writer.run(lambda c: tokens.revoke(c, scope, token_id, expires_at_ms))

    async def expire_tokens(
        self,
        scope: AppScope,
        sessions: Sequence[str] | None,
        ends_at_ms: int,
        *,
        now_ms: int,
        forget_at_ms: int,
        most: int,
    ) -> bool:
        return await self._writer.run(
            lambda c: tokens.expire(c, scope, sessions, ends_at_ms, now_ms, forget_at_ms, most)
        )

    async def token_generation(self, scope: AppScope) -> int:
        return await self._look_up(lambda c: tokens.find_generation(c, scope))

    async def token_end(self, scope: AppScope, name: TokenName) -> int | None:
        return await self._look_up(lambda c: tokens.find_end(c, scope, name))

    # --- settings and event types -------------------------------------------------------------------------------------

    async def get_organization(self, scope: OrgScope) -> Organization:
        return await self._look_up(lambda c: catalog.find_organization(c, scope))

    async def update_settings(
        self, scope: OrgScope, settings: OrganizationSettings, *, read_version: int
    ) -> Organization:
        updated = await self._writer.run(lambda c: catalog.update_settings(c, scope, settings, read_version))
        self._watcher.announce("catalog", scope.org_id)
        return updated

    async def create_event_type(self, event_type: EventType) -> EventType:
        created = await self._writer.run(lambda c: catalog.create_event_type(c, event_type))
        self._watcher.announce("catalog", event_type.org_id)
        return created

    async def get_event_type(self, scope: OrgScope, name: str) -> EventType | None:
        return await self._look_up(lambda c: catalog.find_event_type(c, scope, name))

    async def list_event_types(self, scope: OrgScope, page: Page, where: EventTypeFilter) -> Slice[EventType]:
        return await self._read(lambda c: catalog.list_event_types(c, scope, page, where))

    async def list_live_types(self, scope: OrgScope, *, with_schemas: bool) -> list[tuple[str, str | None]]:
        return await self._read(lambda c: catalog.list_live_types(c, scope, with_schemas=with_schemas))

    async def measure_event_types(self, scope: OrgScope, *, besides: Sequence[str]) -> tuple[int, int]:
        return await self._read(lambda c: catalog.measure_event_types(c, scope, besides))

    async def update_event_type(self, event_type: EventType, *, read_at_ms: int | None = None) -> EventType | None:
        updated = await self._writer.run(lambda c: catalog.update_event_type(c, event_type, read_at_ms))
        self._watcher.announce("catalog", event_type.org_id)
        return updated

    async def put_event_types(
        self, scope: OrgScope, event_types: Sequence[EventType], *, archive_others_at_ms: int | None = None
    ) -> list[EventType]:
        put = await self._writer.run(lambda c: catalog.put_event_types(c, scope, event_types, archive_others_at_ms))
        self._watcher.announce("catalog", scope.org_id)
        return put

    async def archive_event_type(self, scope: OrgScope, name: str, now_ms: int) -> bool:
        archived = await self._writer.run(lambda c: catalog.archive_event_type(c, scope, name, now_ms))
        self._watcher.announce("catalog", scope.org_id)
        return archived

    async def expunge_event_type(self, scope: OrgScope, name: str) -> bool:
        expunged = await self._writer.run(lambda c: catalog.expunge_event_type(c, scope, name))
        self._watcher.announce("catalog", scope.org_id)
        return expunged

    # --- answers that are kept ----------------------------------------------------------------------------------------

    async def claim_answer(
        self, scope: OrgScope, name: bytes, *, owner: bytes, fingerprint: bytes, now_ms: int, until_ms: int
    ) -> KeptAnswer | None:
        return await self._writer.run(
            lambda c: answers.claim(c, scope, name, owner, fingerprint, now_ms, until_ms, self._key_ring),
            in_thread=wants_trim(name),  # one in 64 goes through all that the organization keeps
        )

    async def keep_answer(
        self, scope: OrgScope, name: bytes, *, owner: bytes, answer: bytes, expires_at_ms: int
    ) -> bool:
        return await self._writer.run(
            lambda c: answers.keep(c, scope, name, owner, answer, expires_at_ms, self._key_ring)
        )

    async def release_answer(self, scope: OrgScope, name: bytes, *, owner: bytes) -> None:
        await self._writer.run(lambda c: answers.release(c, scope, name, owner))

    # --- messages and attempts ----------------------------------------------------------------------------------------

    async def get_message(self, scope: AppScope, id_or_event_id: str, *, with_content: bool = True) -> Message | None:
        return await self._read(lambda c: messages.find_message(c, scope, id_or_event_id, with_content=with_content))

    async def expunge_messages(self, scope: AppScope, message_ids: Sequence[str], now_ms: int) -> set[str]:
        found = await self._writer.run(
            lambda c: retention.expunge_messages(c, scope, message_ids, now_ms), in_thread=True
        )
        self._watcher.announce("expunged", scope.app_id)
        return found

    async def expunge_attempt(self, scope: AppScope, message_id: str, attempt_id: str, body: bytes) -> bool:
        return await self._writer.run(lambda c: messages.expunge_attempt(c, scope, message_id, attempt_id, body))

    async def get_messages(
        self, scope: AppScope, message_ids: Collection[str], *, with_content: bool = True
    ) -> list[Message]:
        return await self._read(lambda c: listing.find_messages(c, scope, message_ids, with_content=with_content))

    async def list_messages(
        self, scope: AppScope, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Message]:
        return await self._read(lambda c: listing.list_messages(c, scope, page, where, with_content=with_content))

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
        return await self._read(
            lambda c: listing.list_messages_of_endpoint(
                c, scope, endpoint_id, page, where, states, now_ms, with_content=with_content
            )
        )

    async def get_attempt(self, scope: AppScope, message_id: str, attempt_id: str) -> Attempt | None:
        return await self._read(lambda c: messages.find_attempt(c, scope, message_id, attempt_id))

    async def list_attempts_of_message(
        self, scope: AppScope, message_id: str, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Attempt]:
        return await self._read(
            lambda c: listing.list_attempts_of_message(c, scope, message_id, page, where, with_content=with_content)
        )

    async def list_attempts_of_endpoint(
        self, scope: AppScope, endpoint_id: str, page: Page, where: MessageFilter, *, with_content: bool = True
    ) -> Slice[Attempt]:
        return await self._read(
            lambda c: listing.list_attempts_of_endpoint(c, scope, endpoint_id, page, where, with_content=with_content)
        )

    async def deliveries_of_message(self, scope: AppScope, message_id: str, now_ms: int) -> list[DeliveryView]:
        return await self._read(lambda c: messages.view_message(c, scope, message_id, now_ms))

    async def count_attempts(
        self, scope: AppScope, endpoint_id: str, since_ms: int, until_ms: int
    ) -> AttemptCounts | None:
        return await self._read(lambda c: counting.count_attempts(c, scope, endpoint_id, since_ms, until_ms))

    async def count_deliveries(
        self, scope: AppScope, endpoint_id: str, since_ms: int, until_ms: int, now_ms: int
    ) -> DeliveryCounts | None:
        return await self._read(lambda c: counting.count_deliveries(c, scope, endpoint_id, since_ms, until_ms, now_ms))

    async def request_resend(self, scope: AppScope, message_id: str, endpoint_id: str, now_ms: int) -> bool:
        found = await self._writer.run(lambda c: messages.request_resend(c, scope, message_id, endpoint_id, now_ms))
        if found:
            self._watcher.announce("lane", endpoint_id)
        return found

    # --- the engine's side --------------------------------------------------------------------------------------------

    async def register_node(self, node_id: str, lease_s: float) -> NodeLease:
        return await self._writer.run(lambda c: nodes.register(c, node_id, lease_s, self._clock.now_ms()))

    async def renew_lease(self, node: NodeLease, lease_s: float) -> bool:
        return await self._writer.run(lambda c: nodes.renew(c, node, lease_s, self._clock.now_ms()))

    async def take_lead(self, task: str, node: NodeLease, lease_s: float) -> bool:
        return await self._writer.run(lambda c: nodes.take_lead(c, task, node, lease_s, self._clock.now_ms()))

    async def retire_node(self, node: NodeLease) -> None:
        self._announce_lanes(await self._writer.run(lambda c: nodes.retire(c, node, self._clock.now_ms())))

    async def commit(self, change: Commit) -> CommitResult:
        announcements: list[tuple[str, str]] = []
        result = await self._writer.run(lambda c: committing.commit(c, change, announcements))
        for kind, identifier in announcements:
            self._watcher.announce(kind, identifier)
        return result

    async def resolve_batch(self, batch_id: str) -> bool:
        return await self._writer.run(lambda c: nodes.resolve_batch(c, batch_id, self._clock.now_ms()))

    async def due_lanes(self, node: NodeLease, now_ms: int, limit: int) -> list[DueLane]:
        return await self._read(lambda c: lanes.list_due(c, node, now_ms, self._clock.now_ms(), limit))

    async def next_due_at(self, now_ms: int) -> int | None:  # noqa: ARG002
        return await self._read(lanes.find_next_due)

    async def claim(self, node: NodeLease, wants: Sequence[Want], now_ms: int) -> list[Claimed]:
        def work(connection: sqlite3.Connection) -> list[Claimed]:
            committing.require_node(connection, node.node_id, node.epoch)
            return lanes.claim(connection, node, wants, now_ms, self._clock.now_ms())

        return await self._writer.run(work)

    async def release_lanes(self, node: NodeLease, endpoint_ids: Sequence[str]) -> None:
        await self._writer.run(lambda c: lanes.release(c, node, endpoint_ids))

    async def lane_health(self, endpoint_ids: Sequence[str]) -> list[LaneHealth]:
        return await self._look_up(lambda c: lanes.find_health(c, endpoint_ids))

    async def rescue(self, node: NodeLease, now_ms: int, limit: int, *, poison_after: int = 3) -> RescueReport:
        def work(connection: sqlite3.Connection) -> tuple[RescueReport, list[str]]:
            committing.require_node(connection, node.node_id, node.epoch)
            return rescuing.rescue(connection, node, now_ms, self._clock.now_ms(), limit, poison_after)

        report, freed = await self._writer.run(work, in_thread=True)
        self._announce_lanes(freed)
        if report.poisoned:
            self._watcher.announce("outbox")
        return report

    async def own_batches(self, node: NodeLease, older_than_ms: int) -> list[str]:
        return await self._read(lambda c: nodes.list_own_batches(c, node, older_than_ms))

    async def adopt_batches(self, node: NodeLease, batch_ids: Sequence[str], now_ms: int) -> int:
        freed = lanes.Freed()

        def work(connection: sqlite3.Connection) -> int:
            committing.require_node(connection, node.node_id, node.epoch)
            owed = nodes.adopt_batches(connection, node, batch_ids, now_ms, freed)
            freed.write(connection)
            return owed

        owed = await self._writer.run(work, in_thread=True)
        self._announce_lanes(freed.endpoint_ids)
        return owed

    async def cancel_deleted(self, now_ms: int, limit: int) -> PruneReport:
        return await self._writer.run(lambda c: retention.cancel_deleted(c, now_ms, limit), in_thread=True)

    async def erase_deleted(self, now_ms: int, limit: int) -> PruneReport:
        return await self._writer.run(lambda c: erasing.erase(c, now_ms, limit), in_thread=True)

    async def expire_payloads(self, now_ms: int, limit: int) -> PruneReport:
        return await self._writer.run(lambda c: retention.expire_payloads(c, now_ms, limit), in_thread=True)

    async def prune(self, before_ms: int, now_ms: int, limit: int) -> PruneReport:
        clock_ms = self._clock.now_ms()
        return await self._writer.run(lambda c: retention.prune(c, before_ms, now_ms, clock_ms, limit), in_thread=True)

    async def list_failing(self, before_ms: int, after_id: str, limit: int) -> list[FailingEndpoint]:
        return await self._read(lambda c: health.list_failing(c, before_ms, after_id, limit))

    async def weigh_failing(self, endpoint: FailingEndpoint, recent_ms: int) -> Evidence:
        return await self._read(lambda c: health.weigh(c, endpoint, recent_ms))

    async def correct_failing(self, endpoint: FailingEndpoint, failing_since_ms: int | None) -> None:
        await self._writer.run(lambda c: health.correct(c, endpoint, failing_since_ms))

    async def list_retentions(self) -> list[Retention]:
        return await self._read(retention.list_retentions)

    async def prune_organization(self, org_id: str, before_ms: int, limit: int) -> PruneReport:
        return await self._writer.run(
            lambda c: retention.prune_organization(c, org_id, before_ms, limit), in_thread=True
        )

    async def read_outbox(self, limit: int) -> list[OutboxRow]:
        return await self._read(lambda c: messages.read_outbox(c, limit))

    async def refuse_outbox(self, row_id: int, error: str, now_ms: int) -> None:
        await self._writer.run(lambda c: messages.refuse_outbox(c, row_id, error, now_ms))

    async def take_slots(self, requests: Sequence[SlotRequest]) -> list[Slots]:
        now_ns = round(self._clock.monotonic_s() * 1e9)
        return self._rates.take(requests, now_ns)

    async def load_routing(self, app_id: str) -> Routes | None:
        return await self._read(lambda c: routing.load(c, app_id, self._key_ring))

    async def routing_changes(self, since: int, limit: int) -> list[Change]:
        return await self._read(lambda c: routing.list_changes(c, since, limit))

    async def backlog(self, now_ms: int) -> Backlog:
        return await self._read(lambda c: messages.count_backlog(c, now_ms))

    async def count_endpoints(self) -> dict[EndpointStatus, int]:
        return await self._read(management.count_endpoints)

    # --- parts --------------------------------------------------------------------------------------------------------

    async def _read(self, work: Work[T]) -> T:
        """Ask in a reader's thread; in memory, where there are none, between two transactions."""
        return await (self._writer.read(work) if self._file is None else self._opened_readers().run(work))

    async def _look_up(self, work: Work[T]) -> T:
        """Ask for a few rows by key, without the way to a thread and back."""
        return await (self._writer.read(work) if self._file is None else self._opened_readers().run_here(work))

    def _opened_readers(self) -> Readers:
        if self._readers is None:
            raise StoreUnavailableError("the database is not open; call open() first")
        return self._readers

    def _announce_change(self, app_id: str, *, told: bool) -> None:
        self._watcher.announce("routing", app_id)
        if told:
            self._watcher.announce("outbox")

    def _announce_lanes(self, endpoint_ids: Sequence[str]) -> None:
        for endpoint_id in endpoint_ids:
            self._watcher.announce("lane", endpoint_id)

    def _beside(self, suffix: str) -> Path:
        return Path(f"{self._path}{suffix}")
