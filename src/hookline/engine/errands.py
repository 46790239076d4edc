"""Errands: what the few endpoints need that cannot simply be sent to, done for one attempt at a time.

    token held, or fetched ──> request built, with the token ──> sent ──401 for a token of some age──> once more
                       └──> no token: the attempt fails (`oauth_token_failed`), its delivery goes on by its schedule

Everything lies within the time of the attempt, and the attempt keeps its lane's place for as long, as if the receiver
were slow: so nobody else waits for it. The second request with a fresh token belongs to the same attempt: a token that
ran out early is no failure of the delivery, and under a policy where 4xx is final it must not become one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from hookline.clock import Clock
from hookline.dialects import AttemptContext, DialectError
from hookline.egress import AccessTokens, Failure, Outcome, Reason, Request, TlsOptions, Transport
from hookline.engine.delivery import Delivery
from hookline.engine.routing import Route
from hookline.model import MANUAL_NUMBER, Kind, OAuth2Auth
from hookline.signatures import SignatureError

log = logging.getLogger("hookline.engine.errands")

UNAUTHORIZED = 401


def build_request(route: Route, delivery: Delivery, now_ms: int) -> Request | Failure:
    """The request for a delivery's next attempt, or why there cannot be one."""
    number = MANUAL_NUMBER if delivery.kind is Kind.MANUAL else delivery.number
    try:
        built = route.prepared.build(delivery.message, AttemptContext(number=number, now_ms=now_ms))
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

    async def run(self, route: Route, delivery: Delivery, may_send: Callable[[], bool]) -> Outcome:
        """The outcome of one attempt; its duration has everything in it."""
        started_s = self._clock.monotonic_s()
        outcome = await self._send(route, delivery, started_s + route.policy.timeout_s, may_send)
        outcome.duration_ms = (self._clock.monotonic_s() - started_s) * 1000
        return outcome

    async def _send(self, route: Route, delivery: Delivery, deadline_s: float, may_send: Callable[[], bool]) -> Outcome:
        auth = route.endpoint.extras.auth
        assert isinstance(auth, OAuth2Auth)
        outcome: Outcome = Failure(Reason.TIMEOUT_TOTAL)
        for again in (False, True):
            token = await self._tokens.get(route.endpoint.id, auth, self._left(deadline_s), _authorities(route))
            if isinstance(token, Failure):
                return outcome if again and token.reason is Reason.OAUTH_TOKEN_FAILED else token
            if not may_send():
                return Failure(Reason.CANCELED)
            request = self._with_token(build_request(route, delivery, self._clock.now_ms()), token.value, deadline_s)
            if isinstance(request, Failure):
                return request
            outcome = await self._transport.send(request)
            refused = not isinstance(outcome, Failure) and outcome.status == UNAUTHORIZED
            if not refused or not self._tokens.reject(route.endpoint.id, token):
                break
        return outcome

    def _with_token(self, request: Request | Failure, token: str, deadline_s: float) -> Request | Failure:
        if isinstance(request, Failure):
            return request
        left_s = self._left(deadline_s)
        if left_s <= 0:
            return Failure(Reason.TIMEOUT_TOTAL)
        headers = (*request.headers, ("authorization", f"Bearer {token}"))
        return Request(request.method, request.url, headers, request.body, left_s, request.tls)

    def _left(self, deadline_s: float) -> float:
        return max(0.0, deadline_s - self._clock.monotonic_s())


def _authorities(route: Route) -> TlsOptions | None:
    """Whom a token endpoint's certificate may be from: the endpoint's own authorities count, its certificate stays."""
    ca_pem = route.endpoint.extras.ca_pem
    return None if ca_pem is None else TlsOptions(ca_pem)
