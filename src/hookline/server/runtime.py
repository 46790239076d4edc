"""One node at run time: store, transport, engine and services, made from the settings and held together.

    made ──start──> schema brought up, store open, engine running ──stop──> drained, closed

Whoever serves (HTTP, a test) gets a `Runtime` and reads what it needs; nothing of it is global.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Self

from hookline.clock import Clock, SystemClock
from hookline.egress import EgressPolicy, Fetcher, HttpTransport, Limits, Proxy, Transport
from hookline.engine import Engine, EngineOptions
from hookline.jobs import JobOptions, Tasks, build_job_runner, build_runner
from hookline.server.auth import Authenticator
from hookline.server.environment import SettingsError, variable_of
from hookline.server.lag import LagMeter
from hookline.server.secrets import prepare_secrets
from hookline.server.settings import Role, Settings
from hookline.services import (
    Alerting,
    AlertRules,
    Applications,
    AppriseNotifier,
    Attempts,
    ChecksCache,
    Directory,
    Endpoints,
    EventTypes,
    Examples,
    Idempotency,
    Keys,
    KeySets,
    MessageOptions,
    Messages,
    Notifier,
    Operations,
    Organizations,
    Sessions,
    Tokens,
)
from hookline.services.inference import UnsetBackend, build_backend
from hookline.services.openai_endpoints import OpenAIEndpoints
from hookline.services.responses import Responses
from hookline.store import Store, create_store

log = logging.getLogger("hookline.server")

ENVELOPE_BYTES = 65_536  # what a request may have around its payload


class Runtime:
    """Everything that a node consists of. Make it inside the event loop that it will run on.

    `wrap_store` may put something between the store and all that use it (a fault, a log).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        wrap_store: Callable[[Store], Store] | None = None,
        transport: Transport | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.egress_policy = egress_policy(settings)
        secrets = prepare_secrets(settings)
        self.notices = tuple(secrets.notices)
        store = create_store(settings.database_url.get_secret_value(), key_ring=secrets.key_ring, clock=self.clock)
        self.store = store if wrap_store is None else wrap_store(store)
        self.transport = transport or HttpTransport(self.egress_policy)
        self.engine = Engine(
            self.store, self.transport, engine_options(settings), clock=self.clock, role=settings.role.value
        )
        self.tokens = Tokens(secrets.jwt_secret, self.clock)
        self.keys = Keys(self.store, self.clock)
        self.sessions = Sessions(self.store, self.tokens, self.clock)
        self.authenticator = Authenticator(self.keys, self.sessions, self.clock)
        self.idempotency = Idempotency(self.store, self.clock)
        self.directory = Directory(self.store, self.clock)
        self.applications = Applications(self.store, self.directory, self.clock)
        self.organizations = Organizations(self.store)
        self.event_types = EventTypes(self.store, self.clock)
        self.checks = ChecksCache(self.store)
        self.engine.relay.refuse = self.checks.refuse
        self.endpoints = Endpoints(
            self.store, self.egress_policy, self.checks, self.clock, default_schedule_s=settings.retry_schedule
        )
        self.openai_endpoints = OpenAIEndpoints(self.endpoints, self.event_types, self.engine.trial, self.clock)
        self.key_sets = KeySets(self.engine.routing, self.clock)
        self.messages = Messages(self.store, self.engine.ingest, self.checks, self.clock, message_options(settings))
        self.engine.relay.payload_retention_s = self.messages.payload_retention_s
        self.operations = Operations(self.store, self.clock)
        self.examples = Examples(self.event_types, self.endpoints, self.messages)
        self.attempts = Attempts(self.store, self.messages, self.clock)
        self.notifier = notifier or AppriseNotifier(settings.notifier_addresses)
        self.alert_rules = AlertRules(self.store, self.directory, self.notifier.names, self.clock)
        self.alerting = Alerting(self.store, self.engine.lease, self.notifier, self.clock)
        jobs = job_options(settings)
        self.tasks = Tasks(self.store, self.directory, self.clock, jobs)
        self.runner = build_runner(self.store, self.engine.node_id, self.clock, jobs)
        #: who describes the whole catalog of an organization, one after the other
        self.describing = asyncio.Semaphore(1)
        key = settings.openai_backend_key
        self.backend = build_backend(
            settings.openai_backend,
            Fetcher(self.egress_policy.extra_ca_pem),
            key=None if key is None else key.get_secret_value(),
            timeout_s=settings.openai_backend_timeout_s,
        )
        self.responses = Responses(self.store, self.clock, most_open=settings.openai_most_queued)
        self.job_runner = build_job_runner(
            self.store, self.backend, self.engine.node_id, self.clock, announced_job_options(settings)
        )
        self.lag = LagMeter()
        #: told to stop: others should be asked from now on
        self.draining = False
        self.ping: asyncio.Task[str] | None = None
        self._opened = False

    @property
    def accepts_messages(self) -> bool:
        """Whether accepting is among this node's tasks."""
        return self.settings.role is not Role.WORKER

    @property
    def max_body_bytes(self) -> int:
        """The largest request: a payload with something around it."""
        return self.settings.max_payload_bytes + ENVELOPE_BYTES

    @property
    def portal_url(self) -> str:
        """Where customers' links lead."""
        return self.settings.portal_url or self.link("/docs")

    def link(self, path: str) -> str:
        """The address of a path as others reach it, built from the public URL."""
        return self.settings.public_url + path

    async def start(self) -> None:
        """Bring the schema up, open the store, start the engine.

        Raises:
            StoreError: the database cannot be used; the message says why.
        """
        applied = await self.store.migrate()
        if applied:
            log.info("schema brought up to date", extra={"action": "migrated", "migrations": applied})
        await self.store.open(engine=True)
        self._opened = True
        self.store.subscribe(self.checks.heard)
        try:
            await self.engine.start()
        except BaseException:
            await self._close()
            raise
        if self.settings.role is not Role.API:
            self.store.subscribe(self.runner.heard)
            self.runner.start()
            if not isinstance(self.backend, UnsetBackend):  # what is queued waits for the setting
                self.store.subscribe(self.job_runner.heard)
                self.job_runner.start()
            self.alerting.start()
        self.lag.start()

    async def stop(self, grace_s: float | None = None) -> None:
        """Stop accepting, let deliveries in flight end within the grace, give back what is left, close everything."""
        if not self._opened:
            return
        self.draining = True
        self.lag.stop()
        await self.alerting.stop()
        await asyncio.gather(self.runner.stop(), self.job_runner.stop())
        await self.engine.stop(self.settings.shutdown_grace_s if grace_s is None else grace_s)
        await self._close()

    async def _close(self) -> None:
        self._opened = False
        await self.transport.close()
        await self.store.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self.stop())


def egress_policy(settings: Settings) -> EgressPolicy:
    """The operator's rules for outbound requests."""
    proxy = settings.egress_proxy
    return EgressPolicy(
        allow=settings.egress_allow,
        deny=settings.egress_deny,
        allow_http=settings.egress_allow_http,
        limits=Limits(max_excerpt_bytes=settings.response_excerpt_bytes),
        max_connections=max(2_000, settings.max_in_flight),
        max_connections_per_host=max(64, settings.lane_concurrency),
        proxy=None if proxy is None else Proxy.parse(proxy.get_secret_value()),
        extra_ca_pem=None if settings.egress_ca_file is None else read_authorities(settings.egress_ca_file),
    )


def read_authorities(path: Path) -> str:
    """The text of a PEM file with certificates.

    Raises:
        SettingsError: it cannot be read, or has no certificate.
    """
    try:
        text = path.read_text(encoding="ascii")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        variable = variable_of("egress_ca_file")
        raise SettingsError(f"{variable}={path}: must be a file of certificates in PEM form.") from error
    return text


def engine_options(settings: Settings) -> EngineOptions:
    """How the engine paces itself."""
    return EngineOptions(
        lane_concurrency=settings.lane_concurrency,
        max_in_flight=settings.max_in_flight,
        breaker_failures=settings.breaker_failures,
        breaker_failing_s=settings.breaker_failing_s,
        disable_after_s=settings.endpoint_disable_after,
        claim_poll_s=settings.claim_poll_s,
        lease_s=settings.lease_s,
        retention_s=settings.retention_days * 86_400.0,
        retry_schedule_s=settings.retry_schedule,
        retry_after_cap_s=settings.retry_after_cap_s,
        # It replaces what each dialect has for itself (10 s, 15 s): only when the operator asked for that.
        request_timeout_s=settings.request_timeout_s if "request_timeout_s" in settings.model_fields_set else None,
        stop_grace_s=settings.shutdown_grace_s,
    )


def job_options(settings: Settings) -> JobOptions:
    """How background tasks are paced."""
    return JobOptions(lease_s=settings.lease_s, retention_s=settings.retention_days * 86_400.0)


def announced_job_options(settings: Settings) -> JobOptions:
    """The same of jobs that wait for the backend."""
    return JobOptions(
        concurrency=settings.openai_backend_concurrency,
        lease_s=settings.lease_s,
        max_attempts=settings.openai_backend_attempts,
        retention_s=settings.openai_response_retention,
        prune_every_s=60.0,
    )


def message_options(settings: Settings) -> MessageOptions:
    """The operator's limits for messages. An eventId is unique for as long as its message is kept."""
    days = settings.payload_retention_days
    return MessageOptions(
        max_payload_bytes=settings.max_payload_bytes,
        event_key_s=settings.retention_days * 86_400.0,
        retention_s=None if days is None else days * 86_400.0,
    )
