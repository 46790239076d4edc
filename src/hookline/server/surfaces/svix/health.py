"""`/api/v1/health` as Svix has it."""

from __future__ import annotations

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from hookline.server.health import check_readiness
from hookline.server.runtime import Runtime

router = APIRouter(prefix="/health", tags=["Health"])


@router.api_route("", methods=["GET", "HEAD"], operation_id="v1.health.get", summary="Is the server well?")
async def get_health(request: Request) -> Response:
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


@router.api_route("/ping", methods=["GET", "HEAD"], status_code=204, operation_id="v1.health.ping", summary="Answers.")
async def ping() -> Response:
    return Response(status_code=204)
