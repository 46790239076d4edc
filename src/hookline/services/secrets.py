"""Signing secrets of endpoints: made or read in the form that the endpoint's dialect signs with. Pure.

Dialects on Standard Webhooks signatures use `whsec_` (shared) or `whsk_` (Ed25519) keys. Azure Speech and plain HMAC
use the secret's own text, whatever it is.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from hookline.dialects import SecretForm
from hookline.errors import HooklineError
from hookline.model import EndpointSecret
from hookline.services.errors import LimitReachedError, invalid
from hookline.services.validation import is_text
from hookline.signatures import SigningKey, SymmetricKey, generate_symmetric, parse_key

RANDOM_BYTES: Final = 32
MAX_TEXT_LENGTH: Final = 512
MAX_OLD_SECRETS: Final = 10
DEFAULT_GRACE_S: Final = 86_400
LONGEST_GRACE_S: Final = 7 * 86_400


def generate_secret(form: SecretForm, random_bytes: bytes) -> str:
    """A new secret in the form that a dialect takes, from 32 random bytes."""
    if form is SecretForm.TEXT:
        return base64.urlsafe_b64encode(random_bytes).rstrip(b"=").decode("ascii")
    return generate_symmetric(random_bytes).to_text()


def read_secret(form: SecretForm, text: str, field: str = "secret") -> str:
    """A secret that somebody gives us, in the form in which it is kept. Bare base64 counts as `whsec_`.

    Raises:
        InvalidError: the dialect cannot sign with it. No part of it is repeated.
    """
    if form is SecretForm.TEXT:
        if not 1 <= len(text) <= MAX_TEXT_LENGTH or not is_text(text):
            raise invalid(field, f"Use 1 to {MAX_TEXT_LENGTH} characters.")
        return text
    text = text.strip()
    if not text.startswith(("whsec_", "whsk_", "whpk_")):
        text = f"whsec_{text}"
    problem = "This is the public half of a key, which cannot sign. Give the half that begins with whsk_."
    try:
        key = parse_key(text)
        if isinstance(key, SymmetricKey | SigningKey):
            return key.to_text()
    except HooklineError as error:
        problem = error.message
    # Raised outside of the handler: a chained exception could carry the secret into a log.
    raise invalid(field, problem)


def public_form(text: str) -> str:
    """What a receiver verifies with: the secret itself, or the public half of an Ed25519 key."""
    if text.startswith("whsk_"):
        key = parse_key(text)
        if isinstance(key, SigningKey):
            return key.verifying_key.to_text()
    return text


def rotate_secrets(
    secrets: Sequence[EndpointSecret], new_text: str, now_ms: int, grace_s: int
) -> tuple[EndpointSecret, ...]:
    """The new secret first, then those that still sign beside it for a while.

    Raises:
        InvalidError: the period of grace is out of range.
        LimitReachedError: too many old ones are still in use.
    """
    if not 0 <= grace_s <= LONGEST_GRACE_S:
        raise invalid("grace_period_seconds", f"Use 0 to {LONGEST_GRACE_S} seconds.", "range")
    ends_ms = now_ms + grace_s * 1000
    old = []
    for secret in secrets:
        expires_ms = ends_ms if secret.expires_at_ms is None else secret.expires_at_ms
        if expires_ms > now_ms:
            old.append(EndpointSecret(secret.key, secret.created_at_ms, expires_ms))
    if len(old) > MAX_OLD_SECRETS:
        raise LimitReachedError(
            f"{MAX_OLD_SECRETS} replaced secrets are still in their period of grace. Wait until one has expired."
        )
    return (EndpointSecret(new_text, now_ms), *old)
