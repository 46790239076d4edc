"""Which endpoint wants which message: by event type (exact, or a glob at the end: `order.*`), channel and payload.

`order.*` matches `order.created` and `order.item.added`, not `order`. `*` alone matches everything. An endpoint
without event types takes every type; one without channels takes every message; one with channels takes only
messages that carry at least one of them. Conditions on the payload are `model.conditions`; what they say when a
message is accepted is what is owed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from hookline.model.conditions import Test, compile_conditions
from hookline.model.entities import Endpoint, Message


class Filter(msgspec.Struct, frozen=True):
    """A compiled filter: sets for the exact names, a tuple of prefixes (`order.`) for the globs.

    `conditions` are asked apart, by whoever has the parsed payload: most endpoints have none.
    """

    exact: frozenset[str] | None
    prefixes: tuple[str, ...]
    channels: frozenset[str] | None
    conditions: Test | None = None

    def wants(self, event_type: str, channels: Sequence[str]) -> bool:
        """By event type and channel alone."""
        if self.exact is not None and event_type not in self.exact and not event_type.startswith(self.prefixes):
            return False
        return self.channels is None or not self.channels.isdisjoint(channels)

    def wants_message(self, message: Message) -> bool:
        """By everything. A payload that is gone meets no condition."""
        if not self.wants(message.event_type, message.channels):
            return False
        return self.conditions is None or self.conditions(read_payload(message.payload))


def compile_filter(
    event_types: Sequence[str] | None,
    channels: Sequence[str] | None,
    conditions: Mapping[str, Any] | None = None,
) -> Filter:
    """Prepare a filter; `None` means «all», for each.

    Raises:
        ConditionError: the conditions break a rule.
    """
    if event_types is None or "*" in event_types:
        exact: frozenset[str] | None = None
        prefixes: tuple[str, ...] = ()
    else:
        exact = frozenset(name for name in event_types if not name.endswith(".*"))
        prefixes = tuple(name[:-1] for name in event_types if name.endswith(".*"))
    test = None if conditions is None else compile_conditions(conditions)
    return Filter(exact, prefixes, None if channels is None else frozenset(channels), test)


def filter_of(endpoint: Endpoint) -> Filter:
    """The filter of an endpoint: `filter_of(endpoint).wants_message` judges many messages.

    Raises:
        ConditionError: its conditions break a rule (those that were checked when they came in do not).
    """
    return compile_filter(endpoint.event_types, endpoint.channels, endpoint.extras.filter)


def wants(endpoint: Endpoint, message: Message) -> bool:
    """Whether an endpoint wants a message, by type, channel and payload; whatever the endpoint's status.

    Raises:
        ConditionError: as `filter_of` says.
    """
    return filter_of(endpoint).wants_message(message)


def read_payload(payload: bytes) -> Any:
    """A payload for conditions to look at; None, in which nothing is found, when it cannot be read."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
