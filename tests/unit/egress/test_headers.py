"""Header grammar, reserved names, and reading a head."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.egress import HeaderRefused, check_custom_headers
from hookline.egress.headers import HeaderWriter, parse_head

BAD_VALUES = [
    "a\r\nX: y",
    "a\nX: y",
    "a\rX: y",
    "\r\n",
    "a\r\n",
    "\r\na",
    "a\x00b",
    "a\tb",
    "a\x7fb",
    "a\x0bb",
    "caf\u00e9",
    "\u2028",
    "a\u560a\u560dX: y",
    "a\r\n\r\nGET / HTTP/1.1",
    "\x1b[2J",
    "a\x85b",
    "\ud83d",
    "\uff1a",
]
BAD_NAMES = [
    "",
    " ",
    "a b",
    "a:",
    ":a",
    "a\r\nb",
    "a\x00",
    "\u00e4",
    "a(b",
    "a/b",
    "a@b",
    'a"b',
    "a{b",
    " a",
    "a ",
    "a\t",
    "x" * 257,
]
RESERVED = [
    "Host",
    "content-length",
    "Transfer-Encoding",
    "Connection",
    "Keep-Alive",
    "Upgrade",
    "Expect",
    "TE",
    "Trailer",
    "Via",
    "Proxy-Authorization",
    "Proxy-Connection",
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "webhook-id",
    "Webhook-Signature",
    "svix-id",
    "Metadata-Flavor",
    "X-aws-ec2-metadata-token",
    "X-aws-ec2-metadata-token-ttl-seconds",
    "Metadata",
    "Accept-Encoding",
]


@pytest.mark.parametrize("value", BAD_VALUES)
def test_bad_values_are_refused(value: str) -> None:
    for headers in (
        [("a", value)],
        [("a", value), ("b", "c")],
        [("b", "c"), ("a", value)],
        [("a", value), ("b", value)],
    ):
        with pytest.raises(HeaderRefused):
            HeaderWriter().write(headers)
    with pytest.raises(HeaderRefused):
        check_custom_headers([("x-a", value)])


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(HeaderRefused):
        HeaderWriter().write([(name, "v")])
    with pytest.raises(HeaderRefused):
        check_custom_headers([(name, "v")])


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names_are_refused(name: str) -> None:
    with pytest.raises(HeaderRefused):
        check_custom_headers([(name, "v")])


@pytest.mark.parametrize("name", ["Host", "CONTENT-LENGTH", "transfer-encoding", "Connection", "accept-encoding", "TE"])
def test_framing_is_the_clients_alone(name: str) -> None:
    with pytest.raises(HeaderRefused):
        HeaderWriter().write([("webhook-id", "a"), (name, "v")])


def test_writes_what_is_allowed() -> None:
    writer = HeaderWriter()
    assert writer.write([]) == b""
    assert writer.write([("webhook-id", "msg_1"), ("X-Empty", "")]) == b"webhook-id: msg_1\r\nX-Empty: \r\n"
    check_custom_headers([("Authorization", "Bearer x"), ("X-Tenant", "a b")])


def test_custom_headers_have_limits() -> None:
    for headers in ([("a", "1"), ("A", "2")], [("a", "x" * 4097)], [(f"x-{n}", "") for n in range(51)]):
        with pytest.raises(HeaderRefused):
            check_custom_headers(headers)


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=12)), max_size=5))
def test_whatever_is_written_reads_back_as_the_same_fields(headers: list[tuple[str, str]]) -> None:
    try:
        written = HeaderWriter().write(headers)
    except HeaderRefused:
        return
    lines = written.decode("ascii").split("\r\n")
    assert [tuple(line.split(": ", 1)) for line in lines[:-1]] == headers
    assert lines[-1] == ""


def test_reads_a_head() -> None:
    head = b"HTTP/1.1 200 OK\r\nA: 1\r\nB:2 \r\na:\t3\r\nEmpty:\r\nLatin: \xe9\r\n\r\n"
    assert parse_head(head) == {"a": "1, 3", "b": "2", "empty": "", "latin": "\xe9"}
