"""A trial: one request to an endpoint at once, for somebody who waits to see what comes back.

It stands outside of everything that is owed: no lane, no attempt on record, no effect on the endpoint. What differs
from a delivery is only that; the request is built, signed and sent by the same parts. As no lane bounds trials, they
have bounds of their own: whoever tries receivers that never answer must not use up the connections of all deliveries.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from hookline.clock import Clock
from hookline.egress import Failure, Outcome, Transport
from hookline.engine.delivery import Delivery
from hookline.engine.errands import Errands, build_request
from hookline.engine.errors import OverloadedError
from hookline.engine.options import EngineOptions
from hookline.engine.routing import Route
from hookline.model import Endpoint, Kind, Message

MOST_AT_ONCE: Final = 50  # on one node
MOST_OF_APPLICATION: Final = 5


class Trial:
    """Sends what nobody is owed."""

    def __init__(self, transport: Transport, errands: Errands, clock: Clock, options: EngineOptions) -> None:
        self._transport = transport
        self._errands = errands
        self._clock = clock
        self._options = options
        self._running: Counter[str] = Counter()

    async def send(self, endpoint: Endpoint, message: Message) -> Outcome:
        """What the receiver answered, or why there is no answer.

        Raises:
            OverloadedError: too many are tried at this moment.
        """
        app_id = endpoint.app_id
        if self._running.total() >= MOST_AT_ONCE or self._running[app_id] >= MOST_OF_APPLICATION:
            raise OverloadedError(
                "Too many endpoints are being tried at this moment. Try again when they have answered."
            )
        self._running[app_id] += 1
        try:
            return await self._send(endpoint, message)
        finally:
            self._running[app_id] -= 1
            if not self._running[app_id]:
                del self._running[app_id]

    async def _send(self, endpoint: Endpoint, message: Message) -> Outcome:
        route = Route(endpoint, self._options)
        delivery = Delivery(message, endpoint.id, 0, kind=Kind.MANUAL)
        if route.has_errand:
            return await self._errands.run(route, delivery, lambda: True)
        request = build_request(route, delivery, self._clock.now_ms())
        return request if isinstance(request, Failure) else await self._transport.send(request)
