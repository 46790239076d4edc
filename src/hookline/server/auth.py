"""Who is calling: a Bearer API key or a signed token becomes a `Principal`.

Answers are remembered for a few seconds, so that a busy sender's key is not looked up for every message. That is also
how long a key or a token that another process revoked may live on. What is unknown is not remembered: a stranger's
guesses must not push out those who belong here.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hookline.clock import Clock
from hookline.services import AuthenticationError, Keys, Principal, Sessions
from hookline.services.keys import PREFIX as KEY_PREFIX
from hookline.services.keys import principal_of

REMEMBERED_S: Final = 5.0
MAX_REMEMBERED: Final = 10_000
_SCHEME: Final = "bearer "


def read_bearer(authorization: str | None) -> str:
    """The credential of an `Authorization: Bearer ...` header.

    Raises:
        AuthenticationError: it is missing or of another scheme.
    """
    if authorization is None or authorization[: len(_SCHEME)].lower() != _SCHEME:
        raise AuthenticationError
    return authorization[len(_SCHEME) :].strip()


class Authenticator:
    """Finds out who is calling. `remembered` never waits; `authenticate` may ask the database."""

    def __init__(self, keys: Keys, sessions: Sessions, clock: Clock) -> None:
        self._keys = keys
        self._sessions = sessions
        self._clock = clock
        self._principals: OrderedDict[str, tuple[Principal, float]] = OrderedDict()
        self._forgettings = 0

    def remembered(self, credential: str) -> Principal | None:
        """The caller, if this credential was good within the last few seconds; None says nothing."""
        entry = self._principals.get(credential)
        if entry is None or entry[1] <= self._clock.monotonic_s():
            return None
        return entry[0]

    async def authenticate(self, authorization: str | None) -> Principal:
        """The caller behind an Authorization header.

        Raises:
            AuthenticationError: nobody that we know.
            StoreUnavailableError: nobody can tell now.
        """
        credential = read_bearer(authorization)
        known = self.remembered(credential)
        return known if known is not None else await self.authenticate_anew(credential)

    async def authenticate_anew(self, credential: str) -> Principal:
        """The same for the credential itself, whatever is remembered of it.

        Raises:
            AuthenticationError: nobody that we know; what was remembered is forgotten.
            StoreUnavailableError: nobody can tell now.
        """
        # Failure policy: closed. When the database cannot be asked, keys and tokens of applications are refused; an
        # organization's tokens need no database.
        asked_at_s, now_ms, forgettings = self._clock.monotonic_s(), self._clock.now_ms(), self._forgettings
        try:
            if credential.startswith(KEY_PREFIX):
                key = await self._keys.identify(credential)
                principal = principal_of(key)
                lives_s = REMEMBERED_S if key.expires_at_ms is None else (key.expires_at_ms - now_ms) / 1000
            else:
                principal, expires_s = await self._sessions.identify(credential)
                lives_s = expires_s - now_ms / 1000
        except AuthenticationError:
            self._principals.pop(credential, None)
            raise
        # Counted from the question: the answer may be as old as that.
        if forgettings == self._forgettings:  # else somebody was logged out meanwhile: perhaps this one
            self._remember(credential, principal, asked_at_s + min(lives_s, REMEMBERED_S))
        return principal

    def forget(self, app_id: str | None) -> None:
        """Ask the database again for all callers that are this application: tokens of it were ended."""
        self._forgettings += 1
        for credential in [text for text, (principal, _) in self._principals.items() if principal.app_id == app_id]:
            del self._principals[credential]

    def _remember(self, credential: str, principal: Principal, until_s: float) -> None:
        self._principals[credential] = (principal, until_s)
        self._principals.move_to_end(credential)
        if len(self._principals) > MAX_REMEMBERED:
            self._principals.popitem(last=False)
