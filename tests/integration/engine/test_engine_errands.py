"""Endpoints that need a token or a transform first: what they are sent, and that nobody else pays for their trouble."""

from __future__ import annotations

import json
import threading

import pytest
from standardwebhooks import Webhook

from hookline.dialects import Transform
from hookline.egress import Failure, Reason, Response
from hookline.model import EndpointSecret, EndpointStatus, Extras, OAuth2Auth, RetryPolicy
from integration.engine.rig import HANG, header, status
from support.samples import WHSEC

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

AUTH = OAuth2Auth("https://issuer.example/token", "me", "hush")
EXTRAS = Extras(auth=AUTH)


def issued(value: str, expires_in: int = 3600) -> Response:
    return Response(200, json.dumps({"access_token": value, "token_type": "Bearer", "expires_in": expires_in}).encode())


def tokens_sent(rig, name="good"):
    return [header(request, "authorization") for request in rig.receivers.calls(name)]


async def test_deliveries_carry_the_token(rig):
    await rig.endpoint("good", extras=EXTRAS)
    rig.receivers.plan("issuer", issued("one"))
    engine = await rig.engine()
    messages = await rig.accept_many(engine, 5)
    await rig.until(rig.nothing_owed)
    assert tokens_sent(rig) == ["Bearer one"] * 5
    assert len(rig.receivers.calls("issuer")) == 1
    for message in messages:
        assert [attempt.final for attempt in await rig.attempts(message)] == [True]
    for request in rig.receivers.calls("good"):
        assert "hush" not in repr(request)
        assert "Bearer" not in repr(request)


async def test_a_token_that_was_revoked_is_replaced_within_the_attempt(rig):
    await rig.endpoint("good", extras=EXTRAS, dialect="plain", policy=None)  # where a 4xx is final
    rig.receivers.plan("issuer", issued("one"), issued("two"))
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    rig.clock.advance(60)
    rig.receivers.plan("good", status(401), status(200))
    message = await rig.accept(engine)
    await rig.reach(message, "succeeded")
    assert tokens_sent(rig) == ["Bearer one", "Bearer one", "Bearer two"]
    (attempt,) = await rig.attempts(message)
    assert (attempt.number, attempt.response_status) == (1, 200)


async def test_a_fresh_token_that_is_refused_is_the_receivers_answer(rig):
    await rig.endpoint("good", extras=EXTRAS, schedule_s=(1,))
    rig.receivers.plan("issuer", issued("one"))
    rig.receivers.plan("good", status(401))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "retrying")
    assert len(rig.receivers.calls("issuer")) == len(rig.receivers.calls("good")) == 1
    rig.clock.advance(1.1)
    await rig.reach(message, "exhausted")
    attempts = await rig.attempts(message)
    assert [attempt.response_status for attempt in attempts] == [401, 401]


async def test_no_token_no_request_and_the_schedule_goes_on(rig):
    await rig.endpoint("good", extras=EXTRAS)
    rig.receivers.plan("issuer", status(500), issued("one"))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "retrying")
    (attempt,) = await rig.attempts(message)
    assert (attempt.reason, attempt.detail) == ("oauth_token_failed", "The token endpoint answered 500.")
    assert not rig.receivers.calls("good")
    rig.clock.advance(5)
    await rig.reach(message, "succeeded")
    assert tokens_sent(rig) == ["Bearer one"]


async def test_an_issuer_that_hangs_delays_nobody_else(rig):
    await rig.endpoint("good", extras=EXTRAS)
    await rig.endpoint("other")
    rig.receivers.plan("issuer", HANG)
    engine = await rig.engine()
    messages = await rig.accept_many(engine, 20)
    await rig.until(lambda: len(rig.receivers.calls("other")) == 20)
    assert not rig.receivers.calls("good")
    assert len(rig.receivers.calls("issuer")) == 1
    rig.receivers.release("issuer", issued("one"))
    await rig.until(rig.nothing_owed)
    assert tokens_sent(rig) == ["Bearer one"] * len(messages)


async def test_a_request_that_cannot_be_built(rig):
    await rig.endpoint("good", extras=EXTRAS, secrets=(EndpointSecret(WHSEC, 1, 2),), schedule_s=())
    rig.receivers.plan("issuer", issued("one"))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "exhausted")
    (attempt,) = await rig.attempts(message)
    assert attempt.reason == "invalid_request"


async def test_stopping_gives_back_what_waits_for_a_token(rig):
    await rig.endpoint("good", extras=EXTRAS)
    rig.receivers.plan("issuer", HANG)
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.until(lambda: rig.receivers.open("issuer"))
    await engine.stop(0)
    assert await rig.state(message) in {"owed", "retrying"}
    assert not await rig.attempts(message)
    assert not rig.receivers.calls("good")
    rig.receivers.plan("issuer", issued("one"))
    await rig.engine()
    await rig.reach(message, "succeeded")


async def test_a_token_that_comes_after_the_lease_has_ended_is_not_used(rig):
    await rig.endpoint("good", extras=EXTRAS)
    rig.receivers.plan("issuer", HANG)
    engine = await rig.engine()
    message = await rig.accept(engine)
    (exchange,) = await rig.until(lambda: rig.receivers.open("issuer"))
    engine.dispatcher.halt("test")
    exchange.release(issued("one"))
    await rig.until(lambda: not engine.dispatcher.in_flight)
    assert not rig.receivers.calls("good")
    assert not await rig.attempts(message)
    engine.dispatcher.resume("test")
    await rig.reach(message, "succeeded")


async def test_a_fetch_that_we_cut_is_no_attempt(rig):
    await rig.endpoint("good", extras=EXTRAS)
    rig.receivers.plan("issuer", HANG)
    engine = await rig.engine()
    message = await rig.accept(engine)
    (exchange,) = await rig.until(lambda: rig.receivers.open("issuer"))
    rig.receivers.plan("issuer", issued("one"))
    exchange.release(Failure(Reason.LEASE_LOST))
    await rig.reach(message, "succeeded")
    assert len(await rig.attempts(message)) == 1


async def test_changed_credentials_are_used_at_once(rig):
    made = await rig.endpoint("good", extras=EXTRAS)
    rig.receivers.plan("issuer", issued("one"), issued("two"))
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    await rig.change(made, extras=Extras(auth=OAuth2Auth(AUTH.token_url, "me", "new")))
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    assert tokens_sent(rig) == ["Bearer one", "Bearer two"]
    await rig.set_status(made, EndpointStatus.PAUSED)


async def test_the_result_of_a_transform_is_signed_and_sent_every_time_the_same(rig):
    await rig.endpoint("good", extras=Extras(transform="{total: n, kind: 'sum'}"))
    await rig.endpoint("plainly")
    rig.receivers.plan("good", status(500), status(500), status(200))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.until(lambda: rig.receivers.calls("plainly"))
    for _ in range(3):
        rig.clock.advance(2)
        await rig.rounds()
    await rig.reach(message, "succeeded")
    requests = rig.receivers.calls("good")
    assert [request.body for request in requests] == [b'{"total":1,"kind":"sum"}'] * 3
    for request in requests:
        Webhook(WHSEC).verify(request.body, dict(request.headers))
    assert rig.receivers.calls("plainly")[0].body == b'{"n":1}'


@pytest.mark.parametrize("dialect", ["openai", "plain", "cloudevents"])
async def test_a_transform_comes_before_the_envelope(rig, dialect):
    options = {"mode": "structured"} if dialect == "cloudevents" else {}
    await rig.endpoint("good", extras=Extras(transform="{total: n}"), dialect=dialect, options=options)
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    assert json.loads(rig.receivers.calls("good")[0].body)["data"] == {"total": 1}


async def test_a_payload_without_a_result_ends_its_delivery_and_no_other(rig):
    await rig.endpoint("good", extras=Extras(transform="{total: sum(n)}"), schedule_s=(1, 1, 1))
    engine = await rig.engine()
    bad, good = await rig.accept(engine), await rig.accept(engine, payload=b'{"n":[1,2]}')
    await rig.reach(bad, "aborted")
    await rig.reach(good, "succeeded")
    (attempt,) = await rig.attempts(bad)
    assert (attempt.reason, attempt.final, attempt.response_status) == ("transform_failed", True, 0)
    assert "sum()" in attempt.detail
    for _ in range(20):
        await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    (lane,) = engine.dispatcher.lanes.values()
    assert not lane.failures  # the receiver was never asked
    assert len(rig.receivers.calls("good")) == 1


async def test_a_transform_that_is_switched_off_is_not_applied(rig):
    made = await rig.endpoint("good", extras=Extras(transform="{total: n}", transform_enabled=False))
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    await rig.change(made, extras=Extras(transform="{total: n}"))
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    assert [request.body for request in rig.receivers.calls("good")] == [b'{"n":1}', b'{"total":1}']


async def test_an_expression_that_another_version_wrote(rig):
    await rig.endpoint("good", extras=Extras(transform="{total: future(n)}"))
    engine = await rig.engine()
    message = await rig.accept(engine)
    await rig.reach(message, "aborted")


async def test_expensive_transforms_are_done_aside_and_one_at_a_time(rig, monkeypatch):
    running, most, threads = [], [], set()
    real = Transform.apply

    def watched(self, payload, *, quick=False):
        if quick:
            return real(self, payload, quick=True)
        running.append(1)
        most.append(len(running))
        threads.add(threading.current_thread())
        try:
            return real(self, payload)
        finally:
            running.pop()

    monkeypatch.setattr(Transform, "apply", watched)
    await rig.endpoint("good", extras=Extras(transform="{all: n[*].[@]}"))
    engine = await rig.engine()
    payload = json.dumps({"n": list(range(5_000))}).encode()
    messages = await rig.accept_many(engine, 5, payload=payload)
    for message in messages:
        await rig.reach(message, "succeeded")
    assert most == [1] * 5
    assert threading.current_thread() not in threads
    assert len(threads) == 1
    assert len({request.body for request in rig.receivers.calls("good")}) == 1


async def test_a_transform_that_does_not_get_its_turn_is_tried_again(rig, monkeypatch):
    started, go_on = threading.Event(), threading.Event()
    real = Transform.apply

    def slow(self, payload, *, quick=False):
        if not quick:
            started.set()
            go_on.wait(10)
        return real(self, payload, quick=quick)

    monkeypatch.setattr(Transform, "apply", slow)
    policy = RetryPolicy(schedule_s=(1, 1, 1), jitter=0.0, timeout_s=0.75)
    await rig.endpoint("good", extras=Extras(transform="{all: n[*].[@]}"), policy=policy)
    engine = await rig.engine()
    message = await rig.accept(engine, payload=json.dumps({"n": list(range(5_000))}).encode())
    await rig.reach(message, "retrying")
    assert started.is_set()
    (attempt,) = await rig.attempts(message)
    assert attempt.reason == "timeout_total"
    go_on.set()
    rig.clock.advance(2)
    await rig.reach(message, "succeeded")


async def test_a_transform_and_a_token_together(rig):
    await rig.endpoint("good", extras=Extras(auth=AUTH, transform="{total: n}"))
    rig.receivers.plan("issuer", issued("one"))
    engine = await rig.engine()
    await rig.accept(engine)
    await rig.until(rig.nothing_owed)
    (request,) = rig.receivers.calls("good")
    assert (request.body, header(request, "authorization")) == (b'{"total":1}', "Bearer one")
