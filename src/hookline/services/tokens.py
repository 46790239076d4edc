"""Signed tokens: JWTs that say which organization, or which application of it, is calling.

    organization:  {"iss", "iat", "nbf", "exp", "sub": "org_..."}
    application:   {"iss", "iat", "nbf", "exp", "sub": "app_...", "org": "org_...",
                    "jti", "gen", and if it has any: "sid", "capabilities", "feature_flags", "read_only"}

The claims are those of the Svix server, so tokens made for one by the same secret are understood here; what a token
does not say leaves it everything. The algorithm is pinned to HS256: a token that names another one, `none` included,
is refused before anything of it is believed. This module knows signatures and time; whether a token was revoked
since, `sessions` asks the database.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import jwt
import msgspec

from hookline.clock import Clock
from hookline.errors import HooklineError
from hookline.model import ids
from hookline.services.capabilities import ALL, Capability
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
_CAPABILITIES: Final = {capability.value: capability for capability in Capability}
_FURTHEST_S: Final = 1e15


class TokenSecretError(HooklineError):
    """The secret that signs tokens is too short to be safe."""

    code = "token_secret"


class Grant(msgspec.Struct, frozen=True):
    """What a token for one application lets its bearer do. `capabilities` None: all there are, now and later.

    `generation` counts how often tokens of the application were expired before it was made.
    """

    capabilities: frozenset[Capability] | None = None
    read_only: bool = False
    feature_flags: tuple[str, ...] = ()
    session_id: str | None = None
    generation: int = 0


class ReadToken(msgspec.Struct, frozen=True):
    """What a token says: who it speaks for, until when (Unix seconds), and its application's generation then."""

    principal: Principal
    expires_s: float
    generation: int = 0


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

    def issue_for_application(
        self, org_id: str, app_id: str, lifetime_s: int = APPLICATION_LIFETIME_S, grant: Grant | None = None
    ) -> str:
        """A token for one customer: manages the endpoints of one application, reads its messages, sends none.

        Raises:
            InvalidError: not an id (a uid will not do), a life time that is not positive, or more flags and names than
                a token can carry.
        """
        _check(org_id, _ORGANIZATION, "org")
        _check(app_id, _APPLICATION, "app")
        granted = grant or Grant()
        claims: dict[str, Any] = {"sub": app_id, "org": org_id, "jti": ids.new_id(ids.TOKEN)}
        if granted.generation:
            claims["gen"] = granted.generation
        if granted.session_id is not None:
            claims["sid"] = granted.session_id
        if granted.capabilities is not None:
            claims["capabilities"] = sorted(granted.capabilities)
        if granted.feature_flags:
            claims["feature_flags"] = list(granted.feature_flags)
        if granted.read_only:
            claims["read_only"] = True
        return self._sign(claims, lifetime_s)

    def read(self, token: str) -> ReadToken:
        """What a token says.

        Raises:
            AuthenticationError: anything at all is wrong with it.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise AuthenticationError
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                # Times are checked below, against the clock that everything here runs on; names by `_read_grant`.
                options={
                    "require": ["exp", "sub"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                    "verify_iss": False,
                    "verify_jti": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError) as error:
            raise AuthenticationError from error
        expires_s = self._check_times(claims)
        principal = _principal(claims, token)
        return ReadToken(principal, expires_s, _read_generation(claims))

    def _check_times(self, claims: dict[str, Any]) -> float:
        now_s = self._clock.now_ms() / 1000
        expires, begins = claims["exp"], claims.get("nbf", 0)
        for moment in (expires, begins):
            if isinstance(moment, bool) or not isinstance(moment, int | float):
                raise AuthenticationError
        if not (begins - LEEWAY_S <= now_s < expires):  # NaN compares false: refused
            raise AuthenticationError
        return float(expires) if expires < _FURTHEST_S else _FURTHEST_S

    def _sign(self, claims: dict[str, Any], lifetime_s: int) -> str:
        if lifetime_s <= 0:
            raise InvalidError([Problem(("expires",), "A token must live for at least a second.")])
        now_s = self._clock.now_ms() // 1000
        times = {"iat": now_s, "nbf": now_s, "exp": now_s + lifetime_s}
        token = jwt.encode({"iss": ISSUER, **times, **claims}, self._secret, algorithm=ALGORITHM)
        if len(token) > MAX_TOKEN_LENGTH:
            text = f"A token has at most {MAX_TOKEN_LENGTH} characters. Give fewer or shorter feature flags."
            raise InvalidError([Problem(("feature_flags",), text, "too_long")])
        return token


def _principal(claims: dict[str, Any], token: str) -> Principal:
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
    return Principal(
        organization,
        subject,
        may_send=False,
        capabilities=_read_capabilities(claims),
        read_only=_read(claims, "read_only", bool, default=False),
        feature_flags=tuple(_read_names(claims, "feature_flags") or ()),
        token_id=_read(claims, "jti", str, default="") or _name(token),
        session_id=_read(claims, "sid", str, default="") or None,
    )


def _name(token: str) -> str:
    """A name for a token that brings none: of what is signed, for a signature can be spelled in several ways."""
    signed, _, _ = token.rpartition(".")
    return f"sha256:{hashlib.sha256(signed.encode()).hexdigest()}"


def _read_capabilities(claims: Mapping[str, Any]) -> frozenset[Capability]:
    """Those that a token names, without names of later versions: what is not known here is not granted here."""
    names = _read_names(claims, "capabilities")
    if names is None:
        return ALL
    return frozenset(_CAPABILITIES[name] for name in names if name in _CAPABILITIES)


def _read_names(claims: Mapping[str, Any], name: str) -> list[str] | None:
    values: list[Any] | None = claims.get(name)
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise AuthenticationError
    return values


def _read_generation(claims: Mapping[str, Any]) -> int:
    value = claims.get("gen", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise AuthenticationError
    return value


def _read(claims: Mapping[str, Any], name: str, kind: type, *, default: Any) -> Any:
    """A claim of one type.

    Raises:
        AuthenticationError: it has another. What a token says wrongly must not count as said not at all.
    """
    value = claims.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (isinstance(value, str) and not (len(value) <= 256 and value.isprintable())):
        raise AuthenticationError
    return value


def _check(text: str, form: re.Pattern[str], field: str) -> None:
    if not form.fullmatch(text):
        prefix = ids.ORGANIZATION if field == "org" else ids.APPLICATION
        raise InvalidError([Problem((field,), f"Give an id that begins with {prefix}_")])
