"""The JSON of responses, as OpenAI writes it. Source: the models of the official Python SDK (3.54)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from hookline.model.jobs import Job
from hookline.services.inference import Answer

_AS_ASKED: Final[Mapping[str, Any]] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "model": None,
    "parallel_tool_calls": True,
    "reasoning": None,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
#: what the backend may say better than the request does
_FROM_BACKEND: Final = ("output", "usage", "error", "incomplete_details", "model", "reasoning")


def render_response(job: Job) -> dict[str, Any]:
    """A background response as it stands."""
    result = orjson.loads(job.result) if job.result else {}
    shown = _render(orjson.loads(job.request), result)
    return {
        "id": job.id,
        **shown,
        "created_at": job.created_at_ms // 1000,
        "completed_at": job.ended_at_ms // 1000 if job.ended_at_ms and job.state == "completed" else None,
        "status": job.state.value,
        "background": True,
        "store": True,
    }


def render_foreground(
    response_id: str, created_at_s: int, request: Mapping[str, Any], answer: Answer
) -> dict[str, Any]:
    """A response that was translated while its caller waited."""
    shown = _render(request, answer.members)
    return {
        "id": response_id,
        **shown,
        "created_at": created_at_s,
        "completed_at": created_at_s if answer.status == "completed" else None,
        "status": answer.status,
        "background": False,
        "store": False,
    }


def _render(request: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    asked = {name: default if request.get(name) is None else request[name] for name, default in _AS_ASKED.items()}
    found = {name: result[name] for name in _FROM_BACKEND if result.get(name) is not None}
    empty: dict[str, Any] = {
        "output": [],
        "usage": None,
        "error": None,
        "incomplete_details": None,
        "previous_response_id": None,
    }
    return {"object": "response", **asked, **empty, **found}


def render_input_items(job: Job) -> list[dict[str, Any]]:
    """What a response was asked with, in its order."""
    given = orjson.loads(job.request)["input"]
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    return [_render_item(item, f"msg_{job.id.partition('_')[2]}_{number}") for number, item in enumerate(items)]


def _render_item(item: Any, item_id: str) -> dict[str, Any]:
    if not isinstance(item, dict):
        return {"id": item_id, "type": "message", "role": "user", "status": "completed", "content": []}
    content = item.get("content")
    if isinstance(content, str):
        kind = "output_text" if item.get("role") == "assistant" else "input_text"
        item = {**item, "content": [{"type": kind, "text": content}]}
    return {"type": "message", "status": "completed", **item, "id": item_id}
