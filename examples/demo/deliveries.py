"""The ledger of the demo: which deliveries are expected, what came of each, and whether all went well.

expected ──arrived, verified──> verified ──on record as a success──> good
    ├──arrived, not verified──> refused
    └──deadline──> missing
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from .receiver import Arrival
from .scene import Event, Subscriber


@dataclass(slots=True)
class Delivery:
    """One event for one subscriber. `recorded` is what Hookline itself says of it; None is not known yet."""

    subscriber: Subscriber
    event: Event
    message_id: str
    accepted_at_ms: float
    arrival: Arrival | None = None
    duplicates: int = 0
    recorded: str | None = None

    @property
    def latency_ms(self) -> float | None:
        """From acceptance, as the message's timestamp says, to arrival; both by this machine's clock."""
        return None if self.arrival is None else max(0.0, self.arrival.at_ms - self.accepted_at_ms)

    @property
    def problem(self) -> str | None:
        """Why this delivery is not good (yet)."""
        if self.arrival is None:
            return f"it did not arrive; on record: {self.recorded or 'nothing'}"
        if self.arrival.problem is not None:
            return self.arrival.problem
        if not self.arrival.header_seen:
            return f"there is no header {self.subscriber.signature_header}"
        if self.recorded != "success":
            return f"it arrived, but is not on record as a success; on record: {self.recorded or 'nothing'}"
        return None


class Ledger:
    """All deliveries. Arrivals may be noted before the message that they belong to is."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self._early: list[Arrival] = []

    def expect(self, message: dict[str, str], event: Event, subscribers: list[Subscriber]) -> None:
        """A message was accepted: it is owed to these subscribers."""
        accepted_at_ms = datetime.fromisoformat(message["timestamp"]).timestamp() * 1000
        self.deliveries += [Delivery(one, event, message["id"], accepted_at_ms) for one in subscribers]
        early, self._early = self._early, []
        for arrival in early:
            self.note(arrival)

    def note(self, arrival: Arrival) -> bool:
        """Note an arrival. False when it belongs to no expected delivery (yet)."""
        for delivery in self.deliveries:
            subscriber = delivery.subscriber
            if subscriber is arrival.subscriber and subscriber.webhook_id(delivery.message_id) == arrival.webhook_id:
                if arrival.is_duplicate:
                    delivery.duplicates += 1
                elif delivery.arrival is None:  # what comes after a refusal is a retry: the first look counts
                    delivery.arrival = arrival
                return True
        self._early.append(arrival)
        return False

    @property
    def all_arrived(self) -> bool:
        return bool(self.deliveries) and all(delivery.arrival is not None for delivery in self.deliveries)

    @property
    def bad(self) -> list[Delivery]:
        return [delivery for delivery in self.deliveries if delivery.problem is not None]
