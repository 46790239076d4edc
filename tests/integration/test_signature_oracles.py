"""The official packages of three vendors judge our signatures, and we judge theirs."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import openai
import pytest
import standardwebhooks
import svix.webhooks

from hookline.signatures import (
    Key,
    SignatureError,
    SigningKey,
    StandardSigner,
    SymmetricKey,
    generate_ed25519,
    generate_symmetric,
    verify,
)

MESSAGES = 1_000
ALPHABET = 'abc {}[]":,.0123\n\t\\äßéłя中文字🦉\u200b\u0000'

Oracle = Callable[[str, dict[str, str], bytes], object]


@dataclass(frozen=True)
class Sample:
    message_id: str
    timestamp_s: int
    body: bytes
    keys: list[SymmetricKey | SigningKey]

    @property
    def secrets(self) -> list[str]:
        return [key.to_text() for key in self.keys if isinstance(key, SymmetricKey)]

    def build_headers(self, signature: str, family: str = "webhook") -> dict[str, str]:
        return {
            f"{family}-id": self.message_id,
            f"{family}-timestamp": str(self.timestamp_s),
            f"{family}-signature": signature,
        }


def generate_samples(seed: int) -> Iterator[Sample]:
    """Unicode bodies, times across the tolerance, rotation lists with Ed25519 keys among the secrets."""
    rng = random.Random(seed)
    pair = generate_ed25519(rng.randbytes(32))
    for number in range(MESSAGES):
        # Well inside the tolerance: the packages read the clock themselves, and a slow run must not tip a sample over.
        timestamp_s = int(time.time()) + rng.randint(-200, 200)
        body = "".join(rng.choices(ALPHABET, k=rng.choice([0, 1, 20, 300]))).encode()
        keys: list[SymmetricKey | SigningKey] = [
            generate_symmetric(rng.randbytes(rng.randint(24, 64))) for _ in range(rng.randint(1, 3))
        ]
        if number % 10 == 0:
            keys.insert(rng.randint(0, len(keys)), pair)
        yield Sample(f"msg_{rng.getrandbits(128):032x}", timestamp_s, body, keys)


def build_openai_oracle() -> Oracle:
    client = openai.OpenAI(api_key="not used")

    def check(secret: str, headers: dict[str, str], body: bytes) -> object:
        return client.webhooks.verify_signature(body, headers, secret=secret)

    return check


def check_with_standardwebhooks(secret: str, headers: dict[str, str], body: bytes) -> object:
    return standardwebhooks.Webhook(secret).verify(body, headers, json_parse=False)


def check_with_svix(secret: str, headers: dict[str, str], body: bytes) -> object:
    return svix.webhooks.Webhook(secret).verify(body, headers)


ORACLES: dict[str, tuple[Callable[[], Oracle], tuple[type[Exception], ...]]] = {
    "standardwebhooks": (lambda: check_with_standardwebhooks, (standardwebhooks.WebhookVerificationError,)),
    "svix": (lambda: check_with_svix, (svix.webhooks.WebhookVerificationError,)),
    "openai": (build_openai_oracle, (openai.InvalidWebhookSignatureError,)),
}


@pytest.mark.parametrize("name", ORACLES)
def test_they_accept_what_we_sign(name: str) -> None:
    build_oracle, refusals = ORACLES[name]
    oracle = build_oracle()
    for seed, sample in enumerate(generate_samples(1)):
        family = "svix" if name == "svix" and seed % 2 else "webhook"
        headers = sample.build_headers(
            StandardSigner(sample.keys).sign(sample.message_id, sample.timestamp_s, sample.body), family
        )
        for secret in sample.secrets:
            oracle(secret, headers, sample.body)
        # The oracle is able to say no.
        with pytest.raises(refusals):
            oracle(sample.secrets[0], headers, sample.body + b"x")


@pytest.mark.parametrize("package", [standardwebhooks.Webhook, svix.webhooks.Webhook])
def test_we_accept_what_they_sign(package: type[standardwebhooks.Webhook]) -> None:
    for sample in generate_samples(2):
        # Their sign() takes the wall clock of the datetime as UTC.
        sent_at = datetime.fromtimestamp(sample.timestamp_s, tz=UTC)
        signatures = [
            package(secret).sign(sample.message_id, sent_at, sample.body.decode()) for secret in sample.secrets
        ]
        headers = sample.build_headers(" ".join(signatures))
        for index, secret in enumerate(sample.secrets):
            others: list[Key | str] = [SymmetricKey(b"o" * 32)] * index
            assert verify(headers, sample.body, [*others, secret], now_s=time.time()).key_index == index
        with pytest.raises(SignatureError):
            verify(headers, sample.body + b"x", sample.secrets, now_s=time.time())


def test_our_ed25519_signatures_verify_with_cryptography_alone() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    for sample in generate_samples(3):
        for key in sample.keys:
            if isinstance(key, SigningKey):
                signature = StandardSigner(key).sign(sample.message_id, sample.timestamp_s, sample.body)
                public = Ed25519PublicKey.from_public_bytes(
                    base64.b64decode(key.verifying_key.to_text().removeprefix("whpk_"))
                )
                content = f"{sample.message_id}.{sample.timestamp_s}.".encode() + sample.body
                public.verify(base64.b64decode(signature.removeprefix("v1a,")), content)
