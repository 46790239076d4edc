"""A pace: the moments at which a rate lets messages go, as far as this node has been given any.

    empty ──asked──> asking ──slots──> has slots ──taken, or too late for them──> empty
                        └──none for now──> asks again at the moment that it was told

A rate belongs to an endpoint, or to an application for all its endpoints together, and holds for all nodes together.
The store gives each moment (a *slot*) to one node only: they are `1 / rate` seconds apart, so however the work is
spread over the nodes, no more goes out than the rate. A node takes a few slots at a time, an eighth of a second's
worth at most, so that another one that has work gets the next ones; what it cannot use in time is gone. A slot may be
used up to `LATE_S` late, because timers are: so much may come in a burst after a pause of ours.

Lanes that wait for the same pace take turns. Pure state: the dispatcher acts, the Pacer asks.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from hookline.engine.lane import Lane

LATE_S: Final = 0.1  # so long after its moment a slot may be used
EARLY_S: Final = 1e-6  # a timer and this clock may differ in their last digit
SHARE: Final = 8  # of a second's slots, one node asks for at most the eighth part at once
AHEAD_S: Final = 0.05  # when the last slot is as near as this, more are asked for


class Pace:
    """The slots of one rate. All moments are on the monotonic clock."""

    __slots__ = ("_slots", "ask_at_s", "key", "rate", "waiting", "wanted")

    def __init__(self, key: str, rate: int) -> None:
        self.key = key
        self.rate = rate
        self.waiting: deque[Lane] = deque()
        self.wanted = 0  # by lanes that do not wait, but soon will
        self.ask_at_s = 0.0  # not earlier: there are none until then
        self._slots: deque[list[float]] = deque()  # [moment of the first, how many], earliest first

    def change(self, rate: int) -> None:
        """Another rate: slots of the old one are not used, those of the new one are asked for."""
        self.rate = rate
        self._slots.clear()
        self.ask_at_s = 0.0

    def count_wanted(self) -> int:
        """How many slots to ask for: no more than can be used soon, and at least one."""
        most = max(1, self.rate // SHARE)
        wanted, self.wanted = self.wanted, 0
        for lane in self.waiting:
            if wanted >= most:
                break
            wanted += len(lane.queue)
        return min(most, max(1, wanted))

    def add(self, start_s: float, count: int) -> None:
        """Slots that are ours: the first at `start_s`, the others `1 / rate` apart."""
        self._slots.append([start_s, count])

    def is_ready(self, now_s: float) -> bool:
        """Whether a message may go now."""
        self._drop_late(now_s)
        return bool(self._slots) and self._slots[0][0] <= now_s + EARLY_S

    def next_s(self) -> float | None:
        """When the next slot is; None when there is none."""
        return self._slots[0][0] if self._slots else None

    def take(self) -> None:
        """Use the first slot."""
        first = self._slots[0]
        first[0] += 1 / self.rate
        first[1] -= 1
        if first[1] <= 0:
            self._slots.popleft()

    def runs_out(self, now_s: float) -> bool:
        """Whether more slots should be asked for, if there is something to send."""
        if not self._slots:
            return True
        start_s, count = self._slots[-1]
        return start_s + count / self.rate < now_s + AHEAD_S

    def _drop_late(self, now_s: float) -> None:
        """Too late is lost: what was not sent in its time must not all be sent at once."""
        while self._slots and self._slots[0][0] < now_s - LATE_S:
            self.take()
