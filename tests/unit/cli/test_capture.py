"""Captured requests as people paste them."""

from __future__ import annotations

import pytest

from hookline.cli.capture import MalformedCaptureError, parse_capture, parse_header_lines


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize("first", ["", "POST /hook HTTP/1.1", "POST /hook"])
@pytest.mark.parametrize("mark", ["", "> "])
def test_forms_of_the_head(line_break, first, mark):
    lines = [mark + line for line in [first, "Host: h", "webhook-id:msg_1 "] if line]
    head = line_break.join(lines)
    headers, body = parse_capture(f"{line_break}{head}{line_break}{line_break}{{}}\n\n{{}}".encode())
    assert headers == [("Host", "h"), ("webhook-id", "msg_1")]
    assert body == b"{}\n\n{}"


def test_the_body_is_not_touched():
    body = b'\xff\x00 {"a": 1}\r\n\r\n'
    assert parse_capture(b"a: b\n\n" + body)[1] == body


@pytest.mark.parametrize(
    ("length", "body", "expected"),
    [
        ("2", b"{}\n", b"{}"),
        ("2", b"{}\r\n", b"{}"),
        ("3", b"{}\n", b"{}\n"),
        ("2", b"{}\n\n", b"{}\n\n"),  # more than an editor adds: not ours to explain away
        ("1", b"{}\n", b"{}\n"),
        ("9", b"{}\n", b"{}\n"),
        ("two", b"{}\n", b"{}\n"),
        ("-1", b"{}\n", b"{}\n"),
    ],
)
def test_a_last_line_break_beyond_the_length_goes(length, body, expected):
    assert parse_capture(f"Content-Length: {length}\n\n".encode() + body)[1] == expected


def test_repeated_headers_are_kept():
    assert parse_header_lines(["A: 1", "a: 2"]) == [("A", "1"), ("a", "2")]


@pytest.mark.parametrize("text", [b"", b"\n\n\n", b"a: b", b"no colon\n\n{}", b": x\n\n{}", b"a b: c\n\n{}"])
def test_what_is_no_request(text):
    with pytest.raises(MalformedCaptureError):
        parse_capture(text)
