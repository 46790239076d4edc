"""The vendors' own packages read what the dialects build, after a journey through a real HTTP connection."""

from __future__ import annotations

import http.client
import http.server
import json
import queue
import random
import threading
import time
from collections.abc import Iterator

import openai
import pytest
import standardwebhooks
import svix.webhooks
from cloudevents.core.bindings.http import HTTPMessage, from_http_event, from_structured_event
from cloudevents.core.bindings.http import to_binary_event as write_binary_event
from cloudevents.v1.http import from_http as from_http_v1

from hookline.dialects import DIALECTS, AttemptContext, OutgoingRequest, get_dialect
from hookline.model import EndpointSecret, Message
from hookline.model.ids import hex_of, new_id
from support.samples import WHSEC, WHSK, make_endpoint, make_message, make_whsec

EVENT_TYPES = [
    "response.completed",
    "realtime.call.incoming",
    "new-subscription",
    "Größe.geändert",
    "50% off",
    'say "hi"',
    "line\r\nx-injected: yes",
    "\u560a\u560d",
    "🦉",
]
PAYLOADS = [
    b'{"id":"resp_123"}',
    b'{ "sum": 1.50, "name": "\xc3\x84\xf0\x9f\xa6\x89", "big": 12345678901234567890123 }\r\n',
    b'{"id":"\\u00e4\\n\\"","nested":{"list":[1,2,{"x":null}]}}',
]


class Mailbox:
    """A receiver on 127.0.0.1, and a sender that writes a request as it is and gives back what arrived."""

    def __init__(self) -> None:
        arrived: queue.Queue[tuple[str, list[tuple[str, str]], bytes]] = queue.Queue()

        class Handler(http.server.BaseHTTPRequestHandler):
            def take(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                arrived.put((self.command, self.headers.items(), body))
                self.send_response(204)
                self.end_headers()

            do_POST = do_PUT = do_PATCH = do_DELETE = take  # noqa: N815 -- the base class finds them by name

            def log_message(self, *arguments: object) -> None:
                pass

        self._arrived = arrived
        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def carry(self, request: OutgoingRequest) -> tuple[dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._server.server_port, timeout=10)
        connection.putrequest(request.method, "/", skip_accept_encoding=True)
        for name, value in (*request.headers, ("content-length", str(len(request.body)))):
            connection.putheader(name, value)
        connection.endheaders(request.body)
        assert connection.getresponse().status == 204
        connection.close()
        method, headers, body = self._arrived.get(timeout=10)
        assert method == request.method
        assert body == request.body
        # Nothing was split, joined or lost: the same lines in the same order, but for host and length.
        assert [pair for pair in headers if pair[0] not in {"Host", "content-length"}] == list(request.headers)
        return dict(headers), body


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    mailbox = Mailbox()
    yield mailbox
    mailbox.close()


def build(message: Message, dialect: str, *keys: str | EndpointSecret, **options: object) -> OutgoingRequest:
    prepared = get_dialect(dialect).prepare(make_endpoint(dialect, *keys, **options))
    return prepared.build(message, AttemptContext(number=1, now_ms=time.time_ns() // 1_000_000))


def make_messages() -> Iterator[Message]:
    for event_type in EVENT_TYPES:
        for payload in PAYLOADS:
            yield make_message(payload, event_type, id=new_id("msg"))


@pytest.mark.parametrize("dialect", ["standard", "openai", "cloudevents"])
@pytest.mark.parametrize("verifier", ["standardwebhooks", "svix"])
def test_standard_webhooks_libraries_verify(mailbox, dialect, verifier):
    library = {"standardwebhooks": standardwebhooks, "svix": svix.webhooks}[verifier]
    rotated = EndpointSecret(make_whsec(b"B"), 0, 2**45)
    keys = (WHSEC, rotated) if dialect == "openai" else (WHSK, WHSEC, rotated)
    for message in make_messages():
        headers, body = mailbox.carry(build(message, dialect, *keys))
        for secret in (WHSEC, rotated.key):
            library.Webhook(secret).verify(body, headers)  # raises if not
        with pytest.raises(library.WebhookVerificationError):
            library.Webhook(make_whsec(b"C")).verify(body, headers)


def test_svix_headers_suffice(mailbox):
    headers, body = mailbox.carry(build(make_message(), "standard", WHSEC))
    only_svix = {name: value for name, value in headers.items() if not name.startswith("webhook-")}
    svix.webhooks.Webhook(WHSEC).verify(body, only_svix)  # raises if not
    with pytest.raises(svix.webhooks.WebhookVerificationError):
        svix.webhooks.Webhook(WHSEC).verify(body + b" ", only_svix)


def test_expired_secret_no_longer_verifies(mailbox):
    rotated = EndpointSecret(make_whsec(b"B"), 0, time.time_ns() // 1_000_000 - 1)
    headers, body = mailbox.carry(build(make_message(), "standard", WHSEC, rotated))
    standardwebhooks.Webhook(WHSEC).verify(body, headers)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(rotated.key).verify(body, headers)


def test_openai_client_unwraps(mailbox):
    client = openai.OpenAI(api_key="not used", webhook_secret=WHSEC)
    for message in make_messages():
        headers, body = mailbox.carry(build(message, "openai", WHSEC))
        event = client.webhooks.unwrap(body, headers)
        assert event.type == message.event_type
        assert event.object == "event"
        assert event.id == f"evt_{hex_of(message.id)}"
        assert event.created_at == message.created_at_ms // 1000
        assert event.model_dump()["data"]["id" if b'"id"' in message.payload else "sum"]
        assert headers["webhook-id"] == f"wh_{hex_of(message.id)}"
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.unwrap(body + b" ", headers)
    client.close()


def test_openai_client_knows_its_own_events(mailbox):
    call = b'{"call_id":"rtc_1","sip_headers":[{"name":"From","value":"sip:+142555512112@sip.example"}]}'
    headers, body = mailbox.carry(build(make_message(call, "realtime.call.incoming"), "openai", WHSEC))
    with openai.OpenAI(api_key="not used", webhook_secret=WHSEC) as client:
        event = client.webhooks.unwrap(body, headers)
    assert isinstance(event, openai.types.webhooks.RealtimeCallIncomingWebhookEvent)
    assert event.data.call_id == "rtc_1"
    assert event.data.sip_headers[0].value == "sip:+142555512112@sip.example"


@pytest.mark.parametrize("mode", ["binary", "structured"])
@pytest.mark.parametrize("source", [None, "https://shop.example/a%20b?x=1#y"])
def test_cloudevents_sdk_reads(mailbox, mode, source):
    options = {"mode": mode} if source is None else {"mode": mode, "source": source}
    for message in make_messages():
        headers, body = mailbox.carry(build(message, "cloudevents", WHSEC, **options))
        event = from_http_event(HTTPMessage(headers, body))
        assert event.get_specversion() == "1.0"
        assert event.get_id() == message.id
        assert event.get_type() == message.event_type
        assert event.get_source() == (source or "/applications/app_1")
        assert event.get_datacontenttype() == "application/json"
        assert round(event.get_time().timestamp() * 1000) == message.created_at_ms
        assert event.get_data() == json.loads(message.payload)
        assert set(event.get_attributes()) == {"specversion", "id", "source", "type", "time", "datacontenttype"}


def test_cloudevents_headers_are_spelt_as_the_sdk_spells_them(mailbox):
    for message in make_messages():
        headers, body = mailbox.carry(build(message, "cloudevents", WHSEC))
        theirs = write_binary_event(from_http_event(HTTPMessage(headers, body))).headers
        ours = {name: value for name, value in headers.items() if name.startswith(("ce-", "content-t"))}
        assert ours.keys() == theirs.keys()
        assert {name: value for name, value in theirs.items() if name != "ce-time"}.items() <= ours.items()


def test_cloudevents_batch_is_a_list_of_events(mailbox):
    for message in make_messages():
        headers, body = mailbox.carry(build(message, "cloudevents", WHSEC, mode="batch"))
        assert headers["content-type"] == "application/cloudevents-batch+json"
        assert not [name for name in headers if name.startswith("ce-")]
        (element,) = json.loads(body)
        event = from_structured_event(HTTPMessage({}, json.dumps(element).encode()))
        assert (event.get_id(), event.get_type()) == (message.id, message.event_type)
        assert event.get_data() == json.loads(message.payload)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_older_cloudevents_sdk_reads(mailbox, mode):
    """Its `from_http` leaves percent-encoding in headers alone, so with ordinary event types only."""
    for payload in PAYLOADS:
        message = make_message(payload, id=new_id("msg"))
        headers, body = mailbox.carry(build(message, "cloudevents", WHSEC, mode=mode))
        event = from_http_v1(headers, body)
        assert (event["id"], event["type"], event["source"]) == (message.id, message.event_type, "/applications/app_1")
        assert event.data == json.loads(payload)


def test_every_way_travels_unharmed(mailbox):
    """Whatever the event type, the receiver sees the same header lines that were built."""
    rng = random.Random(20_231_114)
    ways = [
        *((name, {}) for name in DIALECTS),
        ("speech", {"version": "v3"}),
        *(("plain", {"method": method, "envelope": False}) for method in ("PUT", "PATCH", "DELETE")),
    ]
    for dialect, options in ways:
        for _ in range(20):
            event_type = "".join(chr(rng.choice([*range(0xD800), *range(0xE000, 0x11000)])) for _ in range(12))
            event_type += rng.choice(["\r\nx: y", "\n", "\x00", " ", "%", ""])
            mailbox.carry(build(make_message(b'{"self":"x"}', event_type), dialect, WHSEC, **options))
