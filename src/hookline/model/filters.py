"""Which endpoint wants which message: by event type (exact, or a glob at the end: `order.*`) and by channel.

`order.*` matches `order.created` and `order.item.added`, not `order`. `*` alone matches everything. An endpoint
without event types takes every type; one without channels takes every message; one with channels takes only
messages that carry at least one of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Filter(msgspec.Struct, frozen=True):
    """A compiled filter: sets for the exact names, a tuple of prefixes (`order.`) for the globs."""

    exact: frozenset[str] | None
    prefixes: tuple[str, ...]
    channels: frozenset[str] | None

    def wants(self, event_type: str, channels: Sequence[str]) -> bool:
        if self.exact is not None and event_type not in self.exact and not event_type.startswith(self.prefixes):
            return False
        return self.channels is None or not self.channels.isdisjoint(channels)


def compile_filter(event_types: Sequence[str] | None, channels: Sequence[str] | None) -> Filter:
    """Prepare a filter; `None` means «all», for both."""
    if event_types is None or "*" in event_types:
        exact: frozenset[str] | None = None
        prefixes: tuple[str, ...] = ()
    else:
        exact = frozenset(name for name in event_types if not name.endswith(".*"))
        prefixes = tuple(name[:-1] for name in event_types if name.endswith(".*"))
    return Filter(exact, prefixes, None if channels is None else frozenset(channels))
