"""The public keys that an endpoint's deliveries are signed with, for anybody who has its address.

One document for each endpoint: it is bounded by how many secrets an endpoint may have, tells nobody how many others
there are, and names none. What does not exist looks like an endpoint that signs with a shared secret: no keys. Keys
stay in it as long as they sign.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from hookline.clock import Clock
from hookline.engine import OverloadedError, Routing
from hookline.model import EndpointSecret, ids
from hookline.signatures import SigningKey, VerifyingKey, parse_key

LONGEST_MAX_AGE_S: Final = 300
# Anybody may ask, and may make ids up: what is not in memory is looked up by so many at a time ...
MAX_LOOKUPS: Final = 2
MAX_WAITING: Final = 50  # ... and waited for by so many


class KeySet(msgspec.Struct, frozen=True):
    """Public keys, the current one first, and for how long they may be kept."""

    keys: tuple[VerifyingKey, ...]
    max_age_s: int


class KeySets:
    """Finds them in the routing tables that deliveries use, so a rotation shows at once."""

    def __init__(self, routing: Routing, clock: Clock) -> None:
        self._routing = routing
        self._clock = clock
        self._lookups = asyncio.Semaphore(MAX_LOOKUPS)
        self._waiting = 0

    async def of_endpoint(self, app_id: str, endpoint_id: str) -> KeySet:
        """Raises OverloadedError when too many ask for what is not in memory."""
        if not ids.is_id(app_id, ids.APPLICATION) or not ids.is_id(endpoint_id, ids.ENDPOINT):
            return KeySet((), LONGEST_MAX_AGE_S)
        table = self._routing.cached(app_id)
        if table is None:
            if self._waiting >= MAX_WAITING:
                raise OverloadedError("Too many ask for keys at this moment. Ask again.")
            self._waiting += 1
            try:
                async with self._lookups:
                    table = await self._routing.get(app_id)
            finally:
                self._waiting -= 1
        route = None if table is None else table.routes.get(endpoint_id)
        return KeySet((), LONGEST_MAX_AGE_S) if route is None else key_set(route.endpoint.secrets, self._clock.now_ms())


def key_set(secrets: Sequence[EndpointSecret], now_ms: int) -> KeySet:
    """The public halves of the Ed25519 keys that sign at this moment; kept no longer than the first of them does."""
    live = [secret for secret in secrets if secret.expires_at_ms is None or secret.expires_at_ms > now_ms]
    keys = [public for secret in live if (public := verifying_key(secret.key)) is not None]
    ends = [secret.expires_at_ms for secret in live if secret.expires_at_ms is not None]
    max_age_s = min([LONGEST_MAX_AGE_S, *((end - now_ms) // 1000 for end in ends)])
    return KeySet(tuple(keys), max_age_s)


def verifying_key(text: str) -> VerifyingKey | None:
    """The public half of a secret that has one."""
    if not text.startswith("whsk_"):
        return None
    key = parse_key(text)
    return key.verifying_key if isinstance(key, SigningKey) else None
