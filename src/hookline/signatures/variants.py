"""The ways in which a body, a secret or a signature is commonly read other than meant, each with words for it.

Material for `diagnosis`, which tries them until one makes the signature match. A `Variant` without words is the
reading that is right.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from hookline.signatures.errors import SignatureError
from hookline.signatures.keys import SYMMETRIC_PREFIX, Key, SigningKey, SymmetricKey, VerifyingKey, parse_key

_DIGEST_BYTES = 32
_ED25519_BYTES = 64
_CANONICAL = "base64"
_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{43,}={0,2}")  # long enough for 32 bytes in base64, the shortest spelling
_MAX_HEADER_CHARS = 8192
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Variant:
    """One reading; `words` completes "the signature matches if ..."."""

    content: bytes
    words: str | None = None

    def __repr__(self) -> str:
        return f"Variant(***, {self.words!r})"


def list_body_variants(body: bytes) -> list[Variant]:
    """The body as it is, then as proxies, frameworks and editors change it. No two are equal."""
    return _distinct([Variant(body), *_list_edited(body), *_list_reserialised(body)])


def list_secret_variants(key: Key | str) -> list[Variant]:
    """A secret as this platform reads it, then as others do. Ed25519 keys have none."""
    if isinstance(key, SymmetricKey):
        key = key.to_text()
    if not isinstance(key, str):
        return []
    text = key.strip()
    bare = text.removeprefix(SYMMETRIC_PREFIX)
    variants = []
    with suppress(SignatureError):  # an unreadable key is a finding of its own; here it has no right reading
        parsed = parse_key(text)
        if not isinstance(parsed, SymmetricKey):
            return []
        variants.append(Variant(parsed.secret))
    variants += [
        *_list_decoded(bare),
        Variant(_encode(text), "the secret is used as its own text, prefix and all, instead of as base64"),
        Variant(_encode(bare), "the secret is used as its own text, without the prefix, instead of as base64"),
        Variant(_encode(key), "the white space around the secret is taken as part of it"),
    ]
    return _distinct(variants)


def read_public_key(key: Key | str) -> bytes | None:
    """The public bytes of an Ed25519 key, None for any other."""
    if isinstance(key, str):
        try:
            key = parse_key(key)
        except SignatureError:
            return None  # reported as a finding of its own
    if isinstance(key, SigningKey):
        key = key.verifying_key
    return key.public_key if isinstance(key, VerifyingKey) else None


def list_signature_variants(header: str) -> list[Variant]:
    """Every 32-byte digest and 64-byte signature in a header's value, however it is spelled."""
    variants = []
    for token in _TOKEN.finditer(header[:_MAX_HEADER_CHARS]):
        prefix = header[: token.start()].rpartition(" ")[2]
        for content, encoding in _read_digest(token.group()):
            if prefix in {"v1,", "v1a,"} and encoding == _CANONICAL:
                variants.append(Variant(content))
            else:
                spelling = f"with {prefix[-20:]!r} in front" if prefix else "bare"
                variants.append(Variant(content, f"it is accepted {spelling}, in {encoding}"))
    return _distinct(variants)


def _list_edited(body: bytes) -> Iterator[Variant]:
    yield Variant(body.removesuffix(b"\n").removesuffix(b"\r"), "the line break at the end of the body is removed")
    yield Variant(body.strip(), "the white space around the body is removed")
    yield Variant(body.removeprefix(_BYTE_ORDER_MARK), "the byte order mark at the start of the body is removed")
    yield Variant(body.replace(b"\r\n", b"\n"), "the body's CRLF line breaks are written as LF")
    yield Variant(body + b"\n", "a line break is added to the end of the body")
    yield Variant(body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), "the body's LF line breaks are written as CRLF")


def _list_reserialised(body: bytes) -> Iterator[Variant]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return  # not JSON, so nobody re-serialised it
    spellings: list[tuple[str, Callable[[], str]]] = [
        ("without blanks", lambda: json.dumps(value, separators=(",", ":"), ensure_ascii=False)),
        ("without blanks, non-ASCII escaped", lambda: json.dumps(value, separators=(",", ":"))),
        ("with blanks, as Python does", lambda: json.dumps(value)),
        ("with blanks, non-ASCII kept", lambda: json.dumps(value, ensure_ascii=False)),
        ("indented by two", lambda: json.dumps(value, indent=2, ensure_ascii=False)),
        ("with sorted keys", lambda: json.dumps(value, separators=(",", ":"), ensure_ascii=False, sort_keys=True)),
        ("with sorted keys and blanks", lambda: json.dumps(value, sort_keys=True)),
    ]
    for words, serialise in spellings:
        with suppress(ValueError, RecursionError):  # lone surrogates, for one, cannot be written: nobody sent that
            yield Variant(serialise().encode("utf-8"), f"the body is parsed and written again as JSON {words}")


def _list_decoded(bare: str) -> list[Variant]:
    """Base64 of any length and in either alphabet, as lenient readers take it; and hex."""
    ascii_text = _encode(bare)
    translated = ascii_text.translate(bytes.maketrans(b"-_", b"+/")) + b"=="
    variants = []
    with suppress(binascii.Error):
        decoded = base64.b64decode(translated)
        variants.append(Variant(decoded, "the secret is read leniently as base64, whatever its prefix and length"))
    with suppress(ValueError):
        variants.append(Variant(bytes.fromhex(bare), "the secret is read as hex instead of as base64"))
    return variants


def _read_digest(text: str) -> list[tuple[bytes, str]]:
    readings: list[tuple[bytes, str]] = []
    with suppress(ValueError):
        readings.append((bytes.fromhex(text), "hex"))
    with suppress(ValueError):
        readings.append((binascii.a2b_base64(text, strict_mode=True), _CANONICAL))
    with suppress(ValueError):
        readings.append((base64.urlsafe_b64decode(text + "=="), "unpadded or URL-safe base64"))
    return [reading for reading in readings if len(reading[0]) in {_DIGEST_BYTES, _ED25519_BYTES}]


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _distinct(variants: Iterable[Variant]) -> list[Variant]:
    first_by_content: dict[bytes, Variant] = {}
    for variant in variants:
        first_by_content.setdefault(variant.content, variant)
    return list(first_by_content.values())
