"""The route class and the dependencies of authenticated APIs.

In this order, whatever the route: who is calling, whether they may (`access`), then the body. Nobody whom we do not
know gets a byte of theirs read into memory. The body must be strict JSON: no member twice, no NaN, no half of a
surrogate pair, nesting with a bound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, MutableMapping
from typing import Annotated, Any, Final

import orjson
from fastapi import Depends, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.responses import Response

from hookline.server import access, repetition
from hookline.server.runtime import Runtime
from hookline.services import InvalidError, NotOfferedError, Principal, Problem
from hookline.services.validation import find_repeated
from hookline.store import AppScope

MAX_DEPTH: Final = 200

#: for the API's description only: `AuthenticatedRoute` does the work
BEARER: Final = Security(HTTPBearer(auto_error=False, description="An API key (`hk_...`) or a signed token."))


class JsonRequest(Request):
    """A request whose body is JSON whatever its content type says, read strictly and once."""

    async def read_json(self) -> None:
        """Raises InvalidError when the body is not strict JSON."""
        body = await self.body()
        if body:
            self._json = read_strict_json(body)
            _call_it_json(self.scope)

    async def json(self) -> Any:
        return self._json


class AuthenticatedRoute(APIRoute):
    """A route that only known callers reach, those whom its line in `access.ACCESS` lets in; the caller is in
    `request.state.principal`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        has_body = self.body_field is not None
        operation_id = self.operation_id
        repeatable = "POST" in (self.methods or ()) and operation_id not in repetition.KEYS_OF_THEIR_OWN

        async def handle_authenticated(request: Request) -> Response:
            authorization = self.read_authorization(request)
            principal = await runtime_of(request).authenticator.authenticate(authorization)
            access.check(principal, operation_id)
            request.state.principal = principal
            if has_body:
                request = JsonRequest(request.scope, request.receive)
                await request.read_json()
            key = repetition.read_header(request) if repeatable else None
            if key is None:
                return await handle(request)
            idempotency = runtime_of(request).idempotency
            return await repetition.answer_once(idempotency, principal, key, request, handle)

        return handle_authenticated

    def read_authorization(self, request: Request) -> str | None:
        """The caller's credential; surfaces whose clients send it elsewhere have a route class of their own."""
        return request.headers.get("authorization")


def runtime_of(request: Request) -> Runtime:
    runtime: Runtime = request.app.state.runtime
    return runtime


def require_accepting(runtime: Runtime) -> None:
    """Raises NotOfferedError when this node takes no messages."""
    if not runtime.accepts_messages:
        raise NotOfferedError(
            "This node only delivers (its role is worker). Send messages to a node that accepts them."
        )


async def _caller(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


async def _sender(request: Request) -> Principal:
    principal: Principal = request.state.principal
    principal.require_sender()
    require_accepting(runtime_of(request))
    return principal


async def _organization(request: Request) -> Principal:
    principal: Principal = request.state.principal
    principal.require_organization()
    return principal


async def _scope(request: Request, app_id: str) -> AppScope:
    principal: Principal = request.state.principal
    return await runtime_of(request).directory.resolve(principal, app_id)


async def _runtime(request: Request) -> Runtime:
    return runtime_of(request)


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
#: anybody whom we know
Caller = Annotated[Principal, Depends(_caller)]
#: who may send messages
Sender = Annotated[Principal, Depends(_sender)]
#: an organization, not just one application of it
Organization = Annotated[Principal, Depends(_organization)]
#: the application that the path names, if the caller may see it
Scope = Annotated[AppScope, Depends(_scope)]


def read_strict_json(body: bytes) -> Any:
    """Parse JSON without leniency.

    Raises:
        InvalidError: it is not JSON, repeats a member, or nests too deeply.
    """
    try:
        value = orjson.loads(body)  # refuses NaN, bad UTF-8 and half surrogates
        if body.count(b'"') > 2:
            json.loads(body, object_pairs_hook=_object_without_repetition)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidError([Problem((), "The body is not valid JSON.", "json_invalid")]) from error
    if _depth(value) > MAX_DEPTH:
        raise InvalidError([Problem((), f"The body nests more than {MAX_DEPTH} levels deep.", "json_invalid")])
    return value


def _object_without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        repeated = find_repeated(name for name, _ in pairs) or ""
        raise InvalidError([Problem((repeated,), "This member is there twice. Keep one.", "json_repeated")])
    return members


def _depth(value: Any) -> int:
    """How deeply arrays and objects nest, without recursion of our own."""
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return depth


def _call_it_json(scope: MutableMapping[str, Any]) -> None:
    """Many clients send JSON under another content type, or under none: that is not worth an error."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    scope["headers"] = [*headers, (b"content-type", b"application/json")]
