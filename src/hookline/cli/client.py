"""One call of a server's API, with the standard library alone: no redirects, no proxies, one time limit."""

from __future__ import annotations

import http.client
import json
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


def quote_segment(text: str) -> str:
    """One segment of a path, whatever the text holds."""
    return quote(text, safe="")


def call_api(url: str, token: str, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
    """The JSON object that the server answers with.

    Raises:
        ClientError: no connection, an answer that is no success, or one that is no JSON object.
    """
    token = token.strip()
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ClientError("The token holds characters that no token has. Copy it again.")
    parts, port = _split(url)
    host = parts.hostname or ""
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json",
        "user-agent": f"hookline-cli/{__version__}",
    }
    if body is not None:
        headers["content-type"] = "application/json"
    try:
        connection = kind(host, port, timeout=TIMEOUT_S)
        try:
            connection.request(method, parts.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            status, content = response.status, response.read(MAX_ANSWER_BYTES)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Failure policy: the message may have been accepted if the connection broke late; nothing is sent again here.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ClientError(
            f"Cannot reach {host}, port {port} ({reason}). Is the server running? `hookline serve` starts one; "
            "HOOKLINE_URL says where it is."
        ) from error
    return _read_answer(status, content)


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


def _read_answer(status: int, content: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = None
    if 200 <= status < 300 and isinstance(answer, dict):
        return answer
    detail = answer.get("detail") if isinstance(answer, dict) else None
    if isinstance(detail, list):  # one entry for each field that is wrong
        detail = "; ".join(
            f"{'.'.join(str(part) for part in entry.get('loc', ()))}: {entry.get('msg', '')}" for entry in detail
        )
    said = detail or "an answer that is not the API's"
    raise ClientError(f"The server answered {status}: {said}. {_ADVICE.get(status, '')}".strip())
