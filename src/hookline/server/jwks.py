"""`/.well-known/jwks.json`: the public keys of one endpoint as a JWK Set (RFC 7517), for its receiver.

Receivers get the address from whoever made the endpoint (`jwksUrl` of its secret), never from a delivery: a key that
comes with what it is to verify proves nothing.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final
from urllib.parse import urlencode

import orjson
from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from hookline.server.routing import RuntimeDep
from hookline.signatures import write_jwk

PATH: Final = "/.well-known/jwks.json"
MEDIA_TYPE: Final = "application/jwk-set+json"

router = APIRouter(tags=["Keys"])

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The keys, the current one first. None where deliveries are not signed with Ed25519.",
        "content": {
            MEDIA_TYPE: {
                "schema": {
                    "type": "object",
                    "required": ["keys"],
                    "properties": {
                        "keys": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "required": ["kty", "crv", "x", "kid", "use", "alg"],
                                "additionalProperties": {"type": "string"},
                            },
                        }
                    },
                }
            }
        },
    },
    304: {"description": "What `If-None-Match` names is still so."},
}


@router.get(PATH, operation_id="jwks", responses=_ANSWERS, response_class=Response)
async def get_key_set(
    runtime: RuntimeDep,
    app: Annotated[str, Query(description="The application's id.")],
    endpoint: Annotated[str, Query(description="The endpoint's id.")],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The public keys that deliveries to one endpoint are signed with, replaced ones until they no longer sign."""
    found = await runtime.key_sets.of_endpoint(app, endpoint)
    content = orjson.dumps({"keys": [write_jwk(key) for key in found.keys]})
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {
        "cache-control": f"public, max-age={found.max_age_s}",
        "etag": tag,
        "access-control-allow-origin": "*",
    }
    if if_none_match is not None and tag in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=MEDIA_TYPE)


def link_to(app_id: str, endpoint_id: str) -> str:
    """The path of an endpoint's document."""
    return f"{PATH}?{urlencode({'app': app_id, 'endpoint': endpoint_id})}"
