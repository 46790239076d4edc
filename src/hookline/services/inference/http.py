"""A backend behind HTTP: vLLM, Ollama, llama.cpp, or any other with OpenAI's API.

respond ──> POST /responses ──2xx──> answer
              └──404, 405, 501: it may have none──> POST /chat/completions, translated
                    └──it has that──> asked there at once for the next few minutes
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

from hookline import __version__
from hookline.egress import Fetched, Fetcher, FetchError
from hookline.engine import OverloadedError
from hookline.model.retry_after import parse_retry_after
from hookline.services.inference.backend import Answer, BackendBusyError, BackendRefusedError, Forwarded
from hookline.services.inference.translation import from_chat, to_chat

MAX_ANSWER_BYTES: Final = 16_777_216
MAX_MESSAGE_LENGTH: Final = 500
CHAT_ONLY_S: Final = 300.0
MOST_FORWARDED: Final = 256  # at once; what waits there has a connection and a caller's connection
_MISSING: Final = frozenset({404, 405, 501})
_LATER: Final = frozenset({408, 409, 425, 429})
_OURS: Final = frozenset({401, 403, 407})
_ENDS: Final = frozenset({"completed", "incomplete", "failed"})
#: never stored or queued there: that is what we are for
_ALONE: Final = {"background": False, "stream": False, "store": False}
_PASSED_ON: Final = ("content-type", "retry-after")


class _Error(msgspec.Struct):
    message: str = ""


class _Envelope(msgspec.Struct):
    error: _Error | str | None = None


class HttpBackend:
    """`base_url` is the operator's; `timeout_s` is for one request as a whole."""

    def __init__(self, base_url: str, fetcher: Fetcher, *, key: str | None, timeout_s: float) -> None:
        self._base_url = base_url
        self._fetcher = fetcher
        self._key = key
        self._timeout_s = timeout_s
        self._chat_until_s = float("-inf")
        self._forwarded = 0

    async def respond(self, request: Mapping[str, Any]) -> Answer:
        if time.monotonic() >= self._chat_until_s:
            status, headers, body = await self._post("/responses", {**request, **_ALONE})
            if status not in _MISSING:
                return _judge(_read_response(_read(status, headers, body)))
        status, headers, body = await self._post("/chat/completions", to_chat(request))
        answer = _judge(from_chat(_read(status, headers, body)))
        self._chat_until_s = max(self._chat_until_s, time.monotonic() + CHAT_ONLY_S)
        return answer

    async def forward(self, method: str, path: str, body: bytes) -> Forwarded:
        if self._forwarded >= MOST_FORWARDED:
            raise OverloadedError("Too many requests wait for the backend's answer. Send this one again later.")
        fetched = await self._open(method, path, body)
        if fetched.status in _OURS or 300 <= fetched.status < 400:
            fetched.close()
            raise BackendBusyError(_explain(fetched.status))
        headers = {name: fetched.headers[name] for name in _PASSED_ON if name in fetched.headers}
        self._forwarded += 1

        def close() -> None:
            self._forwarded -= 1
            fetched.close()

        return Forwarded(fetched.status, headers, fetched.pieces(), close)

    async def _post(self, path: str, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], bytes]:
        fetched = await self._open("POST", path, orjson.dumps(body))
        try:
            return fetched.status, fetched.headers, await fetched.read(MAX_ANSWER_BYTES)
        except FetchError as error:
            raise BackendBusyError(f"The backend gave no usable answer. {error.message}") from error
        finally:
            fetched.close()

    async def _open(self, method: str, path: str, body: bytes) -> Fetched:
        headers = [("Accept", "application/json, text/event-stream"), ("User-Agent", f"Hookline/{__version__}")]
        if body:
            headers.append(("Content-Type", "application/json"))
        if self._key is not None:
            headers.append(("Authorization", f"Bearer {self._key}"))
        try:
            return await self._fetcher.open(method, self._base_url + path, headers, body, timeout_s=self._timeout_s)
        except FetchError as error:
            raise BackendBusyError(f"The backend gave no usable answer. {error.message}") from error


def _read(status: int, headers: Mapping[str, str], body: bytes) -> Any:
    """The JSON of a good answer. Raises BackendBusyError, BackendRefusedError."""
    if status == 429:
        raise BackendBusyError(
            "The backend takes no more requests now.",
            error_code="rate_limit_exceeded",
            retry_after_s=_retry_after(headers),
        )
    if status in _LATER or status >= 500:
        raise BackendBusyError(_explain(status), retry_after_s=_retry_after(headers))
    if status in _OURS or 300 <= status < 400:
        raise BackendRefusedError(_explain(status), error_code="server_error")
    if not 200 <= status < 300:
        raise BackendRefusedError(_message_of(body) or _explain(status))
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _judge(answer: Answer | None) -> Answer:
    if answer is None:
        # Failure policy: try again. A backend that is overloaded or restarts may answer anything.
        raise BackendBusyError("The backend's answer is not what OpenAI's API has.")
    return answer


def _read_response(answer: Any) -> Answer | None:
    if not isinstance(answer, dict) or answer.get("status") not in _ENDS or not isinstance(answer.get("output"), list):
        return None
    return Answer(answer["status"], answer)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    return parse_retry_after(headers.get("retry-after"), round(time.time() * 1000))


def _message_of(body: bytes) -> str:
    try:
        error = msgspec.json.decode(body, type=_Envelope).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return (error if isinstance(error, str) else "" if error is None else error.message)[:MAX_MESSAGE_LENGTH]


def _explain(status: int) -> str:
    if status in _OURS:
        return "The backend does not accept the server's key; its operator must set HOOKLINE_OPENAI_BACKEND_KEY."
    return f"The backend answered {status}."
