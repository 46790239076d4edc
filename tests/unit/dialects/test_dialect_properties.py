"""What holds for every event type, payload and id: nothing leaves its place, nothing changes on the way."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.dialects import AttemptContext, get_dialect
from hookline.model.ids import hex_of, new_id
from support.samples import WHSEC, make_endpoint, make_message

WAYS = [
    ("standard", {}),
    ("openai", {}),
    ("speech", {}),
    ("speech", {"version": "v3"}),
    ("plain", {}),
    ("plain", {"envelope": False}),
    ("cloudevents", {}),
    ("cloudevents", {"mode": "structured"}),
    ("cloudevents", {"mode": "batch"}),
]
PREPARED = [get_dialect(dialect).prepare(make_endpoint(dialect, WHSEC, **options)) for dialect, options in WAYS]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
odd_texts = texts | st.sampled_from(
    ["a\r\nx-b: 2", "a\nb", "\x00", "%0d%0a", '"', "\\", "\u2028", "\u010a", "\u560a\u560d", "😀", " a ", "a: b", "ä"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=15,
)


@st.composite
def payloads(draw):
    """One JSON value in one of the many ways to write it; an object with a link, as v3 wants it."""
    value = {"self": "https://x.example/1", "value": draw(values), draw(texts): 1}
    value["self"] = "https://x.example/1"
    text = json.dumps(
        value,
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.none() | st.integers(0, 3)),
        separators=draw(st.sampled_from([None, (",", ":"), (" , ", " : ")])),
    )
    return (draw(st.sampled_from(["", "\n", " \t"])) + text + draw(st.sampled_from(["", "\r\n"]))).encode()


@pytest.mark.parametrize("prepared", PREPARED, ids=[f"{dialect}-{options}" for dialect, options in WAYS])
@given(payload=payloads(), event_type=odd_texts, event_id=st.none() | odd_texts, now_ms=st.integers(0, 2**42))
def test_nothing_can_break_out_of_its_place(prepared, payload, event_type, event_id, now_ms):
    message = make_message(payload, event_type, id=new_id("msg"), event_id=event_id)
    request = prepared.build(message, AttemptContext(number=1, now_ms=now_ms))
    for name, value in request.headers:
        assert re.fullmatch(r"[A-Za-z0-9-]+", name)
        assert re.fullmatch(r"[ -~]*", value)
        assert value == value.strip()
    for name, value in request.headers:
        if name in {"X-Webhook-Event", "ce-type", "X-MicrosoftSpeechServices-Event"}:
            assert unquote(value) == event_type
    assert json.loads(request.body) is not None


def build_body(dialect, options, message):
    prepared = get_dialect(dialect).prepare(make_endpoint(dialect, WHSEC, **options))
    return prepared.build(message, AttemptContext(number=1, now_ms=0)).body


@given(payloads(), odd_texts, st.integers(0, 2**45))
def test_envelopes_hold_exactly_what_they_say(payload, event_type, created_at_ms):
    message = make_message(payload, event_type, id=new_id("msg"), created_at_ms=created_at_ms)
    data = json.loads(payload)

    body = build_body("openai", {}, message)
    assert json.loads(body) == {
        "object": "event",
        "id": f"evt_{hex_of(message.id)}",
        "type": event_type,
        "created_at": created_at_ms // 1000,
        "data": data,
    }
    assert payload in body

    body = build_body("plain", {}, message)
    envelope = json.loads(body)
    assert list(envelope) == ["event_id", "event_type", "timestamp", "data"]
    assert (envelope["event_type"], envelope["data"]) == (event_type, data)
    assert envelope["event_id"].replace("-", "") == hex_of(message.id)
    assert payload in body

    structured = build_body("cloudevents", {"mode": "structured"}, message)
    event = json.loads(structured)
    assert (event["id"], event["type"], event["data"]) == (message.id, event_type, data)
    assert event["time"] == envelope["timestamp"]
    assert build_body("cloudevents", {"mode": "batch"}, message) == b"[" + structured + b"]"


@given(odd_texts, odd_texts)
def test_encoded_event_types_stay_distinct(one, other):
    prepared = get_dialect("plain").prepare(make_endpoint("plain"))

    def header(event_type):
        request = prepared.build(make_message(event_type=event_type), AttemptContext(number=1, now_ms=0))
        return dict(request.headers)["X-Webhook-Event"]

    assert (header(one) == header(other)) == (one == other)


@given(st.from_regex(r"[a-zA-Z0-9_\-.]{1,64}", fullmatch=True))
def test_ordinary_event_types_stay_as_they_are(event_type):
    for dialect, header in (
        ("plain", "X-Webhook-Event"),
        ("speech", "X-MicrosoftSpeechServices-Event"),
        ("cloudevents", "ce-type"),
    ):
        prepared = get_dialect(dialect).prepare(make_endpoint(dialect, WHSEC))
        request = prepared.build(make_message(event_type=event_type), AttemptContext(number=1, now_ms=0))
        assert dict(request.headers)[header] == event_type
