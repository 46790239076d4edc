"""The `Store` protocol and the databases behind it: SQLite and PostgreSQL, plain SQL, numbered migrations.

store = create_store("sqlite:///hookline.db", key_ring=None)
await store.migrate()
await store.open(engine=True)
"""

from __future__ import annotations

from hookline.store.answers import Answers, KeptAnswer
from hookline.store.changes import (
    Claimed,
    Commit,
    CommitResult,
    DeliveryKey,
    Disable,
    DueLane,
    Duplicate,
    LaneHealth,
    MessageKey,
    NewMessage,
    NodeLease,
    OutboxRow,
    Outcome,
    PruneReport,
    RescueReport,
    Retention,
    Spill,
    Want,
)
from hookline.store.credentials import Credentials, TokenName
from hookline.store.errors import (
    AmbiguousCommitError,
    ChangedMeanwhileError,
    ConflictError,
    EngineLockedError,
    FencedError,
    KeyCheckError,
    MigrationError,
    StaleRoutingError,
    StoreError,
    StoreFullError,
    StoreUnavailableError,
)
from hookline.store.factory import create_store
from hookline.store.protocol import (
    AttemptCounts,
    Backlog,
    Catalog,
    Change,
    DeliveryCounts,
    DeliveryView,
    EndpointMessage,
    EngineStore,
    EventTypeFilter,
    Management,
    MessageFilter,
    Page,
    Slice,
    Store,
)
from hookline.store.scope import AppScope, OrgScope
from hookline.store.sealing import KeyRing

__all__ = [
    "AmbiguousCommitError",
    "Answers",
    "AppScope",
    "AttemptCounts",
    "Backlog",
    "Catalog",
    "Change",
    "ChangedMeanwhileError",
    "Claimed",
    "Commit",
    "CommitResult",
    "ConflictError",
    "Credentials",
    "DeliveryCounts",
    "DeliveryKey",
    "DeliveryView",
    "Disable",
    "DueLane",
    "Duplicate",
    "EndpointMessage",
    "EngineLockedError",
    "EngineStore",
    "EventTypeFilter",
    "FencedError",
    "KeptAnswer",
    "KeyCheckError",
    "KeyRing",
    "LaneHealth",
    "Management",
    "MessageFilter",
    "MessageKey",
    "MigrationError",
    "NewMessage",
    "NodeLease",
    "OrgScope",
    "OutboxRow",
    "Outcome",
    "Page",
    "PruneReport",
    "RescueReport",
    "Retention",
    "Slice",
    "Spill",
    "StaleRoutingError",
    "Store",
    "StoreError",
    "StoreFullError",
    "StoreUnavailableError",
    "TokenName",
    "Want",
    "create_store",
]
