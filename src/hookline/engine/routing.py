"""Who gets what: the live endpoints of each application, in memory, with their filters compiled.

A cache with a version. Whoever changes an endpoint moves the application's routing version in the same transaction;
the change is announced on the bus and drops the table here, and the ingest transaction compares versions, so a missed
announcement costs a second selection and never a wrong one. Endpoints are used as they are at the moment of sending.

What a message's type selects is remembered for the next one. Only where an endpoint that takes the type looks inside
the payload is the payload parsed, once for all of them, and the selection made for this message alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from hookline.dialects import Dialect, Prepared, Transform, effective_policy, get_dialect, prepare_endpoint
from hookline.egress import TlsOptions
from hookline.engine.options import EngineOptions
from hookline.model import (
    NO_EXTRAS,
    ConditionError,
    Endpoint,
    EndpointStatus,
    Filter,
    OAuth2Auth,
    RetryPolicy,
    compile_filter,
    filter_of,
    read_payload,
)
from hookline.model.ordering import NO_KEY, compile_order_key
from hookline.model.payload_path import PathError
from hookline.store.protocol import EngineStore

log = logging.getLogger("hookline.engine.routing")

MAX_TABLES = 20_000  # applications whose endpoints are kept in memory


class Route:
    """One endpoint, ready to be sent to: filter compiled; signer and policy made when first needed."""

    __slots__ = (
        "_options",
        "_policy",
        "_prepared",
        "_transform",
        "dialect",
        "endpoint",
        "filter",
        "has_errand",
        "is_sequence",
        "key_of",
        "tls",
    )

    def __init__(self, endpoint: Endpoint, options: EngineOptions) -> None:
        self.endpoint = endpoint
        self.dialect: Dialect = get_dialect(endpoint.dialect)
        self.filter: Filter = _filter_of(endpoint)
        self.is_sequence = endpoint.ordered and not endpoint.keyed  # one message at a time, whatever is in it
        self.key_of: Callable[[Any], str] | None = _key_of(endpoint) if endpoint.keyed else None
        self._options = options
        self._prepared: Prepared | None = None
        self._policy: RetryPolicy | None = None
        plain = endpoint.extras is NO_EXTRAS
        self.tls: TlsOptions | None = None if plain else _tls_of(endpoint)
        self.has_errand = not plain and _has_errand(endpoint)
        self._transform: Transform | None = None

    @property
    def enabled(self) -> bool:
        return self.endpoint.status is EndpointStatus.ENABLED

    @property
    def prepared(self) -> Prepared:
        """Raises DialectError when the endpoint's secrets or options do not fit its dialect."""
        if self._prepared is None:
            self._prepared = prepare_endpoint(self.endpoint)
        return self._prepared

    @property
    def transform(self) -> Transform | None:
        """Raises TransformError when it cannot be used (another version wrote it)."""
        extras = self.endpoint.extras
        if self._transform is None and extras.transform is not None and extras.transform_enabled:
            self._transform = Transform(extras.transform)
        return self._transform

    @property
    def policy(self) -> RetryPolicy:
        if self._policy is None:
            policy = effective_policy(self.dialect, self.endpoint, self._options.retry_schedule_s)
            cap_s = min(policy.retry_after_cap_s, self._options.retry_after_cap_s)
            timeout_s = policy.timeout_s
            if self._options.request_timeout_s is not None and self.endpoint.policy is None:
                timeout_s = self._options.request_timeout_s
            self._policy = msgspec.structs.replace(policy, retry_after_cap_s=cap_s, timeout_s=timeout_s)
        return self._policy


def _has_errand(endpoint: Endpoint) -> bool:
    """Whether something must be done before a request can be built: see `engine.errands`."""
    extras = endpoint.extras
    return isinstance(extras.auth, OAuth2Auth) or (extras.transform is not None and extras.transform_enabled)


def _tls_of(endpoint: Endpoint) -> TlsOptions | None:
    """What its connections need; None for the usual. With a client certificate they are this endpoint's alone."""
    certificate, ca_pem = endpoint.extras.client_certificate, endpoint.extras.ca_pem
    if certificate is None:
        return None if ca_pem is None else TlsOptions(ca_pem)
    return TlsOptions(ca_pem, certificate.certificate_pem, certificate.private_key_pem, endpoint.id)


def _filter_of(endpoint: Endpoint) -> Filter:
    try:
        return filter_of(endpoint)
    except ConditionError as error:
        # Failure policy: closed. Conditions are checked when they come in, so these were written by another version;
        # what the endpoint does not get can be replayed, what it should not have seen cannot be taken back.
        log.error(  # noqa: TRY400  (the error is about the conditions: its trace says nothing)
            "an endpoint's filter cannot be understood; it gets nothing new",
            extra={"action": "filter_unreadable", "endpoint": endpoint.id, "reason": error.message},
        )
        return msgspec.structs.replace(
            compile_filter(endpoint.event_types, endpoint.channels), conditions=lambda _: False
        )


def _key_of(endpoint: Endpoint) -> Callable[[Any], str]:
    try:
        return compile_order_key(endpoint.extras.order_key or "")
    except PathError:
        # Failure policy: closed. The path was checked when it came in; one that is not understood any more makes the
        # order stricter: all messages have the same key.
        return lambda _: NO_KEY


class Selection(NamedTuple):
    """Who gets a message: all targets, those of them that are ordered, and a note that says why there is none.

    `order_keys` has, for endpoints that are ordered by a value in the payload, that value's text.
    """

    targets: tuple[str, ...]
    ordered: tuple[str, ...]
    note: str | None
    order_keys: Mapping[str, str] = {}


class RoutingTable:
    """The endpoints of one application at one version."""

    __slots__ = ("_candidates", "_selections", "app_id", "routes", "throttle_rate", "version")

    def __init__(
        self,
        app_id: str,
        version: int,
        endpoints: Sequence[Endpoint],
        options: EngineOptions,
        throttle_rate: int | None = None,
    ) -> None:
        self.app_id = app_id
        self.version = version
        self.throttle_rate = throttle_rate  # of all its endpoints together
        self.routes = {endpoint.id: Route(endpoint, options) for endpoint in endpoints}
        self._selections: dict[str, Selection] = {}
        self._candidates: dict[str, list[Route]] = {}  # of the types that somebody takes by what is in the payload

    def select(self, event_type: str, channels: Sequence[str], payload: bytes | None = None) -> Selection:
        """Who gets a message. Without its payload: who might, whatever is in it.

        A disabled endpoint collects nothing; a paused one goes on collecting.
        """
        if not channels:
            known = self._selections.get(event_type)
            if known is not None:
                return known
        return self._select(event_type, channels, payload)

    def select_only(self, endpoint_id: str, payload: bytes = b"") -> Selection:
        """The one endpoint that a message is for, whatever it takes: somebody asked for it to have this one."""
        route = self.routes.get(endpoint_id)
        content = None if route is None or route.key_of is None else read_payload(payload)
        return self._selection([] if route is None else [route], "the endpoint that it was for is gone", content)

    def _select(self, event_type: str, channels: Sequence[str], payload: bytes | None) -> Selection:
        routes = None if channels else self._candidates.get(event_type)
        if routes is None:
            routes = [route for route in self._collecting() if route.filter.wants(event_type, channels)]
            by_type_alone = all(route.filter.conditions is None and route.key_of is None for route in routes)
            if by_type_alone:
                selection = self._selection(routes, "no endpoint takes this event type and channel")
            if not channels:
                if len(self._selections) + len(self._candidates) > 1_000:
                    self._selections.clear()  # event types are free text: keep a hostile sender from filling memory
                    self._candidates.clear()
                if by_type_alone:
                    self._selections[event_type] = selection
                else:
                    self._candidates[event_type] = routes
            if by_type_alone:
                return selection
        if payload is None:
            return self._selection(routes, "no endpoint takes this event type and channel")
        content = read_payload(payload)
        routes = [route for route in routes if route.filter.conditions is None or route.filter.conditions(content)]
        return self._selection(routes, "no endpoint's filter takes this payload", content)

    def _collecting(self) -> list[Route]:
        return [route for route in self.routes.values() if route.endpoint.status is not EndpointStatus.DISABLED]

    def _selection(self, routes: Sequence[Route], note: str, content: Any = None) -> Selection:
        if routes:
            chosen = [route.endpoint for route in routes]
            targets = tuple(endpoint.id for endpoint in chosen)
            ordered = tuple(endpoint.id for endpoint in chosen if endpoint.ordered)
            keys = {route.endpoint.id: route.key_of(content) for route in routes if route.key_of is not None}
            return Selection(targets, ordered, None, keys)
        if not self.routes:
            return Selection((), (), "the application has no endpoint")
        return Selection((), (), note if self._collecting() else "every endpoint is disabled")


class Routing:
    """The tables of the applications that are in use; of too many, those loaded first go."""

    def __init__(self, store: EngineStore, options: EngineOptions) -> None:
        self._store = store
        self._options = options
        self._tables: OrderedDict[str, RoutingTable] = OrderedDict()
        self._loading: dict[str, asyncio.Task[RoutingTable | None]] = {}

    def cached(self, app_id: str) -> RoutingTable | None:
        return self._tables.get(app_id)

    async def get(self, app_id: str) -> RoutingTable | None:
        """The current table; None when there is no such application. One load serves all who wait."""
        table = self._tables.get(app_id)
        if table is not None:
            return table
        task = self._loading.get(app_id)
        if task is None:
            task = self._loading[app_id] = asyncio.create_task(self._load(app_id))
            task.add_done_callback(lambda done: self._loaded(app_id, done))
        return await asyncio.shield(task)

    def invalidate(self, app_id: str) -> None:
        """Forget a table: its endpoints changed. A load that is under way may have read the old state: not kept."""
        self._tables.pop(app_id, None)
        self._loading.pop(app_id, None)

    def invalidate_all(self) -> None:
        self._tables.clear()
        self._loading.clear()

    async def _load(self, app_id: str) -> RoutingTable | None:
        loaded = await self._store.load_routing(app_id)
        if loaded is None:
            return None
        return RoutingTable(app_id, loaded.version, loaded.endpoints, self._options, loaded.throttle_rate)

    def _loaded(self, app_id: str, task: asyncio.Task[RoutingTable | None]) -> None:
        failed = task.cancelled() or task.exception() is not None  # who awaits the task gets the exception
        if self._loading.get(app_id) is not task:
            return
        del self._loading[app_id]
        if failed:
            return
        table = task.result()
        if table is not None:
            self._tables[app_id] = table
            if len(self._tables) > MAX_TABLES:
                self._tables.popitem(last=False)
