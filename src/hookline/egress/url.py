"""The URL gate: the one place where a customer's URL is read. Used when an endpoint is saved and at every attempt.

A strict parser of our own for the part of RFC 3986 that a webhook needs. Parsers that repair what they read disagree
with each other, and each disagreement is a way around a filter; so nothing is repaired here. What passes is rebuilt
from its parts, and only the rebuilt form is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import idna

from hookline.egress.addresses import pack, unpack
from hookline.egress.guard import guard_for
from hookline.egress.policy import EgressPolicy
from hookline.egress.reasons import SENTENCES, Reason
from hookline.errors import HooklineError

MAX_URL_LENGTH: Final = 2048
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_BEGINNING: Final = re.compile(r"(https?)://([^/?#]*)", re.IGNORECASE | re.ASCII)
_PATH_AND_QUERY: Final = re.compile(r"(?:/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*)?"
                                    r"(?:\?(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]]|%[0-9A-Fa-f]{2})*)?")  # fmt: skip
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER_LIKE: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


class UrlRefused(HooklineError):  # noqa: N818
    """An URL that deliveries may not be sent to. `code` is a `Reason`; `rule` says which rule of the gate refused."""

    def __init__(self, reason: Reason, rule: str, message: str) -> None:
        super().__init__(message, code=reason.value)
        self.reason = reason
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed the gate, in the only form that is used from here on."""

    scheme: str
    host: str
    """Lower-case A-label form, or the canonical text of an IP literal without brackets."""
    port: int
    authority: str
    """The Host header: port only where it is not the scheme's own."""
    path_and_query: str
    is_ip_literal: bool

    @property
    def canonical(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path_and_query}"


def parse_url(text: str, policy: EgressPolicy) -> Target:
    """Read and judge a URL. Names are judged again by their addresses at every connection.

    Raises:
        UrlRefused: with a sentence for the customer.
    """
    if not text or len(text) > MAX_URL_LENGTH:
        raise _invalid("length", f"The URL must have between 1 and {MAX_URL_LENGTH} characters.")
    if any(character <= " " or character in "\x7f\\" for character in text):
        raise _invalid("characters", "The URL must not contain spaces, control characters or backslashes.")
    beginning = _BEGINNING.match(text)
    if beginning is None:
        raise _invalid("scheme", "The URL must begin with https:// followed by a host name.")
    scheme, authority = beginning[1].lower(), beginning[2]
    host, port, is_ip_literal = _read_authority(authority, _DEFAULT_PORTS[scheme])
    path_and_query = _read_path_and_query(text[beginning.end() :])
    _judge(scheme, host, port, is_ip_literal, policy)
    written_host = f"[{host}]" if ":" in host else host
    return Target(
        scheme=scheme,
        host=host,
        port=port,
        authority=written_host if port == _DEFAULT_PORTS[scheme] else f"{written_host}:{port}",
        path_and_query=path_and_query,
        is_ip_literal=is_ip_literal,
    )


def _invalid(rule: str, message: str) -> UrlRefused:
    return UrlRefused(Reason.INVALID_URL, rule, message)


def _read_authority(authority: str, default_port: int) -> tuple[str, int, bool]:
    if "@" in authority:
        raise _invalid(
            "userinfo", "The URL must not contain a user name or password. Give them as the endpoint's auth."
        )
    if authority.startswith("["):
        literal, bracket, rest = authority[1:].partition("]")
        packed = pack(literal) if bracket and ":" in literal else None
        if packed is None or (rest and not rest.startswith(":")):
            raise _invalid(
                "ipv6", "The IPv6 address in the URL is not valid. Write it as [2001:db8::1], without a zone."
            )
        return unpack(packed), _read_port(rest, default_port), True
    name, colon, port = authority.partition(":")
    host, is_ip_literal = _read_host(name)
    return host, _read_port(colon + port, default_port), is_ip_literal


def _read_port(text: str, default_port: int) -> int:
    """Read `:port`, or nothing."""
    if not text:
        return default_port
    digits = text[1:]
    if not re.fullmatch(r"[1-9][0-9]{0,4}", digits, re.ASCII) or int(digits) > 65535:
        raise _invalid("port", "The port in the URL must be a number from 1 to 65535, without leading zeros.")
    return int(digits)


def _read_host(name: str) -> tuple[str, bool]:
    name = name.removesuffix(".")
    if not name:
        raise _invalid("host", "The URL has no host name.")
    host = name.lower() if name.isascii() else _to_a_labels(name)
    labels = host.split(".")
    if _NUMBER_LIKE.fullmatch(labels[-1]):
        # A name cannot end in a number, so this is an address: `127.1`, `0x7f000001`, `0177.0.0.1` and `2130706433`
        # are all 127.0.0.1 to somebody. Only the plain form has one meaning.
        if pack(host) is None:
            raise _invalid("ipv4", "Write the IPv4 address in the URL as four decimal numbers without leading zeros.")
        return host, True
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _invalid("host", "The host name in the URL is not valid.")
    for label in labels:
        if label.startswith("xn--"):
            _check_a_label(label)
    return host, False


def _to_a_labels(name: str) -> str:
    """Encode an internationalised name by IDNA 2008, without any mapping but lower case: look-alikes are refused."""
    try:
        return idna.encode(name.lower(), strict=True, uts46=False, std3_rules=True).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise _invalid("idna", "The host name in the URL is not a valid internationalised name.") from error


def _check_a_label(label: str) -> None:
    try:
        idna.ulabel(label)
    except (idna.IDNAError, UnicodeError) as error:
        raise _invalid("idna", "A part of the host name beginning with xn-- is not valid.") from error


def _read_path_and_query(text: str) -> str:
    if "#" in text:
        raise _invalid("fragment", "The URL must not contain #; what follows it is never sent.")
    if not _PATH_AND_QUERY.fullmatch(text):
        raise _invalid("path", "The path or query of the URL contains characters that must be percent-encoded.")
    return text if text.startswith("/") else f"/{text}"


def _judge(scheme: str, host: str, port: int, is_ip_literal: bool, policy: EgressPolicy) -> None:
    guard = guard_for(policy)
    if port in policy.denied_ports:
        raise UrlRefused(Reason.BLOCKED_PORT, "port", SENTENCES[Reason.BLOCKED_PORT])
    listed = bool(policy.allow)
    if is_ip_literal:
        verdict = guard.judge(host)
        if not verdict.allowed:
            raise UrlRefused(Reason.BLOCKED_ADDRESS, verdict.rule, SENTENCES[Reason.BLOCKED_ADDRESS])
        listed = verdict.listed
    elif guard.refuses_host(host):
        raise UrlRefused(Reason.BLOCKED_ADDRESS, "host", SENTENCES[Reason.BLOCKED_ADDRESS])
    # A name over plain HTTP passes here if any network is listed: whether it leads into one is known at connect time.
    if scheme == "http" and not (policy.allow_http or listed):
        raise _invalid(
            "cleartext", "The URL must begin with https://. Plain http is only for networks the operator allows."
        )
