"""Named places where a process may be told to die, so that tests can kill it at the worst moment.

    HOOKLINE_CRASH_AT=after_commit:3    die by SIGKILL at the third arrival at `after_commit`

Nothing happens unless that variable was set when this module was imported: `reach` is then an empty function.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "HOOKLINE_CRASH_AT"


def parse(text: str) -> tuple[str, int]:
    """`name` or `name:arrival` -> the name and which arrival kills, counted from 1."""
    name, colon, arrival = text.partition(":")
    return name, int(arrival) if colon else 1


def _pass_by(name: str) -> None:
    """Go on: no crash was asked for."""


class _Trap:
    """Counts arrivals at one place and kills the process at the one that was asked for."""

    def __init__(self, name: str, arrival: int) -> None:
        self._name = name
        self._left = arrival

    def __call__(self, name: str) -> None:
        if name != self._name:
            return
        self._left -= 1
        if self._left == 0:
            # SIGKILL, not exit: no handler, no flush, no finally. That is what a crash is.
            os.kill(os.getpid(), signal.SIGKILL)


reach = _Trap(*parse(os.environ[VARIABLE])) if os.environ.get(VARIABLE) else _pass_by
