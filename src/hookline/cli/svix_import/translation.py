"""From what the source shows to what the target must have, and what differs. Pure.

What has a `uid` is the same thing on both sides when the uids are equal. What has none is known by the source's id in
the metadata of its copy, under `MARKER`: the two sides give ids of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit, urlunsplit

MARKER: Final = "svixId"
PUBLIC_KEY_PREFIX: Final = "whpk_"

Json = dict[str, Any]


class Copies:
    """What the target has already, by uid and by the source's id."""

    def __init__(self, entries: Iterable[Json] = ()) -> None:
        self._by_uid: dict[str, Json] = {}
        self._by_source: dict[str, Json] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Json) -> None:
        if entry.get("uid"):
            self._by_uid[entry["uid"]] = entry
        if MARKER in entry.get("metadata", {}):
            self._by_source[entry["metadata"][MARKER]] = entry

    def find(self, original: Json) -> Json | None:
        """The copy of this thing of the source. It may have got a uid since it was copied."""
        uid = original.get("uid")
        return (self._by_uid.get(uid) if uid else None) or self._by_source.get(original["id"])


def describe_application(original: Json) -> Json:
    return {
        "name": original["name"],
        "uid": original.get("uid"),
        "throttleRate": _throttle_rate(original),
        "metadata": _metadata(original),
    }


def describe_endpoint(original: Json) -> Json:
    """A user and password in the URL become the endpoint's `auth`: Hookline keeps credentials out of URLs."""
    event_types = original.get("eventTypes")
    url, auth = _split_credentials(original["url"])
    return {
        **({} if auth is None else {"auth": auth}),
        "url": url,
        "uid": original.get("uid"),
        "description": original.get("description") or "",
        "version": original.get("version") or 1,
        "eventTypes": event_types if event_types is not None else original.get("filterTypes"),
        "channels": original.get("channels"),
        "disabled": bool(original.get("disabled")),
        "throttleRate": _throttle_rate(original),
        "metadata": _metadata(original),
    }


def describe_event_type(original: Json) -> Json:
    flag = original.get("featureFlag")  # the older form of the list
    return {
        "description": original.get("description") or "",
        "archived": bool(original.get("archived")),
        "deprecated": bool(original.get("deprecated")),
        "schemas": original.get("schemas"),
        "featureFlags": original.get("featureFlags") or ([flag] if flag else None),
        "groupName": original.get("groupName"),
    }


def find_changes(wanted: Json, copy: Json) -> Json:
    """The members that the copy must get. Lists without an order compare as sets."""
    return {name: value for name, value in wanted.items() if _normal(value) != _normal(copy.get(name))}


def find_header_changes(wanted: Mapping[str, str], copy: Mapping[str, str]) -> dict[str, str | None]:
    """The headers to set, and (None) to remove. Their names have no case."""
    here = {name.lower(): value for name, value in copy.items()}
    names = {name.lower() for name in wanted}
    changed: dict[str, str | None] = {name: value for name, value in wanted.items() if here.get(name.lower()) != value}
    return changed | {name: None for name in copy if name.lower() not in names}


def missing_names(wanted: Iterable[str], have: Iterable[str]) -> list[str]:
    """The header names that are not there, whatever their case."""
    here = {name.lower() for name in have}
    return [name for name in wanted if name.lower() not in here]


def _throttle_rate(original: Json) -> int | None:
    rate = original.get("throttleRate")
    return rate if rate is not None else original.get("rateLimit")


def _metadata(original: Json) -> dict[str, str]:
    metadata = {name: value for name, value in (original.get("metadata") or {}).items() if name != MARKER}
    return metadata if original.get("uid") else {**metadata, MARKER: original["id"]}


def _split_credentials(url: str) -> tuple[str, Json | None]:
    parts = urlsplit(url)
    userinfo, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    username, _, password = userinfo.partition(":")
    auth = {"type": "basic", "username": unquote(username), "password": unquote(password)}
    return urlunsplit(parts._replace(netloc=host)), auth


def _normal(value: Any) -> Any:
    """Something that is equal when the values mean the same. Of credentials only what can be seen counts."""
    if isinstance(value, list):
        return sorted(value)
    if isinstance(value, dict) and value.get("type") == "basic":
        return (value["type"], value.get("username"))
    return value
