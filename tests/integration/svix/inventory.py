"""What the official SDK offers: every method of every group, found in its classes rather than written down."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from svix.api import Svix, SvixOptions

# Groups of Svix's cloud. The SDK gets an ordinary 404 for them; docs/api.md lists them for its readers.
CLOUD_ONLY = (
    "authentication.get_stream_poller_token",
    "authentication.rotate_stream_poller_token",
    "authentication.stream_",
    "autoconfig_subscription.",
    "connector.",
    "destination.",
    "environment.",
    "ingest.",
    "integration.",
    "message.poller.",
    "streaming.",
)


def list_methods() -> dict[str, Any]:
    """Every public method by its path, such as `operational_webhook.endpoint.create`."""
    return dict(_walk(Svix("unused", SvixOptions(server_url="http://unused.invalid")), ""))


def is_offered(method: str) -> bool:
    return not method.startswith(CLOUD_ONLY)


def _walk(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, member in inspect.getmembers_static(type(group)):
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield from _walk(getattr(group, name), f"{prefix}{name}.")
        elif inspect.isfunction(member):
            yield prefix + name, member
