"""Public keys as JWK: the examples of the RFCs."""

from __future__ import annotations

import base64

from hookline.signatures import VerifyingKey, generate_ed25519, thumbprint, write_jwk

# RFC 8037, appendices A.1 to A.3.
SEED = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


def test_the_examples_of_rfc_8037() -> None:
    key = generate_ed25519(SEED).verifying_key
    assert thumbprint(key) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert write_jwk(key) == {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": X,
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "use": "sig",
        "alg": "EdDSA",
    }
    assert isinstance(key, VerifyingKey)
