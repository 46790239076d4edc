"""Which secrets sign at which moment, and the signers for them, built once per endpoint version.

A rotation leaves the replaced secret in force until its `expires_at_ms`. The moments at which one expires cut time
into spans; each span has its signer, made in advance. Looking one up changes nothing, so a prepared endpoint can be
shared, and a clock that steps back gets the right answer, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Generic, TypeVar

from hookline.dialects.errors import DialectError
from hookline.model import Endpoint, EndpointSecret
from hookline.signatures import (
    BodySigner,
    Encoding,
    SignatureError,
    SigningKey,
    StandardSigner,
    SymmetricKey,
    VerifyingKey,
    parse_key,
)

KeyT = TypeVar("KeyT")
SignerT = TypeVar("SignerT")


class LiveSigner(Generic[KeyT, SignerT]):
    """The signer for a moment, from the keys in force then.

    Args:
        keys: Each with the moment (Unix milliseconds) from which it no longer signs, or None; the current one first.
        build: Makes a signer from the keys in force, in their order.
    """

    __slots__ = ("_spans",)

    def __init__(self, keys: Sequence[tuple[KeyT, int | None]], build: Callable[[list[KeyT]], SignerT]) -> None:
        self._spans: list[tuple[float, SignerT]] = []
        for until_ms in [*sorted({expiry for _, expiry in keys if expiry is not None}), inf]:
            live = [key for key, expiry in keys if expiry is None or expiry >= until_ms]
            if live:
                self._spans.append((until_ms, build(live)))

    def at(self, now_ms: int) -> SignerT:
        """The signer for this moment.

        Raises:
            DialectError: `no_live_secret`.
        """
        for until_ms, signer in self._spans:
            if now_ms < until_ms:
                return signer
        # Failure policy: closed. Sending it unsigned would teach receivers to take unsigned requests.
        raise DialectError(
            "Every secret of this endpoint has expired. Rotate its secret to give it a new one.",
            code="no_live_secret",
            field="secrets",
        )

    def __repr__(self) -> str:
        return f"LiveSigner({len(self._spans)} spans)"


StandardSigning = LiveSigner[SymmetricKey | SigningKey, StandardSigner]
BodySigning = LiveSigner[str, BodySigner]


def prepare_standard(endpoint: Endpoint, *, symmetric_only: bool = False) -> StandardSigning:
    """Standard Webhooks signing with every secret in force.

    Raises:
        DialectError: `secret_required`, `invalid_secret`.
    """
    if not endpoint.secrets:
        raise DialectError(
            f"The {endpoint.dialect} dialect signs every request. Give the endpoint a whsec_ secret.",
            code="secret_required",
            field="secrets",
        )
    try:
        keys = [(_read_key(secret, symmetric_only), secret.expires_at_ms) for secret in endpoint.secrets]
        return StandardSigning(keys, StandardSigner)
    except SignatureError as error:
        raise _invalid_secret(error) from error


def prepare_body(endpoint: Endpoint, encoding: Encoding) -> BodySigning | None:
    """A HMAC of the body. There is room for one signature only, so the current secret makes it; None without secrets.

    Raises:
        DialectError: `invalid_secret`.
    """
    if not endpoint.secrets:
        return None
    try:
        return BodySigning(
            [(secret.key, secret.expires_at_ms) for secret in endpoint.secrets],
            lambda live: BodySigner(live[0], encoding),
        )
    except SignatureError as error:
        raise _invalid_secret(error) from error


def _read_key(secret: EndpointSecret, symmetric_only: bool) -> SymmetricKey | SigningKey:
    key = parse_key(secret.key)
    if isinstance(key, VerifyingKey) or (symmetric_only and not isinstance(key, SymmetricKey)):
        raise DialectError(
            "A secret of this kind cannot sign for this dialect. Use one that begins with whsec_.",
            code="invalid_secret",
            field="secrets",
        )
    return key


def _invalid_secret(error: SignatureError) -> DialectError:
    return DialectError(f"A secret of this endpoint cannot be used. {error}", code="invalid_secret", field="secrets")
