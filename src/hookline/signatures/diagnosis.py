"""`explain`: why a request does not verify, in plain words, for the person who holds the secret.

It runs `verify` first and a request is valid only by that: a diagnosis never makes one so. Then it looks at headers,
time and keys one by one, and at last for a reading of the request under which the signature matches. Meant for a
command line or a log that only the operator reads, never for an answer to the sender.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from hookline.signatures.errors import SignatureError, SignatureErrorCode
from hookline.signatures.keys import Key, SymmetricKey, read_keys
from hookline.signatures.matching import Match, find_match
from hookline.signatures.standard import is_timestamp
from hookline.signatures.verification import (
    DEFAULT_TOLERANCE_S,
    HEADER_FAMILIES,
    HEADER_PARTS,
    Verified,
    verify,
)
from hookline.signatures.wire import HeaderItems, HeaderPairs, list_headers, read_body

_PLAUSIBLE_MILLISECONDS = range(10**11, 10**14)  # as seconds, this begins in the year 5138
_TIMESTAMP_NAMES = [f"{family}-timestamp" for family in HEADER_FAMILIES]


class FindingCode(StrEnum):
    """What a diagnosis finds beyond the codes of `SignatureErrorCode`."""

    VERIFIED = "verified"
    SIGNATURE_MATCHES = "signature_matches"
    """The signature is right; the request fails for another reason, named by another finding."""
    BODY_CHANGED = "body_changed"
    SECRET_READ_DIFFERENTLY = "secret_read_differently"  # noqa: S105 -- a code, not a secret
    OTHER_SCHEME = "other_scheme"
    OTHER_SPELLING = "other_spelling"
    WRONG_KIND_OF_KEY = "wrong_kind_of_key"
    TIMESTAMP_IN_MILLISECONDS = "timestamp_in_milliseconds"
    NO_EXPLANATION = "no_explanation"
    """There are signatures, and no common mistake makes one match."""
    OTHER_SIGNATURE_HEADER = "other_signature_header"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing. `code` is from `FindingCode` or `SignatureErrorCode`."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`verified` is what `verify` returned, None if it refused. The first finding is its verdict."""

    verified: Verified | None
    findings: tuple[Finding, ...]


def explain(
    headers: HeaderItems,
    body: bytes,
    keys: Key | str | Iterable[Key | str],
    *,
    now_s: float,
    tolerance_s: float = DEFAULT_TOLERANCE_S,
) -> Diagnosis:
    """Verify a request and, if it is refused, find out why. Takes what `verify` takes; raises nothing."""
    key_list: list[Key | str] = [keys] if isinstance(keys, Key | str) else []
    if not key_list and isinstance(keys, Iterable):
        key_list = list(keys)
    try:
        verified = verify(headers, body, key_list, now_s=now_s, tolerance_s=tolerance_s)
    except SignatureError as error:
        found = list(_examine(headers, body, key_list, now_s, tolerance_s))
        # The verdict comes first, in the words of the closer examination if that found the same.
        verdict = [finding for finding in found if finding.code == error.code]
        others = [finding for finding in found if finding.code != error.code]
        return Diagnosis(None, (*(verdict or [Finding(error.code, error.message)]), *others))
    message = (
        f"Signed with key {verified.key_index + 1} ({verified.version}), {now_s - verified.timestamp_s:.0f} s ago."
    )
    return Diagnosis(verified, (Finding(FindingCode.VERIFIED, message),))


def _examine(
    headers: HeaderItems, body: bytes, keys: list[Key | str], now_s: float, tolerance_s: float
) -> Iterator[Finding]:
    try:
        pairs, raw_body = list_headers(headers), read_body(body)
    except SignatureError as error:
        yield Finding(error.code, error.message)
        return
    yield from _check_headers(pairs)
    yield from _check_timestamp(pairs, now_s, tolerance_s)
    yield from _check_keys(keys, pairs)
    if keys and any("signature" in name and value for name, value in pairs):
        yield from _describe_match(find_match(pairs, raw_body, keys))


def _check_headers(pairs: HeaderPairs) -> Iterator[Finding]:
    present = {name for name, value in pairs if value}
    missing_by_family = {
        family: [f"{family}-{part}" for part in HEADER_PARTS if f"{family}-{part}" not in present]
        for family in HEADER_FAMILIES
    }
    if all(missing_by_family.values()):
        missing = " or ".join(", ".join(names) for names in missing_by_family.values())
        yield Finding(
            SignatureErrorCode.MISSING_HEADER,
            f"Missing or empty: {missing}. A proxy may drop headers it does not know.",
        )
    standard_names = {f"{family}-signature" for family in HEADER_FAMILIES}
    others = sorted(name for name in present - standard_names if "signature" in name)
    if others:
        yield Finding(
            FindingCode.OTHER_SIGNATURE_HEADER,
            f"There are signatures of another scheme in: {', '.join(others)}. verify() does not look at them.",
        )


def _check_timestamp(pairs: HeaderPairs, now_s: float, tolerance_s: float) -> Iterator[Finding]:
    timestamps = [(name, value) for name, value in pairs if name in _TIMESTAMP_NAMES and isinstance(value, str)]
    if not timestamps:
        return
    name, value = min(timestamps, key=lambda header: _TIMESTAMP_NAMES.index(header[0]))
    if not is_timestamp(value):
        yield Finding(
            SignatureErrorCode.MALFORMED_TIMESTAMP,
            f"Header {name} is not a whole number of seconds since 1970, digits only: {value[:40]!r}.",
        )
        return
    age_s = now_s - int(value)
    if int(value) in _PLAUSIBLE_MILLISECONDS:
        yield Finding(
            FindingCode.TIMESTAMP_IN_MILLISECONDS,
            f"Header {name} is in milliseconds. The sender must divide it by 1000 before it signs and sends it.",
        )
    elif abs(age_s) > tolerance_s:
        code = SignatureErrorCode.TIMESTAMP_TOO_OLD if age_s > 0 else SignatureErrorCode.TIMESTAMP_TOO_NEW
        yield Finding(
            code,
            f"Header {name} is {abs(age_s):.0f} s in the {'past' if age_s > 0 else 'future'}, {tolerance_s:g} s are "
            "allowed. Compare the clocks; a queue before the verification, or a replay, makes a request old, too.",
        )


def _check_keys(keys: list[Key | str], pairs: HeaderPairs) -> Iterator[Finding]:
    kinds = set()
    for number, key in enumerate(keys, start=1):
        try:
            [parsed] = read_keys([key])
        except SignatureError as error:
            yield Finding(error.code, f"Key {number}: {error.message}")
        else:
            kinds.add("v1" if isinstance(parsed, SymmetricKey) else "v1a")
    names = {f"{family}-signature" for family in HEADER_FAMILIES}
    entries = [entry for name, value in pairs if name in names and isinstance(value, str) for entry in value.split()]
    versions = {entry.partition(",")[0] for entry in entries} & {"v1", "v1a"}
    if kinds and versions and not kinds & versions:
        yield Finding(
            FindingCode.WRONG_KIND_OF_KEY,
            f"The request is signed as {', '.join(versions)}, the keys are for {', '.join(kinds)}: v1 needs the "
            "endpoint's whsec_ secret, v1a the sender's whpk_ key.",
        )


def _describe_match(match: Match | None) -> Iterator[Finding]:
    if match is None:
        yield Finding(
            FindingCode.NO_EXPLANATION,
            "No common mistake explains the signature: the key is another endpoint's, or id, timestamp or body were "
            "changed after signing.",
        )
        return
    count = len(match.differences)
    if not count:
        yield Finding(
            FindingCode.SIGNATURE_MATCHES,
            f"The signature in {match.header} was made with key {match.key_index + 1} from this very request.",
        )
    together = f" (one of {count} differences, needed together)" if count > 1 else ""
    for code, words, advice in (
        (FindingCode.BODY_CHANGED, match.body_words, "Verify the raw body; find what changed it on its way."),
        (FindingCode.SECRET_READ_DIFFERENTLY, match.secret_words, "Make sender and receiver read the secret alike."),
        (FindingCode.OTHER_SCHEME, match.scheme_words, "The sender signs by another scheme: verify by that one."),
        (FindingCode.OTHER_SPELLING, match.spelling_words, "Standard Webhooks writes v1, and then base64."),
    ):
        if words is not None:
            yield Finding(code, f"The signature in {match.header} matches if {words}{together}. {advice}")
