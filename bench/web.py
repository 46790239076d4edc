"""One small HTTP request to a port of this machine, past any proxy that the environment names."""

from __future__ import annotations

import http.client
import json
from typing import Any

from bench.errors import BenchError

TIMEOUT_S = 60


def ask(port: int, method: str, path: str, *, body: object = None, token: str | None = None) -> tuple[int, bytes]:
    """Status and body of the answer. `body` is sent as JSON.

    Raises:
        OSError: nobody answers.
    """
    headers = {"content-type": "application/json"} if body is not None else {}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def post_json(port: int, path: str, body: object, token: str) -> Any:
    """The JSON of an answer that must be a success."""
    status, text = ask(port, "POST", path, body=body, token=token)
    if not 200 <= status < 300:
        raise BenchError(f"POST {path} was answered {status}: {text.decode(errors='replace')[:500]}")
    return json.loads(text)
