"""A trial: one request to an endpoint at once, for somebody who waits to see what comes back.

It stands outside of everything that is owed: no lane, no attempt on record, no effect on the endpoint. What differs
from a delivery is only that; the request is built, signed and sent by the same parts.
"""

from __future__ import annotations

from hookline.clock import Clock
from hookline.egress import Failure, Outcome, Transport
from hookline.engine.delivery import Delivery
from hookline.engine.errands import Errands, build_request
from hookline.engine.options import EngineOptions
from hookline.engine.routing import Route
from hookline.model import Endpoint, Kind, Message


class Trial:
    """Sends what nobody is owed."""

    def __init__(self, transport: Transport, errands: Errands, clock: Clock, options: EngineOptions) -> None:
        self._transport = transport
        self._errands = errands
        self._clock = clock
        self._options = options

    async def send(self, endpoint: Endpoint, message: Message) -> Outcome:
        """What the receiver answered, or why there is no answer."""
        route = Route(endpoint, self._options)
        delivery = Delivery(message, endpoint.id, 0, kind=Kind.MANUAL)
        if route.has_errand:
            return await self._errands.run(route, delivery, lambda: True)
        request = build_request(route, delivery, self._clock.now_ms())
        return request if isinstance(request, Failure) else await self._transport.send(request)
