"""Health: is the process alive, and can this node do its work now?

`/livez` answers as long as the event loop turns. `/readyz` (and `/healthz`) asks the database and the engine, and is
never 200 while a message could not be accepted durably; of a node that only delivers it says so. `?verbose` names
each check.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from hookline.errors import HooklineError
from hookline.server.runtime import Runtime

log = logging.getLogger("hookline.server")

Answer = Callable[..., Awaitable[Response]]

PING_TIMEOUT_S: Final = 3.0
_NOT_NOW: Final[dict[int | str, dict[str, Any]]] = {
    503: {
        "description": "It does not.",
        "content": {"application/json": {"schema": {"type": "object", "required": ["code", "detail"]}}},
    }
}

router = APIRouter(tags=["Health"])


async def check_readiness(runtime: Runtime) -> dict[str, str]:
    """The checks and what each found; `ok` where nothing is wrong."""
    health = runtime.engine.health()
    draining = "stopping" if health.draining or runtime.draining else "ok"
    engine = health.reason or "ok"
    if engine == "ok" and runtime.accepts_messages and not health.accepting:
        engine = "the engine does not accept messages"
    # The schema was found current when the store was opened, and an open store does not outlive that.
    return {"database": await _ping(runtime), "migrations": "ok", "engine": engine, "draining": draining}


async def _ping(runtime: Runtime) -> str:
    """Ask the database, once for all who want to know at this moment: anybody may call here, as often as they like."""
    if runtime.ping is None or runtime.ping.done():
        runtime.ping = asyncio.create_task(_ask_database(runtime))
    return await asyncio.shield(runtime.ping)


async def _ask_database(runtime: Runtime) -> str:
    try:
        async with asyncio.timeout(PING_TIMEOUT_S):
            await runtime.store.ping()
    except TimeoutError:
        return "no answer in time"
    except HooklineError as error:
        log.warning("not ready", extra={"action": "not_ready", "reason": error.message})
        return "unavailable"
    return "ok"


async def _livez() -> Response:
    return _answer(200, {"status": "ok"})


async def _readyz(request: Request, verbose: Annotated[str | None, Query()] = None) -> Response:
    runtime: Runtime = request.app.state.runtime
    checks = await check_readiness(runtime)
    failed = [name for name, found in checks.items() if found != "ok"]
    content: dict[str, Any] = {
        "status": "unavailable" if failed else "ok",
        "role": runtime.settings.role.value,
        "accepts_messages": runtime.accepts_messages and not failed,
    }
    if failed:
        content |= {"code": "not_ready", "detail": f"Not ready: {', '.join(failed)}."}
    if verbose is not None and verbose.lower() not in {"0", "false", "no"}:
        content["checks"] = checks
    return _answer(503 if failed else 200, content)


def add_health_route(
    to: APIRouter,
    path: str,
    operation_id: str,
    answer: Answer,
    summary: str,
    *,
    status: int = 200,
    may_fail: bool = True,
) -> None:
    """GET, and HEAD beside it, which descriptions need not mention."""
    to.add_api_route(
        path,
        answer,
        methods=["GET"],
        operation_id=operation_id,
        summary=summary,
        status_code=status,
        responses=_NOT_NOW if may_fail else None,
    )
    to.add_api_route(path, answer, methods=["HEAD"], include_in_schema=False)


add_health_route(router, "/livez", "livez", _livez, "Is the process alive?", may_fail=False)
add_health_route(router, "/readyz", "readyz", _readyz, "Can this node do its work?")
add_health_route(router, "/healthz", "healthz", _readyz, "The same as `/readyz`")


def _answer(status: int, content: dict[str, Any]) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(orjson.dumps(content), status, headers, media_type="application/json")
