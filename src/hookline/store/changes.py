"""What the engine hands to the store: one `Commit` is one transaction, whatever is in it.

Three kinds of work share a transaction so that a busy node commits as rarely as it can: new messages, outcomes of
attempts, and house-keeping of `pending` (deliveries that left memory, leases given back, batches that are settled).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from hookline.model import Attempt, Kind, Message


class NodeLease(msgspec.Struct, frozen=True):
    """A node's right to act: valid while the node's row has this epoch and its lease has not ended."""

    node_id: str
    epoch: int


class MessageKey(msgspec.Struct, frozen=True):
    """A name that a client chose for a message: `event:` and its eventId, or `idempotency:` and the header's value.

    `fingerprint` is a hash of the request: the same key with another request is a mistake of the client's.
    """

    key: str
    fingerprint: bytes
    expires_at_ms: int


class NewMessage(msgspec.Struct, frozen=True):
    """A message to keep. Targets in `ordered` go to `pending` with a sequence number, in the same transaction.

    Those of them that are in `order_keys` take their place among the deliveries of the same key alone. Those of a
    message with `deliver_at_ms` all go there, due then, without a number: it takes its turn when its time comes, and
    holds up nobody before.
    """

    message: Message
    ordered: tuple[str, ...] = ()
    keys: tuple[MessageKey, ...] = ()
    outbox_id: int | None = None
    order_keys: Mapping[str, str] = {}

    @property
    def born_leased(self) -> bool:
        """Whether any of its deliveries begins in this node's memory, owed by nothing but the batch row."""
        return self.message.deliver_at_ms is None and len(self.message.targets) > len(self.ordered)


class DeliveryKey(msgspec.Struct, frozen=True):
    """Which delivery: at most one row of `pending` has this key."""

    message_id: str
    endpoint_id: str
    kind: Kind = Kind.SCHEDULED


class Outcome(msgspec.Struct, frozen=True):
    """The end of one attempt, to be recorded.

    `retry_at_ms` is set when the delivery goes on. `has_row` says that the delivery has a row in `pending`: it was
    claimed from one, or became a straggler (else it was born leased and has none). `late` says that the lease under
    which the attempt began is gone: a late success settles, a late failure is recorded as not final, moves nothing.
    `healed` says that it is the first success after failures, as far as this node knows: those are forgotten.
    """

    attempt: Attempt
    retry_at_ms: int | None = None
    has_row: bool = False
    late: bool = False
    healed: bool = False


class Spill(msgspec.Struct, frozen=True):
    """A delivery that leaves memory for `pending`: leased to this node (a straggler still in flight), or free."""

    key: DeliveryKey
    app_id: str
    due_at_ms: int
    leased: bool = False


class Disable(msgspec.Struct, frozen=True):
    """An endpoint that switches itself off: by what it answered, or by failing for too long.

    With `failing_since_ms`, only if that is still what is known of it: a success may have come in between.
    """

    app_id: str
    endpoint_id: str
    reason: str
    detail: str | None = None
    failing_since_ms: int | None = None


class LaneHealth(msgspec.Struct, frozen=True):
    """What all nodes should know of a lane: `closed` (healthy), `open` until, or `half_open` (one probe at a time)."""

    endpoint_id: str
    app_id: str
    state: str
    open_until_ms: int
    failures: int
    failing_since_ms: int | None


class Commit(msgspec.Struct, frozen=True):
    """One transaction. `batch_id` names the row that makes `messages` owed by `node`; it is set when there are any
    messages with targets. `routing` holds, for each application in `messages`, the routing version that the targets
    were selected with.
    """

    node: NodeLease
    now_ms: int
    batch_id: str | None = None
    messages: Sequence[NewMessage] = ()
    routing: Mapping[str, int] = {}
    outcomes: Sequence[Outcome] = ()
    spills: Sequence[Spill] = ()
    releases: Sequence[DeliveryKey] = ()
    settled_batches: Sequence[str] = ()
    disables: Sequence[Disable] = ()
    lanes: Sequence[LaneHealth] = ()


class Duplicate(msgspec.Struct, frozen=True):
    """A message that was not kept because one of its keys names another one."""

    key: str
    message_id: str
    fingerprint: bytes


class CommitResult(msgspec.Struct, frozen=True):
    """`duplicates` maps the index in `messages` to what already has the key; `taken` are indexes whose outbox row
    another node took. Neither was kept. `disabled` are the endpoints that were not disabled before.
    """

    duplicates: Mapping[int, Duplicate] = {}
    taken: frozenset[int] = frozenset()
    disabled: frozenset[str] = frozenset()


WAITING_MS: Final = 2**62  # so much later than it was accepted is a delivery due that is not the first of its key

SUSPECT_AFTER: Final = 2  # rescues without a recorded attempt; one less than make poison


class Claimed(msgspec.Struct, frozen=True):
    """A delivery that is now leased to this node. `attempts` were made before; `rescues` without a recorded attempt."""

    message: Message
    endpoint_id: str
    kind: Kind
    attempts: int
    rescues: int
    sequence: int | None
    due_at_ms: int

    @property
    def is_suspect(self) -> bool:
        """Whether two nodes died that had it: perhaps because of it, perhaps it only waited for its turn there."""
        return self.rescues >= SUSPECT_AFTER


def count_claimable(rescues: Sequence[int]) -> int:
    """How many rows of one lane may be claimed at once: those before the first suspect, or that alone.

    A suspect that waited behind others when its next node died would become poison without ever having been sent.
    """
    for index, count in enumerate(rescues):
        if count >= SUSPECT_AFTER:
            return max(1, index)
    return len(rescues)


class DueLane(msgspec.Struct, frozen=True):
    """An enabled endpoint that has something due in `pending`. One that is ordered by keys is `keyed`, not `ordered`:
    any node may send the first delivery of each key.
    """

    endpoint_id: str
    app_id: str
    org_id: str
    ordered: bool
    next_due_at_ms: int
    health: LaneHealth
    keyed: bool = False


class Want(msgspec.Struct, frozen=True):
    """How many deliveries a lane has room for. Of a `keyed` one, what is left of the time when it was ordered without
    keys comes one at a time.
    """

    endpoint_id: str
    room: int
    ordered: bool = False
    keyed: bool = False


class SlotRequest(msgspec.Struct, frozen=True):
    """Under which rate (`key` is an endpoint's or an application's id, `rate` is per second) how much could go now."""

    key: str
    rate: int
    wanted: int


class Slots(msgspec.Struct, frozen=True):
    """`count` moments that are the asker's alone, `1 / rate` apart, the first of them `delay_s` from now.

    None: all that can be had are given away; `delay_s` is when to ask again.
    """

    key: str
    delay_s: float
    count: int


class RescueReport(msgspec.Struct, frozen=True):
    """What one round of rescue did."""

    nodes: int = 0
    batches: int = 0
    deliveries: int = 0
    poisoned: int = 0
    more: bool = False


#: how long the bare rows of a deleted application stay: no request to one of its endpoints takes as long
ERASURE_GRACE_MS: Final = 600_000


class PruneReport(msgspec.Struct, frozen=True):
    """What one round of pruning removed. `more` says that another round would find more."""

    messages: int = 0
    attempts: int = 0
    payloads: int = 0
    canceled: int = 0
    keys: int = 0
    more: bool = False


class Retention(msgspec.Struct, frozen=True):
    """An organization that keeps its messages for a time of its own."""

    org_id: str
    days: int


class OutboxRow(msgspec.Struct, frozen=True):
    """A row that an application wrote into `hookline_outbox` inside its own transaction. `app` is an id or a uid."""

    id: int
    org_id: str
    app: str
    event_type: str
    payload: bytes
    event_id: str | None
    channels: tuple[str, ...]
