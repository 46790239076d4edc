"""Calls of a server's API, with the standard library alone: no redirects, no proxies, one time limit."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlsplit

from hookline import __version__
from hookline.errors import HooklineError

TIMEOUT_S: Final = 30.0
MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024

_ADVICE: Final = {
    401: "Set HOOKLINE_TOKEN to a token of this server: `hookline token` makes one.",
    403: "The token is for one application only; use one of the organization.",
    404: "Check the application's id or uid, and that the token is of its organization.",
    429: "Send again later.",
    503: "The server cannot accept now; send again later.",
}


class ClientError(HooklineError):
    """The server could not be reached, or refused."""

    code = "client"


class UnreachableError(ClientError):
    """No answer came."""


def quote_segment(text: str) -> str:
    """One segment of a path, whatever the text holds."""
    return quote(text, safe="")


def call_api(url: str, token: str, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
    """The JSON object that the server answers with.

    Raises:
        ClientError: no connection, an answer that is no success, or one that is no JSON object.
    """
    connection, prefix = connect(url)
    try:
        status, _, content = exchange(connection, token, method, prefix + path, body)
    except UnreachableError as error:
        advice = "Is the server running? `hookline serve` starts one; HOOKLINE_URL says where it is."
        raise UnreachableError(f"{error.message} {advice}") from error
    finally:
        connection.close()
    answer = read_object(content)
    if 200 <= status < 300 and answer is not None:
        return answer
    raise ClientError(f"{explain_refusal(status, content)} {_ADVICE.get(status, '')}".strip())


def connect(url: str) -> tuple[http.client.HTTPConnection, str]:
    """A connection to the server at this address, not yet open, and what its paths begin with.

    Raises:
        ClientError: it is no address of a server.
    """
    parts, port = _split(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname or "", port, timeout=TIMEOUT_S), parts.path.rstrip("/")


def exchange(
    connection: http.client.HTTPConnection,
    token: str,
    method: str,
    path: str,
    body: bytes | None = None,
    extra_headers: Mapping[str, str] | None = None,
) -> tuple[int, Mapping[str, str], bytes]:
    """Send one request over a connection, which stays open if the server lets it.

    Gives status, headers (names in lower case) and content.

    Raises:
        UnreachableError: no answer. The connection is closed, and opens again by itself.
        ClientError: the token cannot be one.
    """
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ClientError("The token holds characters that no token has. Copy it again.")
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json",
        "user-agent": f"hookline-cli/{__version__}",
        **(extra_headers or {}),
    }
    if body is not None:
        headers["content-type"] = "application/json"
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Failure policy: what was sent may have been accepted if the connection broke late; nothing is sent again here.
        connection.close()
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreachableError(f"Cannot reach {connection.host}, port {connection.port} ({reason}).") from error
    if not response.isclosed():
        connection.close()  # the answer is longer than we read: what follows would look like the next one
    return response.status, {name.lower(): value for name, value in response.headers.items()}, content


def _split(url: str) -> tuple[SplitResult, int]:
    """The parts of a server's address, and its port."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ClientError("HOOKLINE_URL is no address of a server. Give one such as http://127.0.0.1:8071.")
    return parts, port


def read_object(content: bytes) -> dict[str, Any] | None:
    """The JSON object of an answer; None when it is something else."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def explain_refusal(status: int, content: bytes) -> str:
    """What the server said, in one sentence."""
    detail = (read_object(content) or {}).get("detail")
    if isinstance(detail, list):  # one entry for each field that is wrong
        detail = "; ".join(
            f"{'.'.join(str(part) for part in entry.get('loc', ()))}: {entry.get('msg', '')}" for entry in detail
        )
    said = detail or "an answer that is not the API's"
    return f"The server answered {status}: {said}."
