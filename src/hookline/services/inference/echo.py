"""The embedded backend for demonstrations: it answers with the input's own text, and says that it is one."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import orjson

from hookline.services.inference.backend import Answer, BackendRefusedError, Forwarded
from hookline.services.inference.translation import count_usage, output_message

MODEL: Final = "echo"
SAYS: Final = "This is Hookline's echo backend, not a model. You said: "


class EchoBackend:
    async def respond(self, request: Mapping[str, Any]) -> Answer:
        given = _text_of(request.get("input", ""))
        text = SAYS + given
        members = {"output": [output_message(text)], "usage": _usage(given, text)}
        return Answer("completed", members)

    async def forward(self, method: str, path: str, body: bytes) -> Forwarded:
        if method == "GET" and path == "/models":
            return _json({"object": "list", "data": [_model()]})
        if method == "GET" and path == f"/models/{MODEL}":
            return _json(_model())
        if path not in {"/chat/completions", "/responses"}:
            raise BackendRefusedError("The echo backend has only models, responses and chat completions.")
        request = orjson.loads(body)
        if path == "/responses":
            return _response(request, await self.respond(request))
        return _completion(request)


def _model() -> dict[str, Any]:
    return {"id": MODEL, "object": "model", "created": 0, "owned_by": "hookline"}


def _completion(request: Mapping[str, Any]) -> Forwarded:
    messages = request.get("messages")
    given = _text_of(messages[-1:] if isinstance(messages, list) else "")
    text = SAYS + given
    base = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": request.get("model")}
    if not request.get("stream"):
        message = {"role": "assistant", "content": text}
        usage = _usage(given, text)
        counts = {
            "prompt_tokens": usage["input_tokens"],
            "completion_tokens": usage["output_tokens"],
            "total_tokens": usage["total_tokens"],
        }
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return _json({**base, "object": "chat.completion", "choices": [choice], "usage": counts})
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": word}, None) for word in text.split(" ")]
    deltas.append(({}, "stop"))
    events = [
        orjson.dumps(
            {
                **base,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": _spaced(delta, number), "finish_reason": end}],
            }
        )
        for number, (delta, end) in enumerate(deltas)
    ]
    return _stream([b"data: %b\n\n" % event for event in (*events, b"[DONE]")])


def _spaced(delta: dict[str, str], number: int) -> dict[str, str]:
    return {"content": " " + delta["content"]} if number > 1 and delta else delta


def _response(request: Mapping[str, Any], answer: Answer) -> Forwarded:
    whole = {
        "id": f"resp_{secrets.token_hex(16)}",
        "object": "response",
        "created_at": int(time.time()),
        "status": answer.status,
        "model": request.get("model"),
        "background": False,
        "error": None,
        "incomplete_details": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **answer.members,
    }
    if not request.get("stream"):
        return _json(whole)
    item = whole["output"][0]
    part = item["content"][0]
    text = part["text"]
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    begun = {**item, "status": "in_progress", "content": []}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return _stream(
        [
            b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps({**event, "sequence_number": number}))
            for number, event in enumerate(events)
        ]
    )


def _text_of(given: Any) -> str:
    """All text of an input, of messages, or of the parts of one."""
    if isinstance(given, str):
        return given
    if isinstance(given, list):
        return "\n".join(text for text in map(_text_of, given) if text)
    if isinstance(given, dict):
        return _text_of(given.get("content", given.get("text", "")))
    return ""


def _usage(given: str, made: str) -> dict[str, Any]:
    """Words stand for tokens here."""
    return count_usage(len(given.split()), len(made.split()))


def _json(answer: Mapping[str, Any]) -> Forwarded:
    return _forward("application/json", [orjson.dumps(answer)])


def _stream(events: Sequence[bytes]) -> Forwarded:
    return _forward("text/event-stream; charset=utf-8", events)


def _forward(media_type: str, pieces: Sequence[bytes]) -> Forwarded:
    async def give() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return Forwarded(200, {"content-type": media_type}, give(), lambda: None)
