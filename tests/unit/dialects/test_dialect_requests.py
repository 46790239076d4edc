"""The exact request of each dialect, against signatures computed here with the standard library alone."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

import hookline
from hookline.dialects import AttemptContext, get_dialect
from support.samples import (
    MESSAGE_HEX,
    MESSAGE_ID,
    MESSAGE_UUID,
    NOW_MS,
    WHSEC,
    WHSK,
    make_endpoint,
    make_message,
)

URL = "https://receiver.example/hooks?code=1"
AGENT = ("user-agent", f"Hookline/{hookline.__version__}")
JSON = ("content-type", "application/json")
PAYLOAD = b'{"id":"resp_123","sum":1.50}'
KEY = base64.b64decode(WHSEC[6:])
TIMESTAMP = "1700000000"  # of NOW_MS, its milliseconds cut off


def build(dialect, *keys, message=None, headers=None, now_ms=NOW_MS, number=1, **options):
    prepared = get_dialect(dialect).prepare(make_endpoint(dialect, *keys, headers=headers, **options))
    return prepared.build(message or make_message(), AttemptContext(number=number, now_ms=now_ms))


def sign_standard(message_id, body):
    mac = hmac.digest(KEY, f"{message_id}.{TIMESTAMP}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(mac).decode()


def standard_headers(message_id, body):
    return (
        ("webhook-id", message_id),
        ("webhook-timestamp", TIMESTAMP),
        ("webhook-signature", sign_standard(message_id, body)),
    )


def test_standard():
    request = build("standard", WHSEC)
    signed = standard_headers(MESSAGE_ID, PAYLOAD)
    assert (request.method, request.url, request.body) == ("POST", URL, PAYLOAD)
    assert request.headers == (
        JSON,
        AGENT,
        *signed,
        *((name.replace("webhook-", "svix-"), value) for name, value in signed),
    )


def test_standard_reproduces_the_specifications_vectors():
    vector = make_message(b'{"test": 2432232314}', id="msg_p5jXN8AQM9LWM0D4loKWxJek")
    headers = dict(build("standard", WHSEC, WHSK, message=vector, now_ms=1_614_265_330_000).headers)
    assert headers["webhook-signature"] == headers["svix-signature"]
    assert headers["webhook-signature"].split(" ") == [
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
    ]


@pytest.mark.parametrize("payload", [b"", b"not json", b'{"a": 1.0, "a": 2}\n', b"\xff\x00", b"x" * 1_000_000])
@pytest.mark.parametrize("dialect", ["standard", "cloudevents", "speech"])
def test_dialects_without_an_envelope_send_any_payload_as_it_came(dialect, payload):
    assert build(dialect, WHSEC, message=make_message(payload)).body == payload


def test_openai():
    request = build("openai", WHSEC)
    body = (
        b'{"object":"event","id":"evt_' + MESSAGE_HEX.encode() + b'","type":"response.completed",'
        b'"created_at":1688096058,"data":{"id":"resp_123","sum":1.50}}'
    )
    assert (request.method, request.url, request.body) == ("POST", URL, body)
    assert request.headers == (
        JSON,
        ("user-agent", "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)"),
        *standard_headers(f"wh_{MESSAGE_HEX}", body),
    )


def test_speech_without_a_secret_is_not_signed():
    request = build("speech", message=make_message(event_type="TranscriptionCompletion"))
    assert (request.method, request.url, request.body) == ("POST", URL, PAYLOAD)
    assert request.headers == (
        JSON,
        AGENT,
        ("webhook-id", MESSAGE_ID),
        ("X-MicrosoftSpeechServices-Event", "TranscriptionCompletion"),
    )


@pytest.mark.parametrize("secret", ["my secret", "Gehäimnis", WHSEC])
def test_speech_secret_is_its_own_text(secret):
    headers = build("speech", secret, message=make_message(event_type="TranscriptionCompletion")).headers
    mac = hmac.digest(secret.encode(), PAYLOAD, "sha256")
    assert headers[-1] == ("X-MicrosoftSpeechServices-Signature", base64.b64encode(mac).decode())
    assert headers[-2] == ("X-MicrosoftSpeechServices-Event", "TranscriptionCompletion")


def test_speech_v3_sends_a_notification():
    entity = b'{"self":"https://eu.example/transcriptions/1?a=\\"b\\"&c=\\u00e4","status":"Succeeded"}'
    request = build("speech", "s", message=make_message(entity, "TranscriptionCompletion"), version="v3")
    assert request.body == (
        b'{"self":"https://eu.example/transcriptions/1?a=\\"b\\"&c=\xc3\xa4","invocationId":"'
        + MESSAGE_UUID.encode()
        + b'"}'
    )
    mac = hmac.digest(b"s", request.body, "sha256")
    assert dict(request.headers)["X-MicrosoftSpeechServices-Signature"] == base64.b64encode(mac).decode()


@pytest.mark.parametrize("version", ["v2.1", "v3"])
def test_speech_ping_carries_the_whole_hook(version):
    hook = b'{"displayName":"hook"}'
    request = build("speech", "s", message=make_message(hook, "Ping"), version=version)
    assert request.body == hook
    assert ("X-MicrosoftSpeechServices-Event", "Ping") in request.headers


def test_plain_envelope():
    request = build("plain", "s3cret", message=make_message(event_type="new-subscription"))
    body = (
        b'{"event_id":"' + MESSAGE_UUID.encode() + b'","event_type":"new-subscription",'
        b'"timestamp":"2023-06-30T03:34:18.518Z","data":{"id":"resp_123","sum":1.50}}'
    )
    assert (request.method, request.url, request.body) == ("POST", URL, body)
    assert request.headers == (
        JSON,
        AGENT,
        ("webhook-id", MESSAGE_ID),
        ("X-Webhook-Event", "new-subscription"),
        ("X-Webhook-Signature", hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()),
    )


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_709_164_800_007, "2024-02-29T00:00:00.007Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_rfc_3339_in_utc_with_milliseconds(at_ms, text):
    message = make_message(created_at_ms=at_ms)
    assert f'"timestamp":"{text}"'.encode() in build("plain", message=message).body
    assert ("ce-time", text) in build("cloudevents", WHSEC, message=message).headers


def test_plain_prefers_the_senders_own_event_id():
    body = build("plain", message=make_message(event_id='order "7"')).body
    assert body.startswith(b'{"event_id":"order \\"7\\"","event_type":')


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_plain_bare_model_with_the_declared_method(method):
    request = build("plain", envelope=False, method=method)
    assert (request.method, request.body) == (method, PAYLOAD)
    assert "X-Webhook-Signature" not in dict(request.headers)
    assert dict(request.headers)["X-Webhook-Event"] == "response.completed"


def test_cloudevents_binary():
    request = build("cloudevents", WHSEC)
    assert (request.method, request.url, request.body) == ("POST", URL, PAYLOAD)
    assert request.headers == (
        JSON,
        AGENT,
        ("ce-specversion", "1.0"),
        ("ce-id", MESSAGE_ID),
        ("ce-source", "/applications/app_1"),
        ("ce-type", "response.completed"),
        ("ce-time", "2023-06-30T03:34:18.518Z"),
        *standard_headers(MESSAGE_ID, PAYLOAD),
    )


@pytest.mark.parametrize(
    ("mode", "content_type", "opening", "closing"),
    [
        ("structured", "application/cloudevents+json", b"", b""),
        ("batch", "application/cloudevents-batch+json", b"[", b"]"),
    ],
)
def test_cloudevents_in_json(mode, content_type, opening, closing):
    request = build("cloudevents", WHSEC, mode=mode, source="https://shop.example/orders?x=1#y")
    body = (
        opening
        + b'{"specversion":"1.0","id":"msg_01h455vb4pex5vsknk084sn02q","source":"https://shop.example/orders?x=1#y",'
        b'"type":"response.completed","time":"2023-06-30T03:34:18.518Z","datacontenttype":"application/json",'
        b'"data":{"id":"resp_123","sum":1.50}}' + closing
    )
    assert request.body == body
    assert request.headers == (("content-type", content_type), AGENT, *standard_headers(MESSAGE_ID, body))


@pytest.mark.parametrize("dialect", ["standard", "openai", "speech", "plain", "cloudevents"])
def test_later_attempts_differ_in_time_and_signature_only(dialect):
    first = build(dialect, WHSEC)
    later = build(dialect, WHSEC, number=7, now_ms=NOW_MS + 3_600_000)
    moving = {"webhook-timestamp", "webhook-signature", "svix-timestamp", "svix-signature"}
    assert later.body == first.body
    assert [name for name, _ in later.headers] == [name for name, _ in first.headers]
    assert {name for name, value in first.headers if (name, value) not in later.headers} <= moving
    assert dict(later.headers)["webhook-id"] == dict(first.headers)["webhook-id"]


@pytest.mark.parametrize("dialect", ["standard", "openai", "speech", "plain", "cloudevents"])
def test_every_dialect_identifies_message_and_sender_and_adds_the_endpoints_headers(dialect):
    headers = build(dialect, WHSEC, headers={"X-Tenant": "blue", "authorization": "Bearer 1"}).headers
    names = [name.lower() for name, _ in headers]
    assert len(set(names)) == len(names)
    assert {"webhook-id", "user-agent", "content-type"} <= set(names)
    assert ("X-Tenant", "blue") in headers
    assert ("authorization", "Bearer 1") in headers


def test_request_does_not_show_its_headers():
    request = build("standard", WHSEC, headers={"authorization": "Bearer hush"})
    assert repr(request) == str(request) == "OutgoingRequest(POST, 9 headers, 28 bytes)"
    assert "hush" not in str(request.__rich_repr__())
