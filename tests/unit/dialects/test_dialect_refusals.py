"""What dialects refuse: options, headers, secrets, payloads. Each with its code and its field."""

from __future__ import annotations

import pytest

from hookline.dialects import DIALECTS, AttemptContext, DialectError, get_dialect
from hookline.errors import HooklineError
from hookline.model import EndpointSecret
from hookline.signatures import SignatureError
from support.samples import NOW_MS, WHPK, WHSEC, WHSK, make_endpoint, make_message

NAMES = ["standard", "openai", "speech", "plain", "cloudevents"]
NOW = AttemptContext(number=1, now_ms=NOW_MS)


def prepare(dialect, *keys, headers=None, **options):
    return get_dialect(dialect).prepare(make_endpoint(dialect, *keys, headers=headers, **options))


def test_dialects_are_the_documented_ones():
    assert list(DIALECTS) == NAMES
    assert [get_dialect(name).name for name in NAMES] == NAMES


@pytest.mark.parametrize("name", ["", "Standard", "soap"])
def test_unknown_dialect(name):
    with pytest.raises(DialectError, match="standard, openai, speech") as caught:
        get_dialect(name)
    assert (caught.value.code, caught.value.field) == ("unknown_dialect", "dialect")
    assert isinstance(caught.value, HooklineError)


@pytest.mark.parametrize(
    ("dialect", "options"),
    [
        ("standard", {}),
        ("openai", {}),
        ("speech", {}),
        ("speech", {"version": "v2.1"}),
        ("speech", {"version": "v3"}),
        ("plain", {"envelope": False, "method": "DELETE"}),
        ("plain", {"envelope": True, "method": "PATCH"}),
        ("cloudevents", {"mode": "binary"}),
        ("cloudevents", {"mode": "batch", "source": "urn:shop:42"}),
        ("cloudevents", {"source": "/a%20b"}),
        ("cloudevents", {"source": "x" * 1024}),
    ],
)
def test_good_options(dialect, options):
    get_dialect(dialect).check_options(options)


@pytest.mark.parametrize(
    ("dialect", "options", "code"),
    [
        ("standard", {"mode": "binary"}, "unknown_option"),
        ("openai", {"envelope": True}, "unknown_option"),
        ("speech", {"Version": "v3"}, "unknown_option"),
        ("speech", {"version": "v3.2"}, "invalid_option"),
        ("speech", {"version": 3}, "invalid_option"),
        ("plain", {"envelope": "true"}, "invalid_option"),
        ("plain", {"envelope": 1}, "invalid_option"),
        ("plain", {"envelope": None}, "invalid_option"),
        ("plain", {"method": "GET"}, "invalid_option"),
        ("plain", {"method": "post"}, "invalid_option"),
        ("plain", {"method": "POST /x HTTP/1.1\r\nX: 1"}, "invalid_option"),
        ("cloudevents", {"mode": "Binary"}, "invalid_option"),
        ("cloudevents", {"source": ""}, "invalid_option"),
        ("cloudevents", {"source": "a b"}, "invalid_option"),
        ("cloudevents", {"source": "a\n"}, "invalid_option"),
        ("cloudevents", {"source": "/50%"}, "invalid_option"),
        ("cloudevents", {"source": "/ä"}, "invalid_option"),
        ("cloudevents", {"source": "x" * 1025}, "invalid_option"),
        ("cloudevents", {"source": ["/a"]}, "invalid_option"),
    ],
)
def test_bad_options(dialect, options, code):
    field = f"options.{next(iter(options))}"
    with pytest.raises(DialectError) as checked:
        get_dialect(dialect).check_options(options)
    with pytest.raises(DialectError) as prepared:
        prepare(dialect, WHSEC, **options)
    for caught in (checked, prepared):
        assert (caught.value.code, caught.value.field) == (code, field)
        assert next(iter(options)) in caught.value.message


@pytest.mark.parametrize("dialect", NAMES)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("a b", "x"),
        ("a:", "x"),
        ("a\r\nb", "x"),
        ("ä", "x"),
        ("x-a", "1\r\nx-b: 2"),
        ("x-a", "1\nx-b: 2"),
        ("x-a", "1\n"),
        ("x-a", "1\x00"),
        ("x-a", "1\x7f"),
        ("x-a", " 1"),
        ("x-a", "1\t"),
        ("x-a", " "),
        ("x-a", "ä"),
        ("Webhook-Id", "1"),
        ("webhook-signature", "1"),
        ("webhook-anything", "1"),
        ("SVIX-ID", "1"),
        ("ce-type", "1"),
        ("User-Agent", "1"),
        ("Content-Type", "text/plain"),
        ("content-length", "0"),
        ("Host", "other.example"),
        ("Transfer-Encoding", "chunked"),
        ("x-webhook-event", "1"),
        ("X-Webhook-Signature", "1"),
        ("X-MicrosoftSpeechServices-Event", "1"),
    ],
)
def test_bad_headers(dialect, name, value):
    with pytest.raises(DialectError) as caught:
        prepare(dialect, WHSEC, headers={"x-good": "1", name: value})
    assert (caught.value.code, caught.value.field) == ("invalid_header", f"headers.{name}")


@pytest.mark.parametrize("value", ["", "x", "a b", "a\tb", "Basic dTpw", "!~"])
def test_good_headers(value):
    assert ("x-a", value) in prepare("plain", headers={"x-a": value}).build(make_message(), NOW).headers


@pytest.mark.parametrize("dialect", ["standard", "openai", "cloudevents"])
def test_standard_webhooks_need_a_secret(dialect):
    with pytest.raises(DialectError) as caught:
        prepare(dialect)
    assert (caught.value.code, caught.value.field) == ("secret_required", "secrets")


@pytest.mark.parametrize(
    ("dialect", "key"),
    [
        *(
            (dialect, key)
            for dialect in ("standard", "openai", "cloudevents")
            for key in ("", "free text", "whsec_AAAA", "whsec_" + "%" * 40, "whsk_" + "A" * 10, WHPK)
        ),
        ("openai", WHSK),  # its receivers know v1 only
        ("speech", ""),
        ("plain", ""),
        ("plain", "\ud800"),
    ],
)
def test_bad_secrets(dialect, key):
    with pytest.raises(DialectError) as caught:
        prepare(dialect, key)
    assert (caught.value.code, caught.value.field) == ("invalid_secret", "secrets")
    assert not key or key not in caught.value.message


@pytest.mark.parametrize("dialect", ["standard", "openai", "cloudevents"])
def test_one_bad_secret_among_good_ones_is_found_before_it_is_needed(dialect):
    with pytest.raises(DialectError) as caught:
        prepare(dialect, WHSEC, EndpointSecret("whsec_AAAA", 0, 5))
    assert caught.value.code == "invalid_secret"


def test_too_many_secrets():
    with pytest.raises(DialectError, match="At most 16") as caught:
        prepare("standard", *[WHSEC] * 17)
    assert caught.value.code == "invalid_secret"


@pytest.mark.parametrize("dialect", NAMES)
def test_expired_payloads_are_not_sent(dialect):
    prepared = prepare(dialect, WHSEC)
    with pytest.raises(DialectError) as caught:
        prepared.build(make_message(b"", payload_expired=True), NOW)
    assert caught.value.code == "payload_expired"


@pytest.mark.parametrize(
    ("dialect", "options"),
    [
        ("openai", {}),
        ("plain", {}),
        ("cloudevents", {"mode": "structured"}),
        ("cloudevents", {"mode": "batch"}),
        ("speech", {"version": "v3"}),
    ],
)
@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"text",
        b'{"a":1},"type":"forged"',
        b"1}",
        b"{} {}",
        b'"\xff"',
        b'{"a":"\n"}',
        b"NaN",
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b'{"a":1',
    ],
)
def test_envelopes_take_one_json_value_only(dialect, options, payload):
    prepared = prepare(dialect, WHSEC, **options)
    with pytest.raises(DialectError) as caught:
        prepared.build(make_message(payload), NOW)
    assert caught.value.code == "payload_unsuitable"


@pytest.mark.parametrize("payload", [b"{}", b"[]", b'{"Self":"x"}', b'{"self":null}', b'{"self":{"a":1}}', b'"self"'])
def test_speech_v3_needs_the_entitys_link(payload):
    with pytest.raises(DialectError, match="self") as caught:
        prepare("speech", version="v3").build(make_message(payload), NOW)
    assert caught.value.code == "payload_unsuitable"


@pytest.mark.parametrize(("dialect", "options"), [("openai", {}), ("plain", {}), ("speech", {"version": "v3"})])
def test_ids_that_are_not_ours_have_no_other_form(dialect, options):
    with pytest.raises(DialectError) as caught:
        prepare(dialect, WHSEC, **options).build(make_message(b'{"self":"x"}', id="msg_1"), NOW)
    assert caught.value.code == "malformed_id"


@pytest.mark.parametrize("dialect", ["standard", "cloudevents"])
@pytest.mark.parametrize("message_id", ["", "msg.1", "msg 1", "msg_1\r\nx-b: 2", "ä"])
def test_ids_that_cannot_be_signed(dialect, message_id):
    with pytest.raises(SignatureError) as caught:
        prepare(dialect, WHSEC).build(make_message(id=message_id), NOW)
    assert caught.value.code == "malformed_id"


@pytest.mark.parametrize(
    ("dialect", "options"),
    [("openai", {}), ("plain", {}), ("speech", {}), ("cloudevents", {}), ("cloudevents", {"mode": "batch"})],
)
def test_event_types_must_be_text(dialect, options):
    with pytest.raises(DialectError) as caught:
        prepare(dialect, WHSEC, **options).build(make_message(event_type="half \ud800"), NOW)
    assert caught.value.code == "malformed_event_type"
