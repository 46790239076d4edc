"""What a store can say instead of an answer."""

from __future__ import annotations

from hookline.errors import HooklineError
from hookline.store.changes import CommitResult


class StoreError(HooklineError):
    """Root of the store's errors."""

    code = "store_error"


class StoreUnavailableError(StoreError):
    """The database does not answer. Nothing was kept, or nobody can tell yet (see `AmbiguousCommitError`)."""

    code = "database_unavailable"


class AmbiguousCommitError(StoreUnavailableError):
    """The answer to COMMIT was lost: `resolve_batch` can tell, once the database is back, whether it happened.

    `result` is what `commit` would have returned if it did.
    """

    code = "commit_ambiguous"

    def __init__(self, message: str, *, result: CommitResult | None = None) -> None:
        super().__init__(message)
        self.result = result


class StoreFullError(StoreError):
    """The disk is full. Nothing was kept; it works again once there is space."""

    code = "database_full"


class FencedError(StoreError):
    """This node's lease is gone: another node has taken over what it owed. Register again, then record as late."""

    code = "node_fenced"


class StaleRoutingError(StoreError):
    """Endpoints changed since the targets were selected. Nothing was kept; select again for these applications."""

    code = "routing_stale"

    def __init__(self, app_ids: frozenset[str]) -> None:
        super().__init__("the endpoints changed while the message was accepted; select its targets again")
        self.app_ids = app_ids


class ChangedMeanwhileError(StoreError):
    """Somebody else changed the object after it was read. Nothing was kept; read it again and decide anew."""

    code = "changed_meanwhile"


class ConflictError(StoreError):
    """A uid that another object of the same kind already has."""

    code = "conflict"


class KeyCheckError(StoreError):
    """The encryption key is missing, or is not the one that this database was written with."""

    code = "encryption_key"


class EngineLockedError(StoreError):
    """Another process owns the engine of this SQLite file."""

    code = "engine_locked"


class MigrationError(StoreError):
    """The schema is newer than this program, or a migration that was applied has changed since."""

    code = "migration"
