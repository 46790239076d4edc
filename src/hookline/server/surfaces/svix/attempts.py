"""Attempts: what happened to messages, and one more try."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Query, Response, status

from hookline.model import Attempt, AttemptStatus, ids
from hookline.server.routing import BEARER, AuthenticatedRoute, Caller, RuntimeDep, Scope
from hookline.server.runtime import Runtime
from hookline.server.surfaces.svix.messages import JSON, WithContent
from hookline.server.surfaces.svix.moments import read_moment
from hookline.server.surfaces.svix.paging import (
    DEFAULT_LIMIT,
    AttemptsWhere,
    Iterator,
    Limit,
    States,
    Where,
    iterators,
    read_page,
)
from hookline.server.surfaces.svix.rendering import (
    render_delivery,
    write_attempt,
    write_endpoint_message,
    write_list,
    write_message,
)
from hookline.server.surfaces.svix.shapes import (
    AttemptOut,
    EndpointAttemptStatsOut,
    EndpointMessageOut,
    EndpointStatsOut,
    ListOut,
    MessageEndpointOut,
)
from hookline.services import Capability
from hookline.store import AppScope, MessageFilter, Page, Slice

router = APIRouter(
    prefix="/app/{app_id}", tags=["Message Attempt"], route_class=AuthenticatedRoute, dependencies=[BEARER]
)

WithMessage = Annotated[bool, Query(description="Whether each attempt has its message.")]
_NOTHING: Final = write_list([], None, None, done=True)
_UNSETTLED_STATUS: Final = {"pending": 1, "sending": 3}


ExpandedStatuses = Annotated[
    bool, Query(description="Whether canceled attempts are shown as 4; else as 0, for clients that do not know 4.")
]


@router.get("/attempt/msg/{msg_id}", operation_id="v1.message-attempt.list-by-msg", response_model=ListOut[AttemptOut])
@router.get(
    "/msg/{msg_id}/attempt",
    operation_id="v1.message-attempt.list-by-msg-deprecated",
    response_model=ListOut[AttemptOut],
    deprecated=True,
)
async def list_by_message(
    runtime: RuntimeDep,
    scope: Scope,
    msg_id: str,
    where: AttemptsWhere,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    endpoint_id: Annotated[str | None, Query(description="Only to this endpoint (id or uid).")] = None,
    with_content: WithContent = True,
    expanded_statuses: ExpandedStatuses = True,
) -> Response:
    page = read_page(ids.ATTEMPT, limit, iterator, ascending=False)
    if endpoint_id is not None:
        endpoint = await runtime.endpoints.get(scope, endpoint_id)
        where = None if where is None else msgspec.structs.replace(where, endpoint_id=endpoint.id)
    if where is None:
        await runtime.messages.get(scope, msg_id, with_content=False)
        return Response(_NOTHING, media_type=JSON)
    rows = await runtime.attempts.list_of_message(scope, msg_id, page, where, with_content=with_content)
    return _write_page(rows, page, where, with_content=with_content, expanded=expanded_statuses)


@router.get(
    "/msg/{msg_id}/endpoint/{endpoint_id}/attempt",
    operation_id="v1.message-attempt.list-by-endpoint-deprecated",
    response_model=ListOut[AttemptOut],
    deprecated=True,
)
async def list_by_message_and_endpoint(
    runtime: RuntimeDep,
    scope: Scope,
    msg_id: str,
    endpoint_id: str,
    where: AttemptsWhere,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    with_content: WithContent = True,
    expanded_statuses: ExpandedStatuses = True,
) -> Response:
    """Use the list by message with `endpoint_id`."""
    return await list_by_message(
        runtime, scope, msg_id, where, limit, iterator, endpoint_id, with_content, expanded_statuses
    )


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
    expanded_statuses: ExpandedStatuses = True,
) -> Response:
    page = read_page(ids.ATTEMPT, limit, iterator, ascending=False)
    if where is None:
        await runtime.endpoints.get(scope, endpoint_id)
        return Response(_NOTHING, media_type=JSON)
    rows = await runtime.attempts.list_of_endpoint(scope, endpoint_id, page, where, with_content=with_content)
    messages = await _messages_of(runtime, scope, rows.rows, with_content=with_content) if with_msg else {}
    return _write_page(rows, page, where, messages, with_content=with_content, expanded=expanded_statuses)


@router.get(
    "/endpoint/{endpoint_id}/msg",
    operation_id="v1.message-attempt.list-attempted-messages",
    response_model=ListOut[EndpointMessageOut],
)
async def list_attempted_messages(
    runtime: RuntimeDep,
    scope: Scope,
    endpoint_id: str,
    where: Where,
    states: States,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    with_content: WithContent = True,
) -> Response:
    """The messages that were for an endpoint, newest first, and where each delivery stands."""
    page = read_page(ids.MESSAGE, limit, iterator, ascending=False)
    if where.event_types == ():
        await runtime.endpoints.get(scope, endpoint_id)
        return Response(_NOTHING, media_type=JSON)
    rows = await runtime.attempts.list_messages_of_endpoint(
        scope, endpoint_id, page, where, states=states, with_content=with_content
    )
    items = [write_endpoint_message(row, with_content=with_content) for row in rows.rows]
    following, previous = iterators([row.message.id for row in rows.rows], rows, page)
    return Response(write_list(items, following, previous, done=rows.done), media_type=JSON)


Since = Annotated[datetime | None, Query(description="From when on; by default 28 days, which is the most.")]
Until = Annotated[datetime | None, Query(description="Until when.")]


@router.get("/endpoint/{endpoint_id}/stats", operation_id="v1.endpoint.get-stats", tags=["Endpoint"])
async def get_stats(
    runtime: RuntimeDep, scope: Scope, endpoint_id: str, since: Since = None, until: Until = None
) -> EndpointStatsOut:
    """How deliveries stand: those that ended in the period, and those not ended yet of messages accepted in it."""
    counts = await runtime.attempts.count_deliveries(scope, endpoint_id, *_read_period(since, until))
    return EndpointStatsOut(
        success=counts.succeeded,
        pending=counts.pending,
        sending=counts.sending,
        fail=counts.exhausted,
        canceled=counts.canceled,
    )


@router.get("/endpoint/{endpoint_id}/attempt-stats", operation_id="v1.endpoint.get-attempt-stats", tags=["Endpoint"])
async def get_attempt_stats(
    runtime: RuntimeDep, scope: Scope, endpoint_id: str, since: Since = None, until: Until = None
) -> EndpointAttemptStatsOut:
    """What single attempts came to, in whole hours."""
    counts = await runtime.attempts.count_attempts(scope, endpoint_id, *_read_period(since, until))
    return EndpointAttemptStatsOut(success=counts.succeeded, fail=counts.failed, canceled=counts.canceled)


@router.get(
    "/msg/{msg_id}/endpoint",
    operation_id="v1.message-attempt.list-attempted-destinations",
)
async def list_destinations(
    runtime: RuntimeDep,
    caller: Caller,
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
            data.append(render_delivery(endpoint, view, credentials=caller.may(Capability.VIEW_ENDPOINT_SECRET)))
    return ListOut(
        data=data,
        iterator=chosen[-1].endpoint_id if chosen else None,
        prev_iterator=f"-{chosen[0].endpoint_id}" if chosen else None,
        done=done,
    )


@router.get("/msg/{msg_id}/attempt/{attempt_id}", operation_id="v1.message-attempt.get", response_model=AttemptOut)
async def get_attempt(
    runtime: RuntimeDep, scope: Scope, msg_id: str, attempt_id: str, expanded_statuses: ExpandedStatuses = True
) -> Response:
    attempt = await runtime.attempts.get(scope, msg_id, attempt_id)
    status = _shown_status(attempt, None, expanded=expanded_statuses)
    return Response(write_attempt(attempt, with_content=True, status=status), media_type=JSON)


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


def _read_period(since: datetime | None, until: datetime | None) -> tuple[int | None, int | None]:
    return (
        None if since is None else read_moment(since, "since", "query"),
        None if until is None else read_moment(until, "until", "query"),
    )


async def _messages_of(
    runtime: Runtime, scope: AppScope, attempts: list[Attempt], *, with_content: bool
) -> dict[str, bytes]:
    message_ids = {attempt.message_id for attempt in attempts}
    found = await runtime.messages.find_many(scope, message_ids, with_content=with_content)
    return {message.id: write_message(message, with_content=with_content) for message in found}


def _write_page(
    rows: Slice[Attempt],
    page: Page,
    where: MessageFilter,
    messages: Mapping[str, bytes] = MappingProxyType({}),
    *,
    with_content: bool,
    expanded: bool,
) -> Response:
    items = [
        write_attempt(
            row,
            with_content=with_content,
            message=messages.get(row.message_id),
            status=_shown_status(row, where, expanded=expanded),
        )
        for row in rows.rows
    ]
    following, previous = iterators([row.id for row in rows.rows], rows, page)
    return Response(write_list(items, following, previous, done=rows.done), media_type=JSON)


def _shown_status(attempt: Attempt, where: MessageFilter | None, *, expanded: bool) -> int | None:
    """The status to show instead of the attempt's own, if any: that of its delivery, where that was asked for."""
    if where is not None and where.unsettled is not None:
        return _UNSETTLED_STATUS[where.unsettled]
    return 0 if attempt.status is AttemptStatus.CANCELED and not expanded else None
