"""Requests for responses as chat completions, and the answers back."""

from __future__ import annotations

from typing import Any

import pytest

from hookline.services.inference import BackendRefusedError
from hookline.services.inference.translation import from_chat, to_chat


def test_a_text_becomes_a_message_of_the_user() -> None:
    assert to_chat({"model": "m", "input": "hi"}) == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_roles_parts_and_shapes_are_translated() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA=="}
    text = {"type": "input_text", "text": "what is it?"}
    shape = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    items = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [text, image]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "A cat."}]},
    ]
    chat = to_chat({"model": "m", "input": items, "text": {"format": shape}, "store": True, "max_output_tokens": 7})
    assert chat["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is it?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
            ],
        },
        {"role": "assistant", "content": "A cat."},
    ]
    schema = {"name": "n", "schema": {"type": "object"}}
    assert chat["response_format"] == {"type": "json_schema", "json_schema": schema}
    assert chat["max_tokens"] == 7
    assert "store" not in chat


@pytest.mark.parametrize(
    "changes",
    [
        {"tools": [{"type": "web_search"}]},
        {"previous_response_id": "resp_1"},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "1"}]},
        {"input": [{"role": "tool", "content": "x"}]},
        {"input": ["text"]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        {"input": [{"role": "user", "content": ["x"]}]},
    ],
)
def test_what_would_be_lost_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BackendRefusedError):
        to_chat({"model": "m", "input": "x", **changes})


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("stop", "completed", None),
        (None, "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_ends_are_translated_back(reason: str | None, status: str, details: Any) -> None:
    choice = {"message": {"role": "assistant", "content": "ok"}, "finish_reason": reason}
    answer = from_chat({"choices": [choice], "usage": {"prompt_tokens": 2, "completion_tokens": 3}})
    assert answer is not None
    assert (answer.status, answer.members.get("incomplete_details")) == (status, details)
    assert answer.members["output"][0]["content"][0]["text"] == "ok"
    assert answer.members["usage"]["total_tokens"] == 5


@pytest.mark.parametrize(
    "garbage",
    [
        None,
        [],
        "x",
        {},
        {"choices": []},
        {"choices": {}},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": 1}}]},
        {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": [1]}},
        {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": "many"}},
        {"choices": [{"message": {"content": "x"}, "finish_reason": {}}]},
    ],
)
def test_garbage_is_no_answer(garbage: Any) -> None:
    assert from_chat(garbage) is None
