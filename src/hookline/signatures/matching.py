"""Searching for the reading of a request under which one of its signatures matches: the last step of a diagnosis."""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hookline.signatures import ed25519
from hookline.signatures.keys import Key
from hookline.signatures.variants import (
    Variant,
    list_body_variants,
    list_secret_variants,
    list_signature_variants,
    read_public_key,
)
from hookline.signatures.verification import HEADER_FAMILIES
from hookline.signatures.wire import HeaderPairs

MAX_VARIED_BODY_BYTES = 1_048_576  # larger bodies are tried as they are: each variation is hashed for each secret
MAX_KEYS = 16
MAX_OFFERS = 32


@dataclass(frozen=True, slots=True)
class Match:
    """A reading that matches. Each `..._words` is None where the request was read as it should be."""

    header: str
    key_index: int
    body_words: str | None
    secret_words: str | None
    scheme_words: str | None
    spelling_words: str | None

    @property
    def differences(self) -> list[str]:
        words = (self.body_words, self.secret_words, self.scheme_words, self.spelling_words)
        return [word for word in words if word is not None]


def find_match(pairs: HeaderPairs, body: bytes, keys: list[Key | str]) -> Match | None:
    """The matching reading with the fewest differences, None if there is none."""
    offers = list(itertools.islice(_list_offers(pairs), MAX_OFFERS))
    bodies = list_body_variants(body) if len(body) <= MAX_VARIED_BODY_BYTES else [Variant(body)]
    schemes = _list_schemes(dict(reversed(pairs)))  # of repeated headers, the first counts
    matches = [
        match
        for index, key in enumerate(keys[:MAX_KEYS])
        for match in (
            *_match_hmac(index, list_secret_variants(key), schemes, bodies, offers),
            *_match_ed25519(index, read_public_key(key), schemes, bodies, offers),
        )
    ]
    return min(matches, key=lambda match: len(match.differences), default=None)


def _list_offers(pairs: HeaderPairs) -> Iterator[tuple[str, Variant]]:
    """Every signature in every header that seems to hold one, by the header's name."""
    for name, value in pairs:
        if "signature" in name and isinstance(value, str):
            for variant in list_signature_variants(value):
                yield name, variant


def _list_schemes(values: dict[str, str]) -> list[Variant]:
    """What may be signed in front of the body."""
    schemes: list[Variant] = []
    for family in HEADER_FAMILIES:
        message_id, timestamp = values.get(f"{family}-id"), values.get(f"{family}-timestamp")
        if isinstance(message_id, str) and isinstance(timestamp, str):
            words = f"id and timestamp are taken from the {family}-* headers" if schemes else None
            schemes.append(Variant(_encode(f"{message_id}.{timestamp}."), words))
            schemes.append(Variant(_encode(f"{timestamp}."), "the id is left out of what is signed"))
            schemes.append(Variant(_encode(f"{message_id}."), "the timestamp is left out of what is signed"))
    schemes.append(Variant(b"", "only the body is signed, without id and timestamp"))
    return schemes


def _match_hmac(
    key_index: int,
    secrets: list[Variant],
    schemes: list[Variant],
    bodies: list[Variant],
    offers: list[tuple[str, Variant]],
) -> Iterator[Match]:
    for secret, scheme, body in itertools.product(secrets, schemes, bodies):
        digest = hmac.digest(secret.content, scheme.content + body.content, "sha256")
        for header, offer in offers:
            if hmac.compare_digest(digest, offer.content):
                yield Match(header, key_index, body.words, secret.words, scheme.words, offer.words)


def _match_ed25519(
    key_index: int,
    public_key: bytes | None,
    schemes: list[Variant],
    bodies: list[Variant],
    offers: list[tuple[str, Variant]],
) -> Iterator[Match]:
    if public_key is None:
        return
    signatures = [(header, offer) for header, offer in offers if len(offer.content) == ed25519.SIGNATURE_BYTES]
    for scheme, body, (header, offer) in itertools.product(schemes, bodies, signatures):
        if ed25519.is_signature_valid(public_key, offer.content, scheme.content + body.content):
            yield Match(header, key_index, body.words, None, scheme.words, offer.words)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
