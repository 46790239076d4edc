"""The part of the `Store` protocol about credentials that end before their time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from hookline.store.scope import AppScope


class TokenName(msgspec.Struct, frozen=True):
    """What a token of one application is known by. `generation`: how often tokens were expired before it was made."""

    token_id: str
    session_id: str | None = None
    generation: int = 0


def covers_all(sessions: Sequence[str] | None, ends_at_ms: int, now_ms: int) -> bool:
    """Whether an end makes all those before it superfluous: of all tokens, at once. There is always room for it."""
    return sessions is None and ends_at_ms <= now_ms


class Credentials(Protocol):
    """Revocation of signed tokens. Nothing here knows of a token that was not revoked; those of an application end
    with it.
    """

    async def revoke_token(self, scope: AppScope, token_id: str, expires_at_ms: int) -> None:
        """End one token. The row goes when the token would have ended by itself."""
        ...

    async def expire_tokens(
        self,
        scope: AppScope,
        sessions: Sequence[str] | None,
        ends_at_ms: int,
        *,
        now_ms: int,
        forget_at_ms: int,
        most: int,
    ) -> bool:
        """End all tokens of an application, or of some sessions of it, that were made until now, at `ends_at_ms`.

        An end that was set before stays if it is sooner. Those of sessions are forgotten at `forget_at_ms`. False,
        and nothing is kept, when the application would have more than `most` such ends; never for all tokens at once.
        """
        ...

    async def token_generation(self, scope: AppScope) -> int:
        """How often tokens of this application were expired: the number for a new one."""
        ...

    async def token_end(self, scope: AppScope, name: TokenName) -> int | None:
        """When a token ends that should not live as long as it says; None: it may. 0: it was revoked, or there is no
        such application (any more).
        """
        ...
