"""`/api/v1/health` as Svix has it."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from hookline.server.health import add_health_route, check_readiness
from hookline.server.runtime import Runtime

router = APIRouter(prefix="/health", tags=["Health"])


async def _get_health(request: Request) -> Response:
    runtime: Runtime = request.app.state.runtime
    checks = await check_readiness(runtime)
    status = {name: {"status": "ok" if found == "ok" else "error"} for name, found in checks.items()}
    content: dict[str, object] = {
        "database": status["database"],
        "queue": status["engine"],
        "cache": {"status": "ok"},
    }
    healthy = all(found == "ok" for found in checks.values())
    if not healthy:
        content |= {"code": "unhealthy", "detail": "The server cannot do its work now."}
    return Response(orjson.dumps(content), 200 if healthy else 503, media_type="application/json")


async def _ping() -> Response:
    return Response(status_code=204)


add_health_route(router, "", "v1.health.get", _get_health, "Can this server do its work?")
add_health_route(router, "/ping", "v1.health.ping", _ping, "Does it answer at all?", status=204, may_fail=False)
