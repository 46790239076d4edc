"""Requests for responses as requests for chat completions, and the answers back. Pure.

For backends that have the older API only. Text and images are translated, and what shapes the answer; tools and stored
conversations are refused, because without them the answer would be another one. Source: OpenAI's API reference.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from hookline.services.inference.backend import Answer, BackendRefusedError

_TEXT_PARTS: Final = frozenset({"input_text", "output_text", "text"})
_ROLES: Final = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
_SAME: Final = ("model", "temperature", "top_p", "user", "seed")
_NEEDED: Final = ("tools", "previous_response_id", "conversation", "prompt")


def to_chat(request: Mapping[str, Any]) -> dict[str, Any]:
    """The body for `/chat/completions`. Raises BackendRefusedError when it cannot say the same."""
    for name in _NEEDED:
        if request.get(name):
            raise BackendRefusedError(f"The backend has no Responses API, and `{name}` cannot be done without it.")
    messages: list[dict[str, Any]] = []
    if request.get("instructions"):
        messages.append({"role": "system", "content": request["instructions"]})
    given = request.get("input", "")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    messages += [_message(item) for item in items]
    chat: dict[str, Any] = {name: request[name] for name in _SAME if request.get(name) is not None}
    chat["messages"] = messages
    if request.get("max_output_tokens") is not None:
        chat["max_tokens"] = request["max_output_tokens"]
    shape = (request.get("text") or {}).get("format") or {}
    if shape.get("type") == "json_object":
        chat["response_format"] = shape
    elif shape.get("type") == "json_schema":
        schema = {name: value for name, value in shape.items() if name != "type"}
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    return chat


def _message(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or item.get("type", "message") != "message" or item.get("role") not in _ROLES:
        raise BackendRefusedError("The backend has no Responses API: `input` can be text and messages only.")
    content = item.get("content", "")
    if isinstance(content, list):
        content = [_part(part) for part in content]
        if all(part["type"] == "text" for part in content):
            content = "".join(part["text"] for part in content)
    return {"role": _ROLES[item["role"]], "content": content}


def _part(part: Any) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXT_PARTS and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        return {"type": "image_url", "image_url": {"url": part["image_url"]}}
    raise BackendRefusedError("The backend has no Responses API: a message can hold text and image URLs only.")


def from_chat(answer: Any) -> Answer | None:
    """What a chat completion says; None when it is none."""
    try:
        choice = answer["choices"][0]
        text = choice["message"].get("content") or ""
        if not isinstance(text, str):
            return None
        reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(choice.get("finish_reason"))
        usage = answer.get("usage")
        members: dict[str, Any] = {"output": [output_message(text, incomplete=reason is not None)]}
        if isinstance(usage, dict):
            members["usage"] = _usage(usage)
        if isinstance(answer.get("model"), str):
            members["model"] = answer["model"]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError):
        return None
    if reason is None:
        return Answer("completed", members)
    return Answer("incomplete", {**members, "incomplete_details": {"reason": reason}})


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    given, made = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    return count_usage(given, made)


def count_usage(given: int, made: int) -> dict[str, Any]:
    """Tokens in and out, as a response shows them."""
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": given + made,
    }


def output_message(text: str, *, incomplete: bool = False) -> dict[str, Any]:
    """The item of a response's output that holds a text."""
    return {
        "id": f"msg_{secrets.token_hex(16)}",
        "type": "message",
        "role": "assistant",
        "status": "incomplete" if incomplete else "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}],
    }
