"""This node's own view of its right to act.

The lease stands in the database and is renewed by the Heartbeat; this object remembers, on the monotonic clock, how
long the last renewal is good for, counted from before it was asked for. Once that moment has passed, another node may
have taken over: nothing new is sent, and what is in flight is cut.
"""

from __future__ import annotations

from hookline.clock import Clock
from hookline.store.changes import NodeLease


class Lease:
    """The current (node, epoch), and until when it is surely ours."""

    def __init__(self, clock: Clock, lease_s: float) -> None:
        self._clock = clock
        self.lease_s = lease_s
        self.node = NodeLease("", 0)
        self.ends_at_s = float("-inf")  # monotonic

    @property
    def epoch(self) -> int:
        return self.node.epoch

    def valid(self) -> bool:
        return self._clock.monotonic_s() < self.ends_at_s

    def renewed(self, node: NodeLease, asked_at_s: float) -> None:
        """The database granted the lease to a request that was sent at `asked_at_s` (monotonic)."""
        self.node = node
        self.ends_at_s = asked_at_s + self.lease_s

    def lost(self) -> None:
        self.ends_at_s = float("-inf")
