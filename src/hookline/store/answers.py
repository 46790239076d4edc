"""The part of the `Store` protocol about answers that are kept for a request that may come again."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from hookline.store.scope import OrgScope

ANSWER_COLUMN: Final = "hookline_answers:answer"
MAX_ANSWERS: Final = 10_000  # of one organization
MAX_ANSWER_BYTES: Final = 64 * 1_048_576  # of one organization, compressed and sealed
TRIM_SHARE: Final = 4  # of 256: how many claims look whether an organization keeps more than that


class KeptAnswer(msgspec.Struct, frozen=True):
    """What is known of a request with a key. `answer` None: the first one is still at work."""

    fingerprint: bytes
    answer: bytes | None


class Answers(Protocol):
    """Who does a request first, and what it was answered. Answers are sealed at rest: they may carry secrets.

    An organization keeps at most some `MAX_ANSWERS` and `MAX_ANSWER_BYTES`; those that expire first make way. A claim
    in 64 looks after that, so it may be a few hundred more for a while.
    """

    async def claim_answer(
        self, scope: OrgScope, name: bytes, *, owner: bytes, fingerprint: bytes, now_ms: int, until_ms: int
    ) -> KeptAnswer | None:
        """Be the one who does it, until `until_ms` at most; None. Else what somebody before us left."""
        ...

    async def keep_answer(
        self, scope: OrgScope, name: bytes, *, owner: bytes, answer: bytes, expires_at_ms: int
    ) -> bool:
        """Keep the answer. False when the claim is not `owner`'s any more."""
        ...

    async def release_answer(self, scope: OrgScope, name: bytes, *, owner: bytes) -> None:
        """Let the next one do it."""
        ...


def row_name(scope: OrgScope, name: bytes) -> str:
    """What a sealed answer is bound to."""
    return f"{scope.org_id}/{name.hex()}"


def wants_trim(name: bytes) -> bool:
    """Whether the claim of this name looks after the bound. Names are hashes: it is by chance."""
    return name[0] < TRIM_SHARE
