"""Tokens for customers: granted for one application, with what they may do, and ended before their time.

A token is believed by its signature. What ended early stands in the database: single tokens that were logged out, and
a number for each application that grows whenever its tokens are expired. New tokens bear the number, so what was made
before and what was made after is told apart whatever the clocks of several nodes say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from hookline.clock import Clock
from hookline.services.capabilities import Capability
from hookline.services.errors import AuthenticationError, ForbiddenError, LimitReachedError
from hookline.services.principal import Principal
from hookline.services.tokens import Grant, Tokens
from hookline.services.validation import Findings
from hookline.store.credentials import Credentials, TokenName
from hookline.store.scope import AppScope

DEFAULT_LIFETIME_S: Final = 7 * 86_400
SHORTEST_LIFETIME_S: Final = 3_600
LONGEST_LIFETIME_S: Final = 28 * 86_400  # the SDKs say 7 days; servers before them gave 28
MAX_FEATURE_FLAGS: Final = 100
MAX_SESSIONS: Final = 100  # in one request
MAX_ENDINGS: Final = 10_000  # of one application

_NAME: Final = re.compile(r"[a-zA-Z0-9\-_.:@]{1,256}", re.ASCII)
_NAME_RULE: Final = "Use 1 to 256 letters, digits, hyphens, underscores, full stops, colons and at signs."


class AccessForm(msgspec.Struct, frozen=True):
    """What a caller says about a token. `capabilities` None: all; of a token that is read-only, the base only."""

    lifetime_s: int | None = None
    capabilities: Sequence[str] | None = None
    read_only: bool = False
    feature_flags: Sequence[str] = ()
    session_id: str | None = None


class Sessions:
    """Grants tokens for applications, knows which are still good, and ends them."""

    def __init__(self, store: Credentials, tokens: Tokens, clock: Clock) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock

    async def grant(self, scope: AppScope, form: AccessForm) -> str:
        """A token for an application.

        Raises:
            InvalidError: the form breaks a rule.
        """
        _check(form)
        grant = Grant(
            _granted(form),
            form.read_only,
            tuple(dict.fromkeys(form.feature_flags)),
            form.session_id,
            await self._store.token_generation(scope),
        )
        lifetime_s = DEFAULT_LIFETIME_S if form.lifetime_s is None else form.lifetime_s
        return self._tokens.issue_for_application(scope.org_id, scope.app_id, lifetime_s, grant)

    async def identify(self, text: str) -> tuple[Principal, float]:
        """Who a token speaks for, and until when (Unix seconds) as far as is known now.

        Raises:
            AuthenticationError: it is not good, or not any more.
            StoreUnavailableError: nobody can tell now.
        """
        token = self._tokens.read(text)
        principal = token.principal
        if principal.app_id is None or principal.token_id is None:
            return principal, token.expires_s  # an organization's: ended only by a new secret
        # Failure policy: closed. When the database cannot be asked, a token that may have been revoked is not believed.
        end_ms = await self._store.token_end(
            AppScope(principal.org_id, principal.app_id),
            TokenName(principal.token_id, principal.session_id, token.generation),
        )
        if end_ms is None:
            return principal, token.expires_s
        if end_ms <= self._clock.now_ms():
            raise AuthenticationError
        return principal, min(token.expires_s, end_ms / 1000)

    async def log_out(self, principal: Principal, text: str) -> None:
        """End the token of one application that the caller bears, everywhere within a few seconds.

        Raises:
            ForbiddenError: the caller bears an organization's token, or a key: those are not ended by their bearers.
            AuthenticationError: it has just ended.
        """
        if principal.app_id is None or principal.token_id is None:
            raise ForbiddenError("Only tokens of one application can be logged out.")
        expires_ms = round(self._tokens.read(text).expires_s * 1000)
        await self._store.revoke_token(AppScope(principal.org_id, principal.app_id), principal.token_id, expires_ms)

    async def expire_all(
        self, scope: AppScope, sessions: Sequence[str] | None = None, after_s: int | None = None
    ) -> None:
        """End all tokens of an application that were granted until now, or those of some sessions, after a while.

        Raises:
            InvalidError: the time or a session is not usable.
            LimitReachedError: more ends are set for this application than may be.
        """
        findings = Findings()
        if after_s is not None and not 0 <= after_s <= LONGEST_LIFETIME_S:
            findings.add("expiry", f"Use 0 to {LONGEST_LIFETIME_S} seconds.", "range")
        if sessions is not None and len(sessions) > MAX_SESSIONS:
            findings.add("session_ids", f"At most {MAX_SESSIONS} at once. Without any, all tokens expire.", "too_long")
        _check_names(sessions or (), "session_ids", findings)
        findings.finish()
        now_ms = self._clock.now_ms()
        kept = await self._store.expire_tokens(
            scope,
            sorted(set(sessions)) if sessions else None,
            now_ms + (after_s or 0) * 1000,
            now_ms=now_ms,
            forget_at_ms=now_ms + LONGEST_LIFETIME_S * 1000,  # by then every token of a session has ended by itself
            most=MAX_ENDINGS,
        )
        if not kept:
            raise LimitReachedError("Too many sessions of this application were expired. Expire all of its tokens.")


def _granted(form: AccessForm) -> frozenset[Capability] | None:
    if form.capabilities is not None:
        return frozenset(Capability(name) for name in form.capabilities)
    return frozenset({Capability.VIEW_BASE}) if form.read_only else None


def _check(form: AccessForm) -> None:
    findings = Findings()
    if form.lifetime_s is not None and not SHORTEST_LIFETIME_S <= form.lifetime_s <= LONGEST_LIFETIME_S:
        findings.add("expiry", f"Use {SHORTEST_LIFETIME_S} to {LONGEST_LIFETIME_S} seconds.", "range")
    if form.capabilities is not None:
        names = [capability.value for capability in Capability]
        for index, name in enumerate(form.capabilities[: len(names) + 1]):
            if name not in names:
                findings.add(("capabilities", index), f"Use {', '.join(names)}.", "enum")
        if len(form.capabilities) > len(names):
            findings.add("capabilities", "Name each capability once.", "too_long")
        if Capability.VIEW_BASE not in form.capabilities:
            findings.add("capabilities", f"{Capability.VIEW_BASE} is always required. Add it.", "missing")
    if len(form.feature_flags) > MAX_FEATURE_FLAGS:
        findings.add("feature_flags", f"At most {MAX_FEATURE_FLAGS} feature flags.", "too_long")
    _check_names(form.feature_flags, "feature_flags", findings)
    if form.session_id is not None and not _NAME.fullmatch(form.session_id):
        findings.add("session_id", _NAME_RULE, "string_pattern")
    findings.finish()


def _check_names(names: Iterable[str], field: str, findings: Findings) -> None:
    for index, name in enumerate(names):
        if not _NAME.fullmatch(name):
            findings.add((field, index), _NAME_RULE, "string_pattern")
            return  # one of ten thousand says it
