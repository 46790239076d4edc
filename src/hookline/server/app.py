"""The ASGI application: surfaces, health and metrics, documentation, error pages, put together."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi_standalone_docs import StandaloneDocs  # type: ignore[import-untyped]
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from hookline import __version__
from hookline.server import health, jwks, metrics
from hookline.server.description import DESCRIPTION, TITLE, describe
from hookline.server.errors import install_error_handlers
from hookline.server.gate import Gate
from hookline.server.runtime import Runtime
from hookline.server.surfaces import openai, svix


class ApiCors:
    """CORS for the API, as its browser clients expect it: any origin, and no cookies.

    Callers are known by a header that no browser adds by itself, so another site's page can do nothing with this.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=["*"],
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "retry-after", "location", "idempotent-replayed"],
            max_age=600,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_api = scope["type"] == "http" and scope["path"].startswith("/api/")
        await (self._cors if is_api else self._app)(scope, receive, send)


def create_app(runtime: Runtime) -> FastAPI:
    """The application of one runtime. The runtime is started and stopped by whoever serves it."""
    settings = runtime.settings
    app = FastAPI(
        title=TITLE,
        version=__version__,
        description=DESCRIPTION,
        docs_url="/docs" if settings.docs_enabled else None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs_enabled else None,
        redirect_slashes=False,  # the gate spells paths one way; a redirect would lose bodies
    )
    app.state.runtime = runtime
    install_error_handlers(app)
    app.include_router(health.router)
    app.include_router(jwks.router)
    if settings.metrics_enabled:
        app.include_router(metrics.build_router(runtime))
    app.include_router(svix.router)
    app.include_router(openai.router)
    if settings.docs_enabled:
        app.openapi = describe  # type: ignore[method-assign]
        StandaloneDocs(app=app)
    app.add_middleware(ApiCors)
    app.add_middleware(Gate, max_body_bytes=runtime.max_body_bytes)
    return app
