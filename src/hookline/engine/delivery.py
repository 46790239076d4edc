"""A delivery that is in memory, and the batch it was born in.

    queued ──start──> in flight ──answer──> recording ──commit──> gone
      └──no room──> spilling ──commit──> gone (a row of `pending` has it now)

A fresh delivery is born leased: it has no row anywhere but is owed, because its batch's row names this node. The
batch's row may go only after every one of its deliveries is settled by a commit that has happened: recorded, or
written to `pending`. A delivery that takes too long (a straggler) gets a leased row while it stays in flight.
"""

from __future__ import annotations

from collections.abc import Callable

from hookline.model import Kind, Message


class Batch:
    """The deliveries of one commit that are not settled yet."""

    __slots__ = ("born_at_s", "id", "open", "swept")

    def __init__(self, batch_id: str, born_at_s: float) -> None:
        self.id = batch_id
        self.born_at_s = born_at_s
        self.open: set[Delivery] = set()
        self.swept = False


class Delivery:
    """One message on its way to one endpoint. `number` is the attempt that comes next, from 1."""

    __slots__ = (
        "batch",
        "deferred",
        "endpoint_id",
        "epoch",
        "has_row",
        "kind",
        "message",
        "number",
        "settling",
    )

    def __init__(
        self,
        message: Message,
        endpoint_id: str,
        epoch: int,
        *,
        kind: Kind = Kind.SCHEDULED,
        number: int = 1,
        has_row: bool = False,
        batch: Batch | None = None,
    ) -> None:
        self.message = message
        self.endpoint_id = endpoint_id
        self.epoch = epoch
        self.kind = kind
        self.number = number
        self.has_row = has_row
        self.batch = batch
        self.settling = False  # its outcome or spill is on the way to the database
        self.deferred: Callable[[], None] | None = None  # waits until a spill of this delivery is written
