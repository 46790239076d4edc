"""`Idempotency-Key`: a request that is sent twice is done once and answered twice (draft-ietf-httpapi-idempotency-key).

    free ──claim──> at work ──done, 2xx──> kept ──expires──> free
                       ├──any other end──> free
                       └──nobody ends it within a minute──> free

A key is a name within its caller (the organization, the application, or the customer's token) and its path. The same
request again gets the answer that is kept; another request under the key is a mistake of the caller's; one that comes
while the first is at work is told to ask again. Messages have keys of their own, settled in their own commit: see
`messages`.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import zlib
from typing import Final

import msgspec

from hookline.clock import Clock
from hookline.services.errors import InProgressError, invalid
from hookline.services.principal import Principal
from hookline.store.answers import Answers
from hookline.store.errors import StoreError
from hookline.store.scope import OrgScope

log = logging.getLogger("hookline.services")

HEADER: Final = "idempotency-key"
MAX_KEY_LENGTH: Final = 256
CHOSEN_KEY_S: Final = 12 * 3_600.0
AUTOMATIC_KEY_S: Final = 900.0  # `auto_` keys, which SDKs make for every request: long enough for their retries
AT_WORK_S: Final = 60.0  # longer than any request takes that is kept an answer of
MAX_ANSWER_BYTES: Final = 262_144


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What a request was answered."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def __repr__(self) -> str:
        """Without the body, which may hold a secret or a token that is shown once."""
        return f"Answer(status={self.status}, ***)"

    __str__ = __repr__


class Claim(msgspec.Struct, frozen=True):
    """The right to do a request, and the duty to `keep` its answer or to `release` it."""

    scope: OrgScope
    name: bytes
    owner: bytes
    lifetime_s: float


class Idempotency:
    """Who does a request, and what it was answered."""

    def __init__(self, store: Answers, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def begin(self, principal: Principal, key: str, path: str, request: bytes) -> Claim | Answer:
        """A claim for the first who asks, the answer for those who ask again.

        `path` is what the key is a name within; `request` is all that makes a request the same one.

        Raises:
            InvalidError: the key is not usable, or was used for another request before.
            InProgressError: the first is still at work.
            StoreUnavailableError: nobody can tell now.
        """
        # Failure policy: closed. When the database cannot be asked, nothing is done: it might be for the second time.
        text = read_key(key)
        place = f"{principal.app_id or ''}\n{principal.token_id or ''}\n{path}\n{text}"
        claim = Claim(
            principal.org_scope,
            hashlib.sha256(place.encode("utf-8", "surrogatepass")).digest(),
            secrets.token_bytes(8),
            lifetime_of_key(text),
        )
        fingerprint = hashlib.sha256(request).digest()
        now_ms = self._clock.now_ms()
        kept = await self._store.claim_answer(
            claim.scope,
            claim.name,
            owner=claim.owner,
            fingerprint=fingerprint,
            now_ms=now_ms,
            # Failure policy: open. Who dies between doing and keeping leaves a request that is done again after this
            # time. Refused instead, the caller would never learn what became of it; done again, what it made twice
            # shows (a uid of its own makes the second one a conflict).
            until_ms=now_ms + round(AT_WORK_S * 1000),
        )
        if kept is None:
            return claim
        if kept.fingerprint != fingerprint:
            raise invalid(
                HEADER,
                "This key was used for another request before. Use a new key for each request.",
                "idempotency_key_reused",
                "header",
            )
        if kept.answer is None:
            raise InProgressError
        return msgspec.msgpack.decode(zlib.decompress(kept.answer), type=Answer)

    async def keep(self, claim: Claim, answer: Answer) -> None:
        """Keep what was answered, if it is a success of a reasonable size; else let the next one do it."""
        if not 200 <= answer.status < 300 or len(answer.body) > MAX_ANSWER_BYTES:
            await self.release(claim)
            return
        content = zlib.compress(msgspec.msgpack.encode(answer))
        expires_ms = self._clock.now_ms() + round(claim.lifetime_s * 1000)
        try:
            await self._store.keep_answer(
                claim.scope, claim.name, owner=claim.owner, answer=content, expires_at_ms=expires_ms
            )
        except StoreError as error:
            # Failure policy: open. It is done, and the caller is told so; only a repetition within the next minute is
            # refused, and one after that is done again.
            log.warning("an answer is not kept", extra={"action": "answer_not_kept", "reason": error.code})

    async def release(self, claim: Claim) -> None:
        """Let the next one do it."""
        try:
            await self._store.release_answer(claim.scope, claim.name, owner=claim.owner)
        except StoreError as error:
            # Failure policy: open. The claim ends by itself.
            log.warning("a claim is not released", extra={"action": "claim_not_released", "reason": error.code})


def read_key(header: str) -> str:
    """The key itself: the header is a quoted string by its draft standard, and bare text in everybody's practice.

    Raises:
        InvalidError: it is neither.
    """
    name = header.strip()
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = name[1:-1]
    if not 1 <= len(name) <= MAX_KEY_LENGTH or not name.isascii() or not name.isprintable():
        raise invalid(HEADER, f"Use 1 to {MAX_KEY_LENGTH} printable characters.", place="header")
    return name


def lifetime_of_key(name: str) -> float:
    """Seconds for which a key names its request."""
    return AUTOMATIC_KEY_S if name.startswith("auto_") else CHOSEN_KEY_S
