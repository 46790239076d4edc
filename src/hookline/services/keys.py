"""API keys: 32 random bytes as text, shown once, kept as a hash.

    hk_<43 characters of URL-safe base64>

A key belongs to an organization, or to one application of it. It is found by the SHA-256 of its text: the text is
random enough that neither salt nor slowness would add anything. Rotation makes a second key and lets the first one
live on for an overlap, so that nobody is locked out in between.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Final

import msgspec

from hookline.clock import Clock
from hookline.model import ApiKey, ids
from hookline.services.errors import AuthenticationError, NotFoundError, invalid
from hookline.services.principal import Principal
from hookline.services.tokens import is_organization_id
from hookline.services.validation import Findings, check_name
from hookline.store.protocol import Management
from hookline.store.scope import OrgScope

PREFIX: Final = "hk_"
RANDOM_BYTES: Final = 32
HINT_LENGTH: Final = 4
DEFAULT_OVERLAP_S: Final = 86_400.0
LONGEST_OVERLAP_S: Final = 90 * 86_400.0

_FORM: Final = re.compile(r"hk_[A-Za-z0-9_\-]{43}", re.ASCII)


class NewKey(msgspec.Struct, frozen=True):
    """A key that was just made. `text` is the key itself: this is the only time it is seen."""

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        return f"NewKey(id={self.key.id!r}, text=***)"

    __str__ = __repr__


def looks_like_key(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def hash_key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def is_live(key: ApiKey, now_ms: int) -> bool:
    return key.revoked_at_ms is None and (key.expires_at_ms is None or now_ms < key.expires_at_ms)


class Keys:
    """Makes, finds, rotates and revokes API keys."""

    def __init__(
        self, store: Management, clock: Clock, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes

    async def create(
        self, org_id: str, *, name: str, app: str | None = None, expires_at_ms: int | None = None
    ) -> NewKey:
        """Make a key for an organization, or for its application `app` (id or uid).

        Raises:
            InvalidError: the name, the organization or the time is not usable.
            NotFoundError: there is no such application.
        """
        findings = Findings()
        check_name(name, findings)
        if not is_organization_id(org_id):
            findings.add("org", "Give an id that begins with org_")
        if expires_at_ms is not None and expires_at_ms <= self._clock.now_ms():
            findings.add("expires_at", "The key would have expired already. Give a time to come.")
        findings.finish()
        app_id = None
        if app is not None:
            application = await self._store.get_application(OrgScope(org_id), app)
            if application is None:
                raise NotFoundError(f"There is no application {app}. Create it first.")
            app_id = application.id
        return await self._make(org_id, app_id, name, expires_at_ms)

    async def list_keys(self, org_id: str) -> list[ApiKey]:
        return await self._store.list_api_keys(OrgScope(org_id))

    async def rotate(self, org_id: str, key_id: str, overlap_s: float = DEFAULT_OVERLAP_S) -> NewKey:
        """Make a new key like this one, which goes on working for `overlap_s` seconds.

        Raises:
            NotFoundError: no such key, or it is revoked or expired.
            InvalidError: the overlap is out of range.
        """
        if not 0 <= overlap_s <= LONGEST_OVERLAP_S:
            raise invalid("overlap", f"Use 0 to {LONGEST_OVERLAP_S:.0f} seconds.")
        old = await self._find(org_id, key_id)
        now_ms = self._clock.now_ms()
        if not is_live(old, now_ms):
            raise NotFoundError(f"The key {key_id} is not live any more. Create a new one.")
        # The new key first: a failure in between leaves two keys that work, never none.
        made = await self._make(org_id, old.app_id, old.name, old.expires_at_ms)
        ends_ms = now_ms + round(overlap_s * 1000)
        if old.expires_at_ms is not None:
            ends_ms = min(ends_ms, old.expires_at_ms)
        await self._store.update_api_key(msgspec.structs.replace(old, expires_at_ms=ends_ms))
        return made

    async def revoke(self, org_id: str, key_id: str) -> ApiKey:
        """End a key. It is refused everywhere within a few seconds.

        Raises:
            NotFoundError: no such key.
        """
        key = await self._find(org_id, key_id)
        if key.revoked_at_ms is None:
            key = msgspec.structs.replace(key, revoked_at_ms=self._clock.now_ms())
            await self._store.update_api_key(key)
        return key

    async def identify(self, text: str) -> ApiKey:
        """The live key with this text.

        Raises:
            AuthenticationError: there is none.
        """
        if not looks_like_key(text):
            raise AuthenticationError
        key = await self._store.find_api_key(hash_key(text))
        if key is None or not is_live(key, self._clock.now_ms()):
            raise AuthenticationError
        return key

    async def _find(self, org_id: str, key_id: str) -> ApiKey:
        for key in await self._store.list_api_keys(OrgScope(org_id)):
            if key.id == key_id:
                return key
        raise NotFoundError(f"There is no key {key_id}. See the list of keys.")

    async def _make(self, org_id: str, app_id: str | None, name: str, expires_at_ms: int | None) -> NewKey:
        text = PREFIX + base64.urlsafe_b64encode(self._random_bytes(RANDOM_BYTES)).rstrip(b"=").decode("ascii")
        key = ApiKey(
            id=ids.new_id(ids.API_KEY),
            org_id=org_id,
            app_id=app_id,
            name=name,
            key_hash=hash_key(text),
            hint=text[-HINT_LENGTH:],
            created_at_ms=self._clock.now_ms(),
            expires_at_ms=expires_at_ms,
        )
        return NewKey(await self._store.create_api_key(key), text)


def principal_of(key: ApiKey) -> Principal:
    """Whom a key speaks for. A key for one application is a machine's and may send."""
    return Principal(key.org_id, key.app_id)
