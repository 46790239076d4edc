"""Headers: what every request carries, which of its own an endpoint may add, and text that is safe to write as a value.

Nothing that comes from outside (event type, an endpoint's own headers) can end a header line and begin another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from hookline import __version__
from hookline.dialects.errors import DialectError

Headers = tuple[tuple[str, str], ...]

USER_AGENT = f"Hookline/{__version__}"
JSON_CONTENT_TYPE = "application/json"

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch  # RFC 9110, section 5.6.2
_is_value = re.compile(r"[!-~]([ \t]*[!-~])*").fullmatch
# CloudEvents HTTP binding 1.0.2, section 3.1.3.2: printable ASCII but the space, the double quote and the percent sign.
_is_plain = re.compile(r"[!#$&-~]*").fullmatch
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')

# Written by a dialect or by the HTTP client. Refused in every dialect, so that a change of dialect never breaks an
# endpoint, and no header of a subscriber's own choice can pass for one that we vouch for.
_RESERVED_NAMES = frozenset({"host", "connection", "transfer-encoding", "user-agent", "x-webhook-event"}) | {
    "x-webhook-signature"
}
_RESERVED_PREFIXES = ("content-", "webhook-", "svix-", "ce-", "x-microsoftspeechservices-")


def build_static_headers(content_type: str, user_agent: str, own: Mapping[str, str]) -> Headers:
    """The headers that are the same on every request to an endpoint.

    Raises:
        DialectError: `invalid_header` for an endpoint's own header that cannot or must not be sent.
    """
    for name, value in own.items():
        check_own_header(name, value)
    return (("content-type", content_type), ("user-agent", user_agent), *own.items())


def encode_header_text(text: str) -> str:
    """Any text as a header value: percent-encoded as CloudEvents does it; ordinary names stay as they are.

    Raises:
        DialectError: `malformed_event_type` for text with half a surrogate pair.
    """
    if _is_plain(text):
        return text
    try:
        return quote(text, safe=_PLAIN)
    except UnicodeEncodeError:
        raise malformed_text() from None


def malformed_text() -> DialectError:
    return DialectError(
        "The event type is not valid Unicode text. Send the event again under a type that is.",
        code="malformed_event_type",
    )


def check_own_header(name: str, value: str, field: str = "") -> None:
    """Raises DialectError, `invalid_header`: this header cannot or must not be sent."""
    folded = name.lower()
    field = field or f"headers.{name}"
    if not _is_token(name) or (value and not _is_value(value)):
        raise DialectError(
            "A header is a name of letters, digits and hyphens, and a value of printable ASCII without blanks at its "
            "ends. Correct or remove it.",
            code="invalid_header",
            field=field,
        )
    if folded in _RESERVED_NAMES or folded.startswith(_RESERVED_PREFIXES):
        raise DialectError(
            f"The header {name} is written by Hookline itself. Choose another name.",
            code="invalid_header",
            field=field,
        )
