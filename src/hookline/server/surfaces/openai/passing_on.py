"""What is passed on to the backend as it is, and its answer back as it comes, streams included."""

from __future__ import annotations

from typing import Annotated, Any, Final
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Body, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hookline.server.routing import BEARER, RuntimeDep, Sender
from hookline.server.surfaces.openai.routing import OpenAIRoute
from hookline.services import NotFoundError
from hookline.services.inference import Forwarded

_CHAT: Final = {"model": "llama3.2", "messages": [{"role": "user", "content": "Say hello."}]}
_EMBED: Final = {"model": "all-minilm", "input": "Say hello."}

ChatBody = Annotated[dict[str, Any], Body(examples=[_CHAT])]
EmbeddingBody = Annotated[dict[str, Any], Body(examples=[_EMBED])]

router = APIRouter(route_class=OpenAIRoute, dependencies=[BEARER])


class ForwardedResponse(StreamingResponse):
    """The backend's answer, piece by piece. Its connection is closed whatever becomes of the caller's."""

    def __init__(self, forwarded: Forwarded) -> None:
        super().__init__(forwarded.pieces, forwarded.status, forwarded.headers)
        self._close = forwarded.close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()


@router.post("/chat/completions", operation_id="openai.chat-completion.create", response_model=None)
async def create_chat_completion(
    runtime: RuntimeDep,
    caller: Sender,  # noqa: ARG001 -- asks whether the caller may send
    body: ChatBody,  # noqa: ARG001 -- it must be JSON
    request: Request,
) -> Response:
    """Ask a model for the next message of a chat."""
    return ForwardedResponse(await runtime.backend.forward("POST", "/chat/completions", await request.body()))


@router.post(
    "/deployments/{model}/chat/completions",
    operation_id="openai.deployment.chat-completion.create",
    response_model=None,
)
async def create_chat_completion_of_deployment(
    runtime: RuntimeDep,
    caller: Sender,  # noqa: ARG001 -- asks whether the caller may send
    model: str,
    body: ChatBody,
) -> Response:
    """The same as Azure's clients ask, with the model in the path."""
    named = orjson.dumps({"model": model, **body})
    return ForwardedResponse(await runtime.backend.forward("POST", "/chat/completions", named))


@router.post("/embeddings", operation_id="openai.embedding.create", response_model=None)
async def create_embedding(
    runtime: RuntimeDep,
    caller: Sender,  # noqa: ARG001 -- asks whether the caller may send
    body: EmbeddingBody,  # noqa: ARG001 -- it must be JSON
    request: Request,
) -> Response:
    """Ask a model for the vectors of texts."""
    return ForwardedResponse(await runtime.backend.forward("POST", "/embeddings", await request.body()))


@router.post("/deployments/{model}/embeddings", operation_id="openai.deployment.embedding.create", response_model=None)
async def create_embedding_of_deployment(
    runtime: RuntimeDep,
    caller: Sender,  # noqa: ARG001 -- asks whether the caller may send
    model: str,
    body: EmbeddingBody,
) -> Response:
    """The same as Azure's clients ask, with the model in the path."""
    named = orjson.dumps({"model": model, **body})
    return ForwardedResponse(await runtime.backend.forward("POST", "/embeddings", named))


@router.get("/models", operation_id="openai.model.list", response_model=None)
async def list_models(runtime: RuntimeDep) -> Response:
    """The backend's models."""
    return ForwardedResponse(await runtime.backend.forward("GET", "/models", b""))


@router.get("/models/{model:path}", operation_id="openai.model.get", response_model=None)
async def retrieve_model(runtime: RuntimeDep, model: str) -> Response:
    """One of the backend's models."""
    if model in {".", ".."}:  # not for us to pass on: the backend may take it for another path
        raise NotFoundError
    return ForwardedResponse(await runtime.backend.forward("GET", f"/models/{quote(model, safe='')}", b""))
