"""Signing and verifying webhooks, and the keys for it. Pure: no I/O, and time and randomness are arguments.

* Standard Webhooks (`v1`, `v1a`): `StandardSigner`, `verify`, `explain`; keys: `parse_key` and its three classes.
* A HMAC of the body (Azure Speech, plain): `BodySigner`, `verify_body`.
* A HMAC of the connection id (Azure Web PubSub): `ConnectionSigner`, `verify_connection`.

Signers are built once per endpoint and then used for every delivery. All failures are `SignatureError`.
"""

from __future__ import annotations

from hookline.signatures.body_hmac import BodySigner, Encoding, verify_body
from hookline.signatures.connection_hmac import ConnectionSigner, verify_connection
from hookline.signatures.diagnosis import Diagnosis, Finding, FindingCode, explain
from hookline.signatures.errors import SignatureError, SignatureErrorCode
from hookline.signatures.jwk import thumbprint, write_jwk
from hookline.signatures.keys import (
    Key,
    SigningKey,
    SymmetricKey,
    VerifyingKey,
    generate_ed25519,
    generate_symmetric,
    parse_key,
)
from hookline.signatures.mac import KeyedHmac
from hookline.signatures.standard import StandardSigner
from hookline.signatures.verification import DEFAULT_TOLERANCE_S, Verified, verify
from hookline.signatures.wire import HeaderItems

__all__ = [
    "DEFAULT_TOLERANCE_S",
    "BodySigner",
    "ConnectionSigner",
    "Diagnosis",
    "Encoding",
    "Finding",
    "FindingCode",
    "HeaderItems",
    "Key",
    "KeyedHmac",
    "SignatureError",
    "SignatureErrorCode",
    "SigningKey",
    "StandardSigner",
    "SymmetricKey",
    "Verified",
    "VerifyingKey",
    "explain",
    "generate_ed25519",
    "generate_symmetric",
    "parse_key",
    "thumbprint",
    "verify",
    "verify_body",
    "verify_connection",
    "write_jwk",
]
