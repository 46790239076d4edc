"""`/api/v1/app/{app_id}/msg`: messages.

Creation usually never comes here: `hot_messages` answers it on the connection itself, with the same services and the
same rendering. This route takes what that one does not admit.
"""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response, status

from hookline.engine import UnknownApplicationError
from hookline.model import Message, ids
from hookline.server.routing import BEARER, AuthenticatedRoute, RuntimeDep, Scope, Sender
from hookline.server.runtime import Runtime
from hookline.server.surfaces.svix.message_body import read_application, read_message
from hookline.server.surfaces.svix.paging import DEFAULT_LIMIT, Iterator, Limit, Where, iterators, read_page
from hookline.server.surfaces.svix.rendering import write_list, write_message
from hookline.server.surfaces.svix.shapes import (
    BulkExpungeIn,
    BulkExpungeOut,
    ListOut,
    MessageIn,
    MessageOut,
    MessagePrecheckIn,
    MessagePrecheckOut,
)
from hookline.services import NotFoundError, Principal
from hookline.store import AppScope

router = APIRouter(prefix="/app/{app_id}/msg", tags=["Message"], route_class=AuthenticatedRoute, dependencies=[BEARER])

JSON: Final = "application/json"

WithContent = Annotated[bool, Query(description="Whether payloads are in the answer.")]


@router.post(
    "",
    status_code=202,
    operation_id="v1.message.create",
    response_model=MessageOut,
    openapi_extra={
        "requestBody": {"required": True, "content": {JSON: {"schema": MessageIn.model_json_schema(by_alias=True)}}}
    },
)
async def create_message(
    request: Request,
    runtime: RuntimeDep,
    caller: Sender,
    app_id: str,
    with_content: WithContent = True,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Accept a message: it is on disk, and owed to every endpoint that wants it, before this answers."""
    body = await request.body()
    scope = await _scope_of(runtime, caller, app_id, body)
    message = await _create(runtime, scope, body, idempotency_key)
    return Response(write_message(message, with_content=with_content), 202, media_type=JSON)


@router.post("/precheck/active", operation_id="v1.message.precheck")
async def precheck(runtime: RuntimeDep, scope: Scope, body: MessagePrecheckIn) -> MessagePrecheckOut:
    """Whether any endpoint would get such a message, if it were sent now."""
    return MessagePrecheckOut(active=await runtime.messages.is_wanted(scope, body.event_type, body.channels))


@router.get("", operation_id="v1.message.list", response_model=ListOut[MessageOut])
async def list_messages(
    runtime: RuntimeDep,
    scope: Scope,
    where: Where,
    limit: Limit = DEFAULT_LIMIT,
    iterator: Iterator = None,
    with_content: WithContent = True,
) -> Response:
    page = read_page(ids.MESSAGE, limit, iterator, ascending=False)
    if where.event_types == ():
        return Response(write_list([], None, None, done=True), media_type=JSON)
    rows = await runtime.messages.list_page(scope, page, where, with_content=with_content)
    following, previous = iterators([row.id for row in rows.rows], rows, page)
    items = [write_message(row, with_content=with_content) for row in rows.rows]
    return Response(write_list(items, following, previous, done=rows.done), media_type=JSON)


@router.get("/{msg_id}", operation_id="v1.message.get", response_model=MessageOut)
async def get_message(
    runtime: RuntimeDep,
    scope: Scope,
    msg_id: str,
    with_content: WithContent = True,
) -> Response:
    """One message, by its id or its eventId."""
    message = await runtime.messages.get(scope, msg_id, with_content=with_content)
    return Response(write_message(message, with_content=with_content), media_type=JSON)


@router.delete("/{msg_id}/content", status_code=status.HTTP_204_NO_CONTENT, operation_id="v1.message.expunge-content")
async def expunge_content(runtime: RuntimeDep, scope: Scope, msg_id: str) -> None:
    """Remove a payload now. What is still owed of it is canceled; it can never be sent again."""
    await runtime.messages.expunge(scope, msg_id)


@router.post("/bulk-expunge", operation_id="v1.message.bulk-expunge-content")
async def bulk_expunge_content(runtime: RuntimeDep, scope: Scope, body: BulkExpungeIn) -> BulkExpungeOut:
    """The same for many, by their ids or eventIds, at most 1,000 at once."""
    results = await runtime.messages.expunge_many(scope, body.ids or [])
    return BulkExpungeOut(results={name: "expunged" if found else "not-found" for name, found in results.items()})


async def _scope_of(runtime: Runtime, caller: Principal, app: str, body: bytes) -> AppScope:
    """The application that the path names, which is made first if the message brings one along."""
    known = runtime.directory.remembered(caller, app)
    if known is not None:
        return known
    try:
        return await runtime.directory.resolve(caller, app)
    except NotFoundError:
        form = read_application(body)
        if form is None:
            raise
        await runtime.messages.check(
            caller.org_scope, read_message(body)
        )  # no application for the sake of a message that is refused
        return await runtime.applications.resolve_or_create(caller, app, form)


async def _create(runtime: Runtime, scope: AppScope, body: bytes, idempotency_key: str | None) -> Message:
    try:
        return await runtime.messages.create(scope, read_message(body), request=body, idempotency_key=idempotency_key)
    except UnknownApplicationError:
        runtime.directory.forget()  # deleted since it was looked up
        raise
