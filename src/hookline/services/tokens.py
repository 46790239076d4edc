"""Signed tokens: JWTs that say which organization, or which application of it, is calling.

    organization:  {"iss", "iat", "nbf", "exp", "sub": "org_..."}
    application:   {"iss", "iat", "nbf", "exp", "sub": "app_...", "org": "org_..."}

The claims are those of the Svix server, so tokens made for one by the same secret are understood here. The algorithm
is pinned to HS256: a token that names another one, `none` included, is refused before anything of it is believed.
Tokens cannot be revoked one by one; API keys can.
"""

from __future__ import annotations

import re
from typing import Any, Final

import jwt

from hookline.clock import Clock
from hookline.errors import HooklineError
from hookline.model import ids
from hookline.services.errors import AuthenticationError, InvalidError, Problem
from hookline.services.principal import Principal

ISSUER: Final = "hookline"
ALGORITHM: Final = "HS256"
MIN_SECRET_BYTES: Final = 32
MAX_TOKEN_LENGTH: Final = 4_096
ORGANIZATION_LIFETIME_S: Final = 10 * 365 * 86_400  # ten years: the operator's own, kept like a password
APPLICATION_LIFETIME_S: Final = 28 * 86_400
LEEWAY_S: Final = 60  # clocks of two machines

_ORGANIZATION: Final = re.compile(r"org_[A-Za-z0-9_\-]{1,64}", re.ASCII)
_APPLICATION: Final = re.compile(r"app_[A-Za-z0-9]{1,64}", re.ASCII)


class TokenSecretError(HooklineError):
    """The secret that signs tokens is too short to be safe."""

    code = "token_secret"


def is_organization_id(text: str) -> bool:
    return _ORGANIZATION.fullmatch(text) is not None


class Tokens:
    """Issues and reads tokens with one secret."""

    def __init__(self, secret: str | bytes, clock: Clock) -> None:
        self._secret = secret.encode() if isinstance(secret, str) else secret
        if len(self._secret) < MIN_SECRET_BYTES:
            # Failure policy: closed. With a guessable secret anyone is everyone.
            raise TokenSecretError(
                f"The token secret has less than {MIN_SECRET_BYTES} bytes. Set HOOKLINE_JWT_SECRET to a longer one."
            )
        self._clock = clock

    def __repr__(self) -> str:
        return "Tokens(***)"

    def issue_for_organization(self, org_id: str, lifetime_s: int = ORGANIZATION_LIFETIME_S) -> str:
        """A token that may do everything in one organization.

        Raises:
            InvalidError: not an organization's id, or a life time that is not positive.
        """
        _check(org_id, _ORGANIZATION, "org")
        return self._sign({"sub": org_id}, lifetime_s)

    def issue_for_application(self, org_id: str, app_id: str, lifetime_s: int = APPLICATION_LIFETIME_S) -> str:
        """A token for one customer: manages the endpoints of one application, reads its messages, sends none.

        Raises:
            InvalidError: not an id (a uid will not do), or a life time that is not positive.
        """
        _check(org_id, _ORGANIZATION, "org")
        _check(app_id, _APPLICATION, "app")
        return self._sign({"sub": app_id, "org": org_id}, lifetime_s)

    def read(self, token: str) -> Principal:
        """Who a token speaks for.

        Raises:
            AuthenticationError: anything at all is wrong with it.
        """
        return self._read(token)[0]

    def read_with_expiry(self, token: str) -> tuple[Principal, float]:
        """Who a token speaks for, and until when (Unix seconds): for a cache in front of this.

        Raises:
            AuthenticationError: anything at all is wrong with it.
        """
        return self._read(token)

    def _read(self, token: str) -> tuple[Principal, float]:
        if len(token) > MAX_TOKEN_LENGTH:
            raise AuthenticationError
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                # Times are checked below, against the clock that everything here runs on.
                options={
                    "require": ["exp", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_iss": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as error:
            raise AuthenticationError from error
        return _principal(claims), self._check_times(claims)

    def _check_times(self, claims: dict[str, Any]) -> float:
        now_s = self._clock.now_ms() / 1000
        expires, begins = claims["exp"], claims.get("nbf", 0)
        for moment in (expires, begins):
            if isinstance(moment, bool) or not isinstance(moment, int | float):
                raise AuthenticationError
        if not (begins - LEEWAY_S <= now_s < expires):  # NaN compares false: refused
            raise AuthenticationError
        return float(expires) if expires < 1e15 else 1e15

    def _sign(self, claims: dict[str, Any], lifetime_s: int) -> str:
        if lifetime_s <= 0:
            raise InvalidError([Problem(("expires",), "A token must live for at least a second.")])
        now_s = self._clock.now_ms() // 1000
        times = {"iat": now_s, "nbf": now_s, "exp": now_s + lifetime_s}
        return jwt.encode({"iss": ISSUER, **times, **claims}, self._secret, algorithm=ALGORITHM)


def _principal(claims: dict[str, Any]) -> Principal:
    subject, organization = claims["sub"], claims.get("org")
    if not isinstance(subject, str):
        raise AuthenticationError
    if organization is None:
        if not _ORGANIZATION.fullmatch(subject):
            raise AuthenticationError
        return Principal(subject)
    if not (
        isinstance(organization, str) and _ORGANIZATION.fullmatch(organization) and _APPLICATION.fullmatch(subject)
    ):
        raise AuthenticationError
    return Principal(organization, subject, may_send=False)


def _check(text: str, form: re.Pattern[str], field: str) -> None:
    if not form.fullmatch(text):
        prefix = ids.ORGANIZATION if field == "org" else ids.APPLICATION
        raise InvalidError([Problem((field,), f"Give an id that begins with {prefix}_")])
