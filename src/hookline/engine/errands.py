"""Errands: what the few endpoints need that cannot simply be sent to, done for one attempt at a time.

    payload transformed ──> token held, or fetched ──> request built, with the token ──> sent
          │                            │                                                  └──401──> once more
          │                            └──> no token: the attempt fails, its delivery goes on by its schedule
          └──> no result: the delivery ends, because tomorrow there would be none either

An endpoint has the one, the other, or both.

Everything lies within the time of the attempt, and the attempt keeps its lane's place for as long, as if the receiver
were slow: so nobody else waits for it. The second request with a fresh token belongs to the same attempt: a token that
ran out early is no failure of the delivery, and under a policy where 4xx is final it must not become one.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable

from hookline.clock import Clock
from hookline.dialects import AttemptContext, DialectError
from hookline.egress import AccessTokens, Failure, Outcome, Reason, Request, TlsOptions, Transport
from hookline.engine.delivery import Delivery
from hookline.engine.routing import Route
from hookline.engine.transforming import Transforming
from hookline.model import MANUAL_NUMBER, Kind, Message, OAuth2Auth
from hookline.signatures import SignatureError

log = logging.getLogger("hookline.engine.errands")

UNAUTHORIZED = 401


def build_request(
    route: Route, delivery: Delivery, now_ms: int, transformed: Message | None = None
) -> Request | Failure:
    """The request for a delivery's next attempt, or why there cannot be one."""
    number = MANUAL_NUMBER if delivery.kind is Kind.MANUAL else delivery.number
    try:
        built = route.prepared.build(transformed or delivery.message, AttemptContext(number=number, now_ms=now_ms))
        return Request(built.method, built.url, built.headers, built.body, route.policy.timeout_s, route.tls)
    except (DialectError, SignatureError) as error:
        return Failure(Reason.INVALID_REQUEST, error.message)
    except Exception as error:
        # Failure policy: open. A mistake of ours in building one request is that delivery's failed attempt.
        log.exception("a request cannot be built", extra={"action": "build_failed"})
        return Failure(Reason.INVALID_REQUEST, f"The request could not be built ({type(error).__name__}).")


class Errands:
    """Runs them. `may_send` is asked before each request: what was true at the start may have changed meanwhile."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport = transport
        self._clock = clock
        self._tokens = AccessTokens(transport, clock)
        self._transforming = Transforming()

    def close(self) -> None:
        self._transforming.close()

    async def run(self, route: Route, delivery: Delivery, may_send: Callable[[], bool]) -> Outcome:
        """The outcome of one attempt; its duration has everything in it."""
        started_s = self._clock.monotonic_s()
        outcome = await self._run(route, delivery, started_s + route.policy.timeout_s, may_send)
        outcome.duration_ms = (self._clock.monotonic_s() - started_s) * 1000
        return outcome

    async def _run(self, route: Route, delivery: Delivery, deadline_s: float, may_send: Callable[[], bool]) -> Outcome:
        message = await self._transforming.apply(route, delivery.message, self._left(deadline_s))
        if isinstance(message, Failure):
            return message

        def build() -> Request | Failure:
            return build_request(route, delivery, self._clock.now_ms(), message)

        auth = route.endpoint.extras.auth
        if isinstance(auth, OAuth2Auth):
            return await self._send_with_token(route, auth, build, deadline_s, may_send)
        request = build()
        return request if isinstance(request, Failure) else await self._send(request, deadline_s, may_send)

    async def _send(self, request: Request, deadline_s: float, may_send: Callable[[], bool]) -> Outcome:
        left_s = self._left(deadline_s)
        if not may_send():
            return Failure(Reason.CANCELED)
        if left_s <= 0:
            return Failure(Reason.TIMEOUT_TOTAL)
        return await self._transport.send(dataclasses.replace(request, timeout_s=left_s))

    async def _send_with_token(
        self,
        route: Route,
        auth: OAuth2Auth,
        build: Callable[[], Request | Failure],
        deadline_s: float,
        may_send: Callable[[], bool],
    ) -> Outcome:
        outcome: Outcome = Failure(Reason.TIMEOUT_TOTAL)
        for again in (False, True):
            token = await self._tokens.get(route.endpoint.id, auth, self._left(deadline_s), _authorities(route))
            if isinstance(token, Failure):
                return outcome if again and token.reason is Reason.OAUTH_TOKEN_FAILED else token
            request = build()
            if isinstance(request, Failure):
                return request
            headers = (*request.headers, ("authorization", f"Bearer {token.value}"))
            outcome = await self._send(dataclasses.replace(request, headers=headers), deadline_s, may_send)
            refused = not isinstance(outcome, Failure) and outcome.status == UNAUTHORIZED
            if not refused or not self._tokens.reject(route.endpoint.id, token):
                break
        return outcome

    def _left(self, deadline_s: float) -> float:
        return max(0.0, deadline_s - self._clock.monotonic_s())


def _authorities(route: Route) -> TlsOptions | None:
    """Whom a token endpoint's certificate may be from: the endpoint's own authorities count, its certificate stays."""
    ca_pem = route.endpoint.extras.ca_pem
    return None if ca_pem is None else TlsOptions(ca_pem)
