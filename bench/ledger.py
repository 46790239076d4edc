"""The books of a run. Pure: what was accepted must have arrived or be pending, each single one, or the run is VOID.

A *delivery* is a pair of a message and an endpoint's index. Three witnesses are compared, and none of them is asked to
vouch for itself: the load generators (what was acknowledged), the database (what is stored, and what is settled), and
the sink (what arrived).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

Delivery = tuple[str, int]


@dataclass(frozen=True)
class Books:
    """What the witnesses say at the end.

    `promised`: all deliveries of the stored messages; `settled`: those with a final attempt, whatever its outcome;
    `acknowledged`: how many messages were; `acknowledged_ids`: those whose id is known; `in_flight`: how many requests
    at most were cut off before their answer.
    """

    messages: AbstractSet[str]
    promised: AbstractSet[Delivery]
    settled: AbstractSet[Delivery]
    arrived: AbstractSet[Delivery]
    acknowledged: int
    acknowledged_ids: AbstractSet[str]
    in_flight: int
    bad_requests: int = 0


@dataclass(frozen=True)
class Ledger:
    """The balance in deliveries, and why it does not hold; without `faults` it is exact."""

    accepted: int
    arrived: int
    pending: int
    faults: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        return not self.faults


def balance(books: Books) -> Ledger:
    """Draw the balance, message by message."""
    pending = books.promised - books.settled
    stored = len(books.messages)
    counts = {
        "deliveries neither arrived nor are pending": len(books.promised - books.arrived - pending),
        "deliveries arrived and still count as pending": len(books.arrived & pending),
        "deliveries arrived that nobody was promised": len(books.arrived - books.promised),
        "acknowledged messages are not in the database": len(books.acknowledged_ids - books.messages),
        "more messages were acknowledged than are stored": max(0, books.acknowledged - stored),
        "messages are stored that nobody can have sent": max(0, stored - books.acknowledged - books.in_flight),
        "requests reached the sink that it did not understand": books.bad_requests,
    }
    faults = tuple(f"{count:,} {what}" for what, count in counts.items() if count)
    return Ledger(len(books.promised), len(books.arrived), len(pending), faults)
