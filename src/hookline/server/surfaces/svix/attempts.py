"""Attempts: what happened to messages, and one more try."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Response, status

from hookline.model import Attempt, ids
from hookline.server.routing import BEARER, AuthenticatedRoute, RuntimeDep, Scope
from hookline.server.runtime import Runtime
from hookline.server.surfaces.svix.messages import JSON, WithContent
from hookline.server.surfaces.svix.paging import DEFAULT_LIMIT, AttemptsWhere, Iterator, Limit, iterators, read_page
from hookline.server.surfaces.svix.rendering import render_delivery, write_attempt, write_list, write_message
from hookline.server.surfaces.svix.shapes import AttemptOut, ListOut, MessageEndpointOut
from hookline.store import AppScope, Slice

router = APIRouter(
    prefix="/app/{app_id}", tags=["Message Attempt"], route_class=AuthenticatedRoute, dependencies=[BEARER]
)

WithMessage = Annotated[bool, Query(description="Whether each attempt has its message.")]
_NOTHING: Final = write_list([], None, None, done=True)


@router.get("/attempt/msg/{msg_id}", operation_id="v1.message-attempt.list-by-msg", response_model=ListOut[AttemptOut])
async def list_by_message(
    runtime: RuntimeDep,
    scope: Scope,
    msg_id: str,
    where: AttemptsWhere,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    endpoint_id: Annotated[str | None, Query(description="Only to this endpoint (id or uid).")] = None,
    with_content: WithContent = True,
) -> Response:
    page = read_page(ids.ATTEMPT, limit, iterator, ascending=False)
    message = await runtime.messages.get(scope, msg_id, with_content=False)
    if where is None:
        return Response(_NOTHING, media_type=JSON)
    if endpoint_id is not None:
        endpoint = await runtime.endpoints.get(scope, endpoint_id)
        where = msgspec.structs.replace(where, endpoint_id=endpoint.id)
    rows = await runtime.attempts.list_of_message(scope, message.id, page, where)
    return _write_page(rows, [write_attempt(row, with_content=with_content) for row in rows.rows])


@router.get(
    "/attempt/endpoint/{endpoint_id}",
    operation_id="v1.message-attempt.list-by-endpoint",
    response_model=ListOut[AttemptOut],
)
async def list_by_endpoint(
    runtime: RuntimeDep,
    scope: Scope,
    endpoint_id: str,
    where: AttemptsWhere,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    with_content: WithContent = True,
    with_msg: WithMessage = False,
) -> Response:
    page = read_page(ids.ATTEMPT, limit, iterator, ascending=False)
    endpoint = await runtime.endpoints.get(scope, endpoint_id)
    if where is None:
        return Response(_NOTHING, media_type=JSON)
    rows = await runtime.attempts.list_of_endpoint(scope, endpoint.id, page, where)
    messages = await _messages_of(runtime, scope, rows.rows, with_content=with_content) if with_msg else {}
    items = [write_attempt(row, with_content=with_content, message=messages.get(row.message_id)) for row in rows.rows]
    return _write_page(rows, items)


@router.get(
    "/msg/{msg_id}/endpoint",
    operation_id="v1.message-attempt.list-attempted-destinations",
)
async def list_destinations(
    runtime: RuntimeDep,
    scope: Scope,
    msg_id: str,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
) -> ListOut[MessageEndpointOut]:
    """The endpoints that a message was for, and where each delivery stands. Deleted endpoints are left out."""
    page = read_page(ids.ENDPOINT, limit, iterator, ascending=True)
    deliveries = sorted(await runtime.attempts.deliveries_of_message(scope, msg_id), key=lambda view: view.endpoint_id)
    if page.before is not None:
        before = [view for view in deliveries if view.endpoint_id < page.before]
        chosen, done = before[-limit:], len(before) <= limit
    else:
        following = [view for view in deliveries if page.after is None or view.endpoint_id > page.after]
        chosen, done = following[:limit], len(following) <= limit
    data = []
    for view in chosen:
        endpoint = await runtime.endpoints.find(scope, view.endpoint_id)
        if endpoint is not None:
            data.append(render_delivery(endpoint, view))
    return ListOut(
        data=data,
        iterator=chosen[-1].endpoint_id if chosen else None,
        prev_iterator=f"-{chosen[0].endpoint_id}" if chosen else None,
        done=done,
    )


@router.get("/msg/{msg_id}/attempt/{attempt_id}", operation_id="v1.message-attempt.get", response_model=AttemptOut)
async def get_attempt(runtime: RuntimeDep, scope: Scope, msg_id: str, attempt_id: str) -> Response:
    attempt = await runtime.attempts.get(scope, msg_id, attempt_id)
    return Response(write_attempt(attempt, with_content=True), media_type=JSON)


@router.delete(
    "/msg/{msg_id}/attempt/{attempt_id}/content",
    status_code=status.HTTP_204_NO_CONTENT,
    operation_id="v1.message-attempt.expunge-content",
)
async def expunge_attempt(runtime: RuntimeDep, scope: Scope, msg_id: str, attempt_id: str) -> None:
    """Forget what the receiver answered; `EXPUNGED` stands in its place."""
    await runtime.attempts.expunge(scope, msg_id, attempt_id)


@router.post(
    "/msg/{msg_id}/endpoint/{endpoint_id}/resend",
    status_code=status.HTTP_202_ACCEPTED,
    operation_id="v1.message-attempt.resend",
)
async def resend(runtime: RuntimeDep, scope: Scope, msg_id: str, endpoint_id: str) -> dict[str, str]:
    """Try once more, now, beside the schedule."""
    await runtime.attempts.resend(scope, msg_id, endpoint_id)
    return {}


async def _messages_of(
    runtime: Runtime, scope: AppScope, attempts: list[Attempt], *, with_content: bool
) -> dict[str, bytes]:
    written: dict[str, bytes] = {}
    for attempt in attempts:
        if attempt.message_id not in written:
            message = await runtime.messages.find(scope, attempt.message_id)
            if message is not None:
                written[message.id] = write_message(message, with_content=with_content)
    return written


def _write_page(rows: Slice[Attempt], items: list[bytes]) -> Response:
    following, previous = iterators([row.id for row in rows.rows], rows)
    return Response(write_list(items, following, previous, done=rows.done), media_type=JSON)
