"""Headers, both ways: what may be sent, what customers may configure, and reading the head that came back.

Grammar: a name is an RFC 9110 token, a value is printable ASCII. That leaves no way to write a second header, a second
request, or something that an outbound proxy reads differently than we do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from hookline.egress.reasons import Reason
from hookline.errors import HooklineError

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}", re.ASCII)
MAX_CUSTOM_HEADERS: Final = 50
MAX_CUSTOM_VALUE_LENGTH: Final = 4096

# The client's own: a second copy would let two readers see two different requests.
_CLIENT_NAMES: Final = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection"),
        *("upgrade", "expect", "te", "trailer", "accept-encoding"),
    }
)
# Not for customers: they speak for the sender, name another client, or open cloud metadata services.
_RESERVED_NAMES: Final = _CLIENT_NAMES | {
    *("content-encoding", "forwarded", "via", "x-real-ip", "true-client-ip", "metadata-flavor", "metadata"),
    *("x-google-metadata-request", "x-metadata-token", "x-ms-version", "x-http-method-override", "x-http-method"),
}
_RESERVED_PREFIXES: Final = ("proxy-", "x-forwarded-", "webhook-", "svix-", "x-aws-ec2-metadata-", "sec-")


class HeaderRefused(HooklineError):  # noqa: N818
    """A header that must not be sent. `code` is always `invalid_header`."""

    code = Reason.INVALID_HEADER.value


class HeaderWriter:
    """Writes header fields as bytes and refuses what is not in the grammar. Remembers the names it has checked."""

    def __init__(self) -> None:
        self._known_names: set[str] = set()

    def write(self, headers: Sequence[tuple[str, str]]) -> bytes:
        """Write `name: value` lines, each with its line end.

        Raises:
            HeaderRefused: a name or value breaks the grammar, or the name is one that only the client may send.
        """
        known = self._known_names
        lines = []
        for name, value in headers:
            if name not in known:
                self._learn(name)
            lines.append(f"{name}: {value}")
        text = "\r\n".join(lines)
        # One look at everything: what is printable ASCII between the joints has no line end, NUL or tab of its own.
        if not text.isascii() or not text.replace("\r\n", "", len(lines) - 1).isprintable():
            raise HeaderRefused(_VALUE_SENTENCE)
        return b"%b\r\n" % text.encode("ascii") if lines else b""

    def _learn(self, name: str) -> None:
        if not _TOKEN.fullmatch(name) or name.lower() in _CLIENT_NAMES:
            raise HeaderRefused("A header name is not valid or is set by Hookline itself. Remove that header.")
        if len(self._known_names) >= 4096:
            self._known_names.clear()
        self._known_names.add(name)


_VALUE_SENTENCE: Final = (
    "Header values must be printable ASCII characters. Encode anything else, for example as base64."
)


def is_header_name(name: str) -> bool:
    """Whether a header can have this name at all."""
    return _TOKEN.fullmatch(name) is not None


def check_custom_headers(headers: Iterable[tuple[str, str]]) -> None:
    """Judge the headers that a customer wants on every delivery, when they are configured.

    Raises:
        HeaderRefused: grammar, a reserved or hop-by-hop name, a name twice, or too much of it all.
    """
    seen: set[str] = set()
    for name, value in headers:
        lowered = name.lower()
        if not _TOKEN.fullmatch(name):
            raise HeaderRefused("A header name may only have letters, digits and !#$%&'*+-.^_`|~. Correct it.")
        if lowered in _RESERVED_NAMES or lowered.startswith(_RESERVED_PREFIXES):
            raise HeaderRefused(f"The header {name} is reserved. Choose another name.")
        if lowered in seen:
            raise HeaderRefused(f"The header {name} is given twice. Keep one.")
        if not (value.isascii() and value.isprintable()):
            raise HeaderRefused(_VALUE_SENTENCE)
        if len(value) > MAX_CUSTOM_VALUE_LENGTH:
            raise HeaderRefused(f"The header {name} is longer than {MAX_CUSTOM_VALUE_LENGTH} characters. Shorten it.")
        seen.add(lowered)
    if len(seen) > MAX_CUSTOM_HEADERS:
        raise HeaderRefused(f"At most {MAX_CUSTOM_HEADERS} headers can be added. Remove some.")


def parse_head(head: bytes) -> dict[str, str]:
    """Read the fields of a head that the parser has accepted: lower-case names, repeated ones joined by `, `."""
    fields: dict[str, str] = {}
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            continue
        key, text = name.decode("latin-1").lower(), value.strip(b" \t").decode("latin-1")
        fields[key] = f"{fields[key]}, {text}" if key in fields else text
    return fields
