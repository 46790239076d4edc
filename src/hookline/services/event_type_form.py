"""What a caller says about an event type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hookline.model import EventType


class EventTypeForm(msgspec.Struct, frozen=True):
    """What a caller says about an event type, but for its name. No schemas and no flags are None."""

    description: str
    archived: bool = False
    deprecated: bool = False
    schemas: Mapping[str, Any] | None = None
    feature_flags: tuple[str, ...] | None = None
    group_name: str | None = None

    @classmethod
    def of(cls, event_type: EventType) -> EventTypeForm:
        """The form that says what is already so: the base of a partial update."""
        t = event_type
        return cls(t.description, t.archived, t.deprecated, t.schemas, t.feature_flags, t.group_name)
