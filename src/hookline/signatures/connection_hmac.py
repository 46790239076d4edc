"""`ce-signature` of Azure Web PubSub's CloudEvents extension: an HMAC of the connection id alone.

`sha256=<hex>,sha256=<hex>`: one HMAC-SHA256(UTF-8 of the access key, connection id) per access key in force, primary
first, so that either key may be rotated. It covers neither body nor time nor event id and gives no protection from
replays; it only says that the sender knows an access key.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from hookline.signatures.errors import SignatureError, SignatureErrorCode
from hookline.signatures.mac import KeyedHmac
from hookline.signatures.text_secrets import encode_secrets
from hookline.signatures.wire import read_signature_text

MAX_ENTRIES = 16
_PREFIX = "sha256="


class ConnectionSigner:
    """Signs connection ids with the access keys in force, primary first. Build it once per hub."""

    __slots__ = ("_digests",)

    def __init__(self, access_keys: str | Iterable[str]) -> None:
        self._digests = [KeyedHmac(key).digest for key in encode_secrets(access_keys)]

    def sign(self, connection_id: str) -> str:
        content = _encode_connection_id(connection_id)
        return ",".join([_PREFIX + digest(content).hex() for digest in self._digests])

    def __repr__(self) -> str:
        return f"ConnectionSigner(*** x {len(self._digests)})"


def verify_connection(signature: str | None, connection_id: str, access_keys: str | Iterable[str]) -> int:
    """Check a `ce-signature` value against the `ce-connectionId`. Returns the index of the first key that matched.

    Entries are compared without regard to case, each with each key, whatever the others gave.

    Raises:
        SignatureError: `missing_header`, `malformed_header`, `malformed_id`, `malformed_key`, `no_key`, `no_match`.
    """
    keys = encode_secrets(access_keys)
    content = _encode_connection_id(connection_id)
    offered = [entry.strip() for entry in read_signature_text(signature).lower().split(b",", MAX_ENTRIES)]
    if len(offered) > MAX_ENTRIES:
        raise SignatureError(
            f"The signature header holds more than {MAX_ENTRIES} entries.", code=SignatureErrorCode.MALFORMED_HEADER
        )
    matched: list[int] = []
    # Failure policy: closed. Only an equal, full-length entry under a non-empty key passes.
    for index, key in enumerate(keys):
        expected = (_PREFIX + hmac.digest(key, content, "sha256").hex()).encode("ascii")
        outcomes = [hmac.compare_digest(expected, entry) for entry in offered]
        if True in outcomes:
            matched.append(index)
    if not matched:
        raise SignatureError("The signature was not made from this connection id with any of the given access keys.")
    return matched[0]


def _encode_connection_id(connection_id: str) -> bytes:
    try:
        if isinstance(connection_id, str) and connection_id:
            return connection_id.encode("utf-8")
    except UnicodeEncodeError as error:
        raise _malformed_id() from error
    raise _malformed_id()


def _malformed_id() -> SignatureError:
    return SignatureError("A connection id is non-empty Unicode text.", code=SignatureErrorCode.MALFORMED_ID)
