"""The hot route's answers: `POST /api/v1/app/{app}/msg`, straight from the connection to the engine and back.

    headers ──caller, application and checks remembered──> admitted ──body──> draft ──ingest──> 202, when it is on disk
       └──not remembered──> the framework's route, which looks them up and remembers

Nobody who is not known already gets a byte of theirs held here. Every refusal is the very answer that the framework's
route would give: the services decide, `describe` writes it. What is remembered is looked up again before it expires,
in the background, so that a busy sender never falls back to the long way all at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from functools import lru_cache, partial
from typing import Any, Final
from urllib.parse import parse_qs

from pydantic import TypeAdapter, ValidationError

from hookline.engine import Draft, Receipt, UnknownApplicationError
from hookline.errors import HooklineError
from hookline.server.auth import read_bearer
from hookline.server.errors import ErrorAnswer, describe, internal_error, too_large
from hookline.server.gate import REQUEST_ID_HEADER, USABLE_ID
from hookline.server.hotpath import Exchange, Headers
from hookline.server.runtime import Runtime
from hookline.server.surfaces.svix.message_body import read_message
from hookline.server.surfaces.svix.rendering import write_message
from hookline.services import Checks
from hookline.services.errors import invalid
from hookline.store import AppScope

log = logging.getLogger("hookline.server")

_BOOLEAN: Final = TypeAdapter(bool)
REFRESH_AFTER_S: Final = 2.0  # well below what callers and applications are remembered for
MAX_REFRESHED: Final = 10_000


class Ticket:
    """What the headers of an admitted request say."""

    __slots__ = ("checks", "idempotency_key", "request_id", "scope")

    def __init__(self, scope: AppScope, checks: Checks, idempotency_key: str | None, request_id: bytes) -> None:
        self.scope = scope
        self.checks = checks
        self.idempotency_key = idempotency_key
        self.request_id = request_id


class HotMessages:
    """A `HotRoute` for one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.max_body_bytes = runtime.max_body_bytes
        self._tasks: set[asyncio.Task[None]] = set()
        self._refreshed: dict[tuple[str, str], float] = {}

    def admit(self, application: bytes, headers: Headers) -> Ticket | None:
        """Whether this request is answered here; None sends it the long way, refusals included."""
        if not self._runtime.accepts_messages:
            return None
        authorization = key = None
        request_id = b""
        for name, value in headers:
            if name == b"authorization":
                if authorization is not None:
                    return None  # which one is meant is for one place to say
                authorization = value.decode("latin-1")
            elif name == b"idempotency-key":
                if key is not None:
                    return None
                key = value.decode("latin-1")
            elif name == REQUEST_ID_HEADER:
                if not request_id and USABLE_ID.fullmatch(value):
                    request_id = value
            elif name == b"origin":
                return None  # a browser: CORS is the framework's business
        app = application.decode("ascii")
        try:
            credential = read_bearer(authorization)
            principal = self._runtime.authenticator.remembered(credential)
            if principal is None or not principal.may_send:
                return None
            scope = self._runtime.directory.remembered(principal, app)
        except HooklineError:
            return None
        if scope is None:
            return None
        checks = self._runtime.checks.remembered(scope.org_id)
        if checks is None:
            return None
        self._refresh(credential, app)
        return Ticket(scope, checks, key, request_id or os.urandom(8).hex().encode())

    def __call__(self, exchange: Exchange[Ticket]) -> None:
        ticket = exchange.ticket
        if exchange.too_large:
            _answer(exchange, too_large(self.max_body_bytes))
            return
        try:
            read_with_content(exchange.query)  # remembered: what is wrong with it is said before anything is accepted
            draft = self._runtime.messages.draft(
                ticket.scope,
                read_message(exchange.body),
                checks=ticket.checks,
                request=exchange.body,
                idempotency_key=ticket.idempotency_key,
            )
        except HooklineError as error:
            _refuse(exchange, error)
        except Exception as error:  # noqa: BLE001
            _fail(exchange, error)
        else:
            self._runtime.engine.ingest.offer(draft, partial(self._accepted, draft, exchange))

    def _accepted(self, draft: Draft, exchange: Exchange[Ticket], answer: Receipt | HooklineError) -> None:
        if isinstance(answer, HooklineError):
            if isinstance(answer, UnknownApplicationError):
                self._runtime.directory.forget()  # deleted since it was looked up
            _refuse(exchange, answer)
        elif answer.duplicate is not None:
            self._spawn(self._settle(draft, exchange, answer))
        else:
            body = write_message(answer.message, with_content=read_with_content(exchange.query))
            exchange.answer(202, body, ((REQUEST_ID_HEADER, exchange.ticket.request_id),))

    async def _settle(self, draft: Draft, exchange: Exchange[Ticket], receipt: Receipt) -> None:
        """One of its keys is taken: by the same request, or by another one?"""
        try:
            message = await self._runtime.messages.settle(draft, receipt)
        except HooklineError as error:
            _refuse(exchange, error)
        except Exception as error:  # noqa: BLE001
            _fail(exchange, error)
        else:
            body = write_message(message, with_content=read_with_content(exchange.query))
            exchange.answer(202, body, ((REQUEST_ID_HEADER, exchange.ticket.request_id),))

    def _refresh(self, credential: str, app: str) -> None:
        now_s = self._runtime.clock.monotonic_s()
        if now_s - self._refreshed.get((credential, app), float("-inf")) < REFRESH_AFTER_S:
            return
        if len(self._refreshed) >= MAX_REFRESHED:
            self._refreshed.clear()
        self._refreshed[credential, app] = now_s
        self._spawn(self._look_up(credential, app))

    async def _look_up(self, credential: str, app: str) -> None:
        try:
            caller = await self._runtime.authenticator.authenticate_anew(credential)
            scope = await self._runtime.directory.resolve(caller, app)
            await self._runtime.checks.confirm(scope.org_id)
        except HooklineError as error:
            # Failure policy: closed. What cannot be looked up again is forgotten when its time is over.
            log.debug("not refreshed", extra={"action": "not_refreshed", "reason": error.code})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@lru_cache(maxsize=256)
def read_with_content(query: bytes) -> bool:
    """Whether the answer should have the payload; it should, unless the query says otherwise.

    Raises:
        InvalidError: the parameter is no boolean.
    """
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("with_content")
    if not values:
        return True
    try:
        return _BOOLEAN.validate_python(values[-1])
    except ValidationError as error:
        problem = error.errors()[0]
        raise invalid("with_content", problem["msg"], problem["type"], "query") from error


def _refuse(exchange: Exchange[Ticket], error: HooklineError) -> None:
    _answer(exchange, describe(error))


def _fail(exchange: Exchange[Ticket], error: Exception) -> None:
    # Failure policy: closed for this request, open for the server. The fault is ours and is in the log.
    request_id = exchange.ticket.request_id.decode("ascii")
    log.error("request failed", exc_info=error, extra={"action": "request_failed", "request_id": request_id})
    _answer(exchange, internal_error())


def _answer(exchange: Exchange[Ticket], answer: ErrorAnswer) -> None:
    headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
    exchange.answer(answer.status, answer.body, (*headers, (REQUEST_ID_HEADER, exchange.ticket.request_id)))
