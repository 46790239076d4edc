"""Public keys as JSON Web Keys (RFC 7517, RFC 8037), for receivers that find keys that way."""

from __future__ import annotations

import base64
import hashlib
import json

from hookline.signatures.keys import VerifyingKey


def write_jwk(key: VerifyingKey) -> dict[str, str]:
    """The members of a key: `kty`, `crv` and `x` as RFC 8037 has them, and `kid`, `use`, `alg` beside."""
    return {**_required(key), "kid": thumbprint(key), "use": "sig", "alg": "EdDSA"}


def thumbprint(key: VerifyingKey) -> str:
    """The key's own name: RFC 7638, SHA-256. It says nothing about whose key it is."""
    canonical = json.dumps(_required(key), separators=(",", ":"), sort_keys=True).encode()
    return _encode(hashlib.sha256(canonical).digest())


def _required(key: VerifyingKey) -> dict[str, str]:
    return {"crv": "Ed25519", "kty": "OKP", "x": _encode(key.public_key)}


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
