"""How slots of a rate are given away: to whoever asks first, in their order, none far ahead.

A rate is remembered as the moment until which its slots are taken. The next ones begin there, or now when that is past:
time in which nobody asked is gone, so nothing is saved up for a burst. PostgreSQL does the same in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hookline.store.changes import SlotRequest, Slots

HORIZON_S: Final = 0.25
# Beyond what any rate reaches ahead: the database's clock was set back, and what was taken means nothing.
ABSURD_S: Final = 5.0

MOST_KNOWN: Final = 10_000  # rates that are remembered; those that were not used of late are forgotten
_SECOND_NS: Final = 1_000_000_000


def give_slots(taken_until_ns: int, now_ns: int, rate: int, wanted: int) -> tuple[int, int, int]:
    """How many slots to give, when the first one is, and until when slots are taken from now on.

    None are given when the next one is beyond the horizon; then the second number is when to ask again.
    """
    if taken_until_ns > now_ns + ABSURD_S * _SECOND_NS:
        taken_until_ns = now_ns
    interval_ns = _SECOND_NS // rate
    horizon_ns = now_ns + round(HORIZON_S * _SECOND_NS)
    start_ns = max(taken_until_ns, now_ns)
    if start_ns >= horizon_ns:
        return 0, start_ns - round(HORIZON_S * _SECOND_NS), taken_until_ns
    count = min(wanted, max(1, (horizon_ns - start_ns) // interval_ns))
    return count, start_ns, start_ns + count * interval_ns


class Rates:
    """The slots of all rates of one process."""

    def __init__(self) -> None:
        self._taken_until_ns: dict[str, int] = {}

    def take(self, requests: Sequence[SlotRequest], now_ns: int) -> list[Slots]:
        taken = self._taken_until_ns
        if len(taken) > MOST_KNOWN:
            self._taken_until_ns = taken = {key: until for key, until in taken.items() if until > now_ns}
        given = []
        for asked in requests:
            known_ns = taken.get(asked.key, 0)
            count, start_ns, taken[asked.key] = give_slots(known_ns, now_ns, asked.rate, asked.wanted)
            given.append(Slots(asked.key, (start_ns - now_ns) / _SECOND_NS, count))
        return given
