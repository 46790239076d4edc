"""How late the event loop is: a busy loop delays everybody, and shows nowhere else.

stopped ──start──> asks to be woken every second, and notes by how much each wake-up was late ──stop──> stopped
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

EVERY_S: Final = 1.0
REMEMBERED: Final = 30  # wake-ups: longer than the usual time between two scrapes


class LagMeter:
    """The worst delay of the last half minute, in seconds. Belongs to the loop that it is started on."""

    def __init__(self) -> None:
        self._lags: deque[float] = deque(maxlen=REMEMBERED)
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    @property
    def worst_s(self) -> float:
        return max(self._lags, default=0.0)

    def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._due_s = loop.time() + EVERY_S
        self._timer = loop.call_at(self._due_s, self._wake, loop)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        self._lags.append(max(0.0, now_s - self._due_s))
        self._due_s = now_s + EVERY_S
        self._timer = loop.call_at(self._due_s, self._wake, loop)
