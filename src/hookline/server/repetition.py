"""POST requests with an `Idempotency-Key`: between the route and whatever does the work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from hookline.services import Idempotency, Principal
from hookline.services.errors import invalid
from hookline.services.idempotency import HEADER, Answer, Claim

#: operations that settle their keys themselves
KEYS_OF_THEIR_OWN: Final = frozenset({"v1.message.create"})
_REPLAYED: Final = (b"idempotent-replayed", b"true")
_NOT_KEPT: Final = frozenset({b"content-length"})


def read_header(request: Request) -> str | None:
    """The key of a request.

    Raises:
        InvalidError: there are several.
    """
    keys = request.headers.getlist(HEADER)
    if len(keys) > 1:
        raise invalid(HEADER, "Give one key.", place="header")
    return keys[0] if keys else None


async def answer_once(
    idempotency: Idempotency,
    principal: Principal,
    key: str,
    request: Request,
    handle: Callable[[Request], Awaitable[Response]],
) -> Response:
    """Do a request unless it was done before; its answer either way.

    Raises:
        InvalidError, InProgressError: as `Idempotency.begin` says.
    """
    path, query = request.url.path, request.url.query
    begun = await idempotency.begin(principal, key, path, b"%b\n%b" % (query.encode(), await request.body()))
    if isinstance(begun, Answer):
        return _replay(begun)
    return await _do(idempotency, begun, request, handle)


async def _do(
    idempotency: Idempotency, claim: Claim, request: Request, handle: Callable[[Request], Awaitable[Response]]
) -> Response:
    try:
        response = await handle(request)
    except Exception:
        await idempotency.release(claim)
        raise
    if isinstance(response, StreamingResponse):
        # Failure policy: open. What streams is not kept: it may be endless, and it changes nothing here.
        await idempotency.release(claim)
        return response
    headers = tuple((name, value) for name, value in response.raw_headers if name not in _NOT_KEPT)
    await idempotency.keep(claim, Answer(response.status_code, headers, bytes(response.body)))
    return response


def _replay(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    response.raw_headers += [*answer.headers, _REPLAYED]
    return response
