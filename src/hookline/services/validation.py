"""The rules of validity that several nouns share: uids, names, event types, channels, metadata. Pure.

Each check adds what it finds to a list of problems, so that a caller hears everything at once. Limits follow the API
that surfaces imitate where it has one (Svix, "uid rule", "Channels"), and keep memory bounded where it has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from hookline.services.errors import InvalidError, Problem

MAX_UID_LENGTH: Final = 256
MAX_NAME_LENGTH: Final = 256
MAX_DESCRIPTION_LENGTH: Final = 4_096
MAX_EVENT_TYPE_LENGTH: Final = 256
MAX_EVENT_TYPES: Final = 1_000
MAX_CHANNEL_LENGTH: Final = 128
MAX_TAG_LENGTH: Final = 128
MAX_METADATA_BYTES: Final = 4_096
MAX_THROTTLE_RATE: Final = 65_535
MAX_FLAGS: Final = 100

_UID: Final = re.compile(r"[a-zA-Z0-9\-_.]+", re.ASCII)
_EVENT_TYPE: Final = re.compile(r"[a-zA-Z0-9_\-.]+", re.ASCII)
_EVENT_TYPE_PATTERN: Final = re.compile(r"\*|[a-zA-Z0-9_\-.]+(?:\.\*)?", re.ASCII)


class Findings:
    """Collects problems; `finish` raises when there are any."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(
        self,
        field: str | tuple[str | int, ...],
        message: str,
        kind: str = "value_error",
        path: tuple[str | int, ...] = (),
    ) -> None:
        self.problems.append(Problem((field,) if isinstance(field, str) else field, message, kind, path=path))

    def finish(self) -> None:
        """Raises InvalidError when something was found."""
        if self.problems:
            raise InvalidError(self.problems)


def is_text(text: str) -> bool:
    """Whether a text can be written as UTF-8, and so be stored: it has no half of a surrogate pair and no NUL."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def may_be_name(text: str) -> bool:
    """Whether an object can have this id or uid at all. Databases do not take every text, even to look for it."""
    return len(text) <= MAX_UID_LENGTH and is_text(text)


def check_uid(uid: str | None, prefix: str, findings: Findings, field: str = "uid") -> None:
    """A uid may stand wherever an id may, so it must not look like one."""
    if uid is None:
        return
    if not 1 <= len(uid) <= MAX_UID_LENGTH or not _UID.fullmatch(uid):
        findings.add(
            field, f"Use 1 to {MAX_UID_LENGTH} letters, digits, hyphens, underscores and full stops.", "string_pattern"
        )
    elif uid.startswith(f"{prefix}_"):
        findings.add(field, f"Must not begin with {prefix}_, as ids do. Choose another beginning.", "string_pattern")


def check_name(name: str, findings: Findings, field: str = "name") -> None:
    if not name.strip() or len(name) > MAX_NAME_LENGTH or not is_text(name):
        findings.add(field, f"Use 1 to {MAX_NAME_LENGTH} characters.", "string_length")


def check_description(description: str, findings: Findings, field: str = "description") -> None:
    if len(description) > MAX_DESCRIPTION_LENGTH or not is_text(description):
        findings.add(field, f"Use at most {MAX_DESCRIPTION_LENGTH} characters.", "string_length")


def check_throttle_rate(rate: int | None, findings: Findings, field: str = "throttle_rate") -> None:
    if rate is not None and not 1 <= rate <= MAX_THROTTLE_RATE:
        findings.add(field, f"Use 1 to {MAX_THROTTLE_RATE} messages a second, or leave it out.", "range")


def check_metadata(metadata: Mapping[str, str], findings: Findings, field: str = "metadata") -> None:
    if not all(is_text(key) and is_text(value) for key, value in metadata.items()):
        findings.add(field, "Metadata must be valid text.", "string_unicode")
    elif sum(len(key.encode()) + len(value.encode()) + 6 for key, value in metadata.items()) + 2 > MAX_METADATA_BYTES:
        findings.add(field, f"Metadata may take {MAX_METADATA_BYTES} bytes as JSON. Keep less here.", "too_long")


def is_event_type(name: str) -> bool:
    return len(name) <= MAX_EVENT_TYPE_LENGTH and _EVENT_TYPE.fullmatch(name) is not None


def check_event_types(names: Sequence[str] | None, findings: Findings, field: str = "event_types") -> None:
    """The filter of an endpoint: names, `group.*` globs or `*`. Absent means all types; an empty list means nothing
    would ever arrive, which is what nobody wants.
    """
    if names is None:
        return
    if not names:
        findings.add(field, "List at least one event type, or leave the field out to receive all of them.", "too_short")
    if len(names) > MAX_EVENT_TYPES:
        findings.add(field, f"At most {MAX_EVENT_TYPES} event types. Use a glob such as order.*", "too_long")
    for index, name in enumerate(names):
        if len(name) > MAX_EVENT_TYPE_LENGTH or not _EVENT_TYPE_PATTERN.fullmatch(name):
            findings.add(
                (field, index),
                "Event types have letters, digits, full stops, hyphens and underscores, and may end in .*",
                "string_pattern",
            )


def check_channels(names: Sequence[str] | None, most: int, findings: Findings, field: str = "channels") -> None:
    if names is None:
        return
    if not 1 <= len(names) <= most:
        findings.add(field, f"List 1 to {most} channels, or leave the field out.", "too_long" if names else "too_short")
    for index, name in enumerate(names):
        if not 1 <= len(name) <= MAX_CHANNEL_LENGTH or not _UID.fullmatch(name):
            findings.add(
                (field, index),
                f"Use 1 to {MAX_CHANNEL_LENGTH} letters, digits, hyphens, underscores and full stops.",
                "string_pattern",
            )


def is_tag(name: str) -> bool:
    """Any visible text, but for the comma: that is what lists of names are joined with."""
    return 1 <= len(name) <= MAX_TAG_LENGTH and name.isprintable() and "," not in name


def check_tags(names: Sequence[str] | None, most: int, findings: Findings, field: str = "tags") -> None:
    if names is None:
        return
    if len(names) > most:
        findings.add(field, f"At most {most} tags.", "too_long")
    for index, name in enumerate(names):
        if not is_tag(name):
            findings.add((field, index), f"Use 1 to {MAX_TAG_LENGTH} visible characters but commas.", "string_pattern")


def find_repeated(names: Iterable[str]) -> str | None:
    """The first name that was there before; None when each is there once. Linear: there may be a hundred thousand."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def unique(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """The names without repetition, in their order."""
    return None if names is None else tuple(dict.fromkeys(names))


def check_flags(names: Sequence[str] | None, findings: Findings, field: str = "feature_flags") -> None:
    """Feature flags of an event type, or of a token that may see such types."""
    if names is None:
        return
    if len(names) > MAX_FLAGS:
        findings.add(field, f"At most {MAX_FLAGS} feature flags.", "too_long")
        return
    for index, name in enumerate(names):
        if not 1 <= len(name) <= MAX_UID_LENGTH or not _UID.fullmatch(name):
            findings.add(
                (field, index),
                f"Use 1 to {MAX_UID_LENGTH} letters, digits, hyphens, underscores and full stops.",
                "string_pattern",
            )


def check_group_name(name: str | None, findings: Findings, field: str = "group_name") -> None:
    if name is not None and not (1 <= len(name) <= MAX_UID_LENGTH and _UID.fullmatch(name)):
        findings.add(
            field, f"Use 1 to {MAX_UID_LENGTH} letters, digits, hyphens, underscores and full stops.", "string_pattern"
        )
