"""What goes into the engine and what comes back: a draft, and the receipt for it."""

from __future__ import annotations

import msgspec

from hookline.model import Message
from hookline.store.changes import Duplicate, MessageKey


class Draft(msgspec.Struct, frozen=True):
    """A message as a service hands it in: checked, without id and targets.

    `only_endpoint` is the id of the one endpoint that it is for, whatever that one takes otherwise; None selects.
    """

    org_id: str
    app_id: str
    event_type: str
    payload: bytes
    event_id: str | None = None
    channels: tuple[str, ...] = ()
    keys: tuple[MessageKey, ...] = ()
    payload_expires_at_ms: int | None = None
    outbox_id: int | None = None
    tags: tuple[str, ...] = ()
    deliver_at_ms: int | None = None
    only_endpoint: str | None = None


class Receipt(msgspec.Struct, frozen=True):
    """The message is durable and owed; or `duplicate` says which message has one of its keys already."""

    message: Message
    duplicate: Duplicate | None = None
