"""Who gets a name that clients chose: of several messages with one key, the first one keeps it.

Pure; both databases look up what is taken and hand it in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hookline.store.changes import Duplicate, NewMessage

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

#: organization, application, key
KeyName = tuple[str, str, str]


class Holder(msgspec.Struct, frozen=True):
    """Which message has a key, and the hash of the request that it came with."""

    message_id: str
    fingerprint: bytes


class Verdict(msgspec.Struct, frozen=True):
    """`duplicates` maps indexes of messages that are not kept; `kept` are the rows that the keys table should have
    for those that are: organization, application, key, message, fingerprint, expiry; in sorted order.
    """

    duplicates: Mapping[int, Duplicate]
    kept: list[tuple[str, str, str, str, bytes, int]]


def names_of(new: NewMessage) -> list[KeyName]:
    """The keys of a message, each with whose it is."""
    message = new.message
    return [(message.org_id, message.app_id, key.key) for key in new.keys]


def settle(messages: Sequence[NewMessage], taken: Mapping[KeyName, Holder], out: Container[int] = ()) -> Verdict:
    """Decide for all messages of a commit, in order.

    A message that meets a key of another one is a duplicate and keeps none of its keys: the next message that has them
    may. `taken` holds the unexpired keys in the database; `out` are indexes that are not kept for another reason.
    """
    holders = dict(taken)
    duplicates: dict[int, Duplicate] = {}
    kept: list[tuple[str, str, str, str, bytes, int]] = []
    for index, new in enumerate(messages):
        if not new.keys or index in out:
            continue
        message_id = new.message.id
        names = names_of(new)
        for name in names:
            holder = holders.get(name)
            if holder is not None and holder.message_id != message_id:
                duplicates[index] = Duplicate(name[2], holder.message_id, holder.fingerprint)
                break
        else:
            for name, key in zip(names, new.keys, strict=True):
                holders[name] = Holder(message_id, key.fingerprint)
                kept.append((*name, message_id, key.fingerprint, key.expires_at_ms))
    return Verdict(duplicates, sorted(kept))
