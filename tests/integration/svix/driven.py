"""The official SDK's two clients behind one way of calling, and a receiver that verifies with the SDK's own verifier.

A walk is written once: `svix.endpoint.create(...)` gives the answer, whichever client is behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from svix.api import EndpointIn, EndpointPatch, Svix, SvixAsync, SvixOptions
from svix.webhooks import Webhook

from support.server import PATIENCE_S, Delivered, Receiver

T = TypeVar("T")


class Driven:
    """A client, or one of its groups of methods. What a method promises is waited for."""

    def __init__(self, target: Any, run: Callable[[Any], Any]) -> None:
        self._target = target
        self._run = run

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not inspect.ismethod(found):
            return Driven(found, self._run)

        def call(*arguments: Any) -> Any:
            answer = found(*arguments)
            return self._run(answer) if inspect.isawaitable(answer) else answer

        return call


@contextlib.contextmanager
def drive(kind: type[Svix | SvixAsync], url: str, token: str) -> Iterator[Driven]:
    """A client of this kind, with an event loop of its own if it needs one. It repeats no request by itself."""
    sdk = kind(token, SvixOptions(server_url=url, retry_schedule=[], timeout=PATIENCE_S))
    with asyncio.Runner() as runner:
        yield Driven(sdk, runner.run)
        # It has no way of its own to close.
        if isinstance(sdk, SvixAsync):
            runner.run(sdk._httpx_client.aclose())
        else:
            sdk._httpx_client.close()


class Inbox:
    """Endpoints at a receiver, each at a path of its own; whatever arrives is verified with its endpoint's secret."""

    def __init__(self, svix: Driven, receiver: Receiver) -> None:
        self._svix = svix
        self._receiver = receiver
        self._endpoints: dict[str, tuple[str, str]] = {}

    def subscribe(self, app_id: str, status: int = 200, **fields: Any) -> Any:
        """A new endpoint whose receiver answers with this status."""
        path = f"/{status}/inbox{len(self._endpoints)}"
        endpoint = self._svix.endpoint.create(app_id, EndpointIn(url=self._receiver.url + path, **fields))
        self._endpoints[path] = (app_id, endpoint.id)
        return endpoint

    def now_answering(self, endpoint: Any, status: int) -> str:
        """Another URL for an endpoint, whose receiver answers with this status."""
        path = f"/{status}/inbox{len(self._endpoints)}"
        self._endpoints[path] = next(known for known in self._endpoints.values() if known[1] == endpoint.id)
        return self._receiver.url + path

    def move(self, endpoint: Any, status: int) -> None:
        """Let the endpoint's receiver answer with this status from now on."""
        app_id, _ = self._endpoints[endpoint.url.removeprefix(self._receiver.url)]
        path = f"/{status}/inbox{len(self._endpoints)}"
        self._endpoints[path] = (app_id, endpoint.id)
        self._svix.endpoint.patch(app_id, endpoint.id, EndpointPatch(url=self._receiver.url + path))

    def next(self) -> Delivered:
        """The next delivery. Raises WebhookVerificationError unless its endpoint's secret signed it."""
        arrived = self._receiver.next()
        app_id, endpoint_id = self._endpoints[arrived.path]
        secret = self._svix.endpoint.get_secret(app_id, endpoint_id).key
        Webhook(secret).verify(arrived.body, arrived.headers)
        return arrived

    def is_empty(self) -> bool:
        return self._receiver.arrived.empty()


def wait_for(ask: Callable[[], T], is_there: Callable[[T], bool]) -> T:
    """Ask until the answer is there: outcomes are written a moment after the request."""
    until_s = time.monotonic() + PATIENCE_S
    answer = ask()
    while not is_there(answer) and time.monotonic() < until_s:
        answer = ask()
    assert is_there(answer), answer
    return answer
