"""A captured HTTP request as text: `name: value` lines, an empty line, and the body's own bytes.

A request line in front, the `>` marks of verbose clients and either kind of line break are understood. The body is not
touched, but for one thing: where a Content-Length says that it ends before a last line break, an editor added that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hookline.errors import HooklineError

_LINE_BREAK = re.compile(rb"\r?\n")
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_MARK = re.compile(r"^[<>] ?")
_REQUEST_LINE = re.compile(r"^[A-Z]{3,10} \S+( HTTP/\d(\.\d)?)?$")

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class HeaderList:
    """Headers in order, repeated ones included, in the shape that verification reads."""

    pairs: Headers

    def items(self) -> Headers:
        return self.pairs


class MalformedCaptureError(HooklineError):
    """The text is not a captured request."""

    code = "capture"


def parse_capture(content: bytes) -> tuple[Headers, bytes]:
    """Headers and body.

    Raises:
        MalformedCaptureError: no header, or a line that is none.
    """
    content = content.lstrip(b"\r\n")
    end = _EMPTY_LINE.search(content)
    if end is None:
        raise MalformedCaptureError(
            "There is no empty line between headers and body. Paste the request as it came in, or give the headers "
            "with --header and the body as the file."
        )
    head, body = content[: end.start()], content[end.end() :]
    lines = [_MARK.sub("", line.decode("latin-1")) for line in _LINE_BREAK.split(head)]
    if lines and _REQUEST_LINE.fullmatch(lines[0].strip()):
        lines = lines[1:]
    headers = parse_header_lines(lines)
    return headers, _trim_to_length(headers, body)


def parse_header_lines(lines: Iterable[str]) -> Headers:
    """Headers from `name: value` lines.

    Raises:
        MalformedCaptureError: there is none, or a line has no colon.
    """
    headers: Headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or " " in name.strip():
            raise MalformedCaptureError(f"This is no header: {line[:60]!r}. Write each as 'Name: value'.")
        headers.append((name.strip(), value.strip()))
    if not headers:
        raise MalformedCaptureError("There are no headers. Paste the request as it came in, with its headers.")
    return headers


def _trim_to_length(headers: Headers, body: bytes) -> bytes:
    lengths = {value for name, value in headers if name.lower() == "content-length"}
    length = lengths.pop() if len(lengths) == 1 else ""
    if length.isascii() and length.isdigit() and body[int(length) :] in {b"\n", b"\r\n"}:
        return body[: int(length)]
    return body
