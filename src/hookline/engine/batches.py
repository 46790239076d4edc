"""The batches of this node that still have unsettled deliveries, and the sweep that turns stragglers into rows."""

from __future__ import annotations

from collections.abc import Callable

from hookline.clock import Clock
from hookline.engine.delivery import Batch, Delivery


class Batches:
    """`settle` when a delivery is safely recorded; when a batch has none left, `on_settled` gets its id."""

    def __init__(self, clock: Clock, on_settled: Callable[[str], None]) -> None:
        self._clock = clock
        self._on_settled = on_settled
        self._live: dict[str, Batch] = {}

    def __contains__(self, batch_id: str) -> bool:
        return batch_id in self._live

    def __len__(self) -> int:
        return len(self._live)

    def open(self, batch_id: str) -> Batch:
        batch = self._live[batch_id] = Batch(batch_id, self._clock.monotonic_s())
        return batch

    def settle(self, delivery: Delivery) -> None:
        """The commit that records this delivery has happened."""
        batch = delivery.batch
        if batch is None:
            return
        delivery.batch = None
        batch.open.discard(delivery)
        if not batch.open and self._live.pop(batch.id, None) is not None:
            self._on_settled(batch.id)

    def stragglers(self, older_than_s: float) -> list[Delivery]:
        """Deliveries of batches that have waited too long, each batch once; not those that settle right now."""
        horizon = self._clock.monotonic_s() - older_than_s
        found: list[Delivery] = []
        for batch in self._live.values():
            if batch.born_at_s > horizon:
                break  # in order of birth
            if not batch.swept:
                batch.swept = True
                found.extend(delivery for delivery in batch.open if not delivery.settling)
        return found

    def forget_all(self) -> None:
        """The lease is gone: what these batches owe is somebody else's now."""
        for batch in self._live.values():
            for delivery in batch.open:
                delivery.batch = None
            batch.open.clear()
        self._live.clear()
