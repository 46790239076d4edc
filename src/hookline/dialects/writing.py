"""The pieces of a body: the payload's own bytes inside an envelope, JSON strings, RFC 3339 times, ids in other forms.

Envelopes are written around the payload, never by decoding it: what the sender signed off on (number spelling, key
order, duplicate keys) arrives untouched.
"""

from __future__ import annotations

import msgspec

from hookline.dialects.errors import DialectError
from hookline.dialects.headers import malformed_text
from hookline.model import Message
from hookline.model.ids import hex_of

_json_value = msgspec.json.Decoder(msgspec.Raw)


def read_payload(message: Message) -> bytes:
    """The payload as it came in.

    Raises:
        DialectError: `payload_expired`.
    """
    # Failure policy: closed. An empty body under a valid signature would say that this is what the event was.
    if message.payload_expired:
        raise DialectError(
            "The payload of this message was removed when its retention ended. Send the event again.",
            code="payload_expired",
        )
    return message.payload


def read_json_payload(message: Message) -> bytes:
    """The payload, one JSON value, fit to stand inside an envelope.

    Raises:
        DialectError: `payload_expired`; `payload_unsuitable` when it is not JSON.
    """
    payload = read_payload(message)
    try:
        _json_value.decode(payload)
        payload.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Failure policy: closed. What is not one JSON value could close the envelope and write its own members.
        raise unsuitable("is not a JSON value, and this dialect puts it inside a JSON envelope") from None
    return payload


def unsuitable(why: str) -> DialectError:
    return DialectError(
        f"The payload {why}. Send the event again with such a payload, or choose another dialect.",
        code="payload_unsuitable",
    )


def write_json_string(text: str) -> bytes:
    """The text as a JSON string, quotes included.

    Raises:
        DialectError: `malformed_event_type` for text with half a surrogate pair.
    """
    try:
        return msgspec.json.encode(text)
    except UnicodeEncodeError:
        raise malformed_text() from None


def read_id_hex(message: Message) -> str:
    """The 128 bits behind a message's id as 32 hex digits: the same for ever, and `msg_...` can be found from them.

    Raises:
        DialectError: `malformed_id`.
    """
    try:
        return hex_of(message.id)
    except ValueError:
        raise DialectError(
            "The message's id is not one of Hookline's. Create messages through its API.", code="malformed_id"
        ) from None


def write_uuid(id_hex: str) -> str:
    """The same in a UUID's form."""
    return f"{id_hex[:8]}-{id_hex[8:12]}-{id_hex[12:16]}-{id_hex[16:20]}-{id_hex[20:]}"
