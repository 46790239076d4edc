"""The API's OpenAPI description: what `/openapi.json` says, and what `docs/openapi.json` keeps.

Made from the routes alone, without a database or a running server, so it is the same everywhere. The framework writes
operations, parameters and bodies; this adds what only we know: the errors that each operation really answers with,
the key that makes a POST safe to repeat, and examples.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any, Final

from fastapi.openapi.utils import get_openapi

from hookline import __version__
from hookline.server import health, jwks
from hookline.server.access import ACCESS, Needs
from hookline.server.surfaces import svix
from hookline.server.surfaces.svix.examples import BODIES, EXAMPLES
from hookline.server.surfaces.svix.webhook_description import HEADERS, describe_operational

TITLE: Final = "Hookline"
DESCRIPTION: Final = (
    "Sends, manages and receives webhooks. The API under /api/v1 follows the shapes of the Svix API; members that Svix "
    "does not have are additional and optional."
)
TAGS: Final = {
    "Health": "Whether the server does its work.",
    "Keys": "What receivers verify Ed25519 signatures with.",
    "Authentication": "Tokens for customers, and their end.",
    "Application": "An organization's customers. Nothing passes from one to another.",
    "Endpoint": "The URLs of an application's subscribers: what they want, in which format, how it is signed.",
    "Event Type": "What can be sent: names, descriptions, schemas.",
    "Settings": "What holds for the whole organization.",
    "Webhooks": "What receivers get: one for each event type. Here are those about the organization's own endpoints; "
    "GET /api/v1/openapi.json has the registered ones, too.",
    "Message": "What is sent. Accepted means on disk.",
    "Message Attempt": "What happened to messages.",
    "Recovery": "What endpoints missed, again; and all payloads of an application, gone. In the background.",
    "Statistics": "Counts over an organization, made in the background.",
    "Operational Webhook": "What happens to endpoints and deliveries, told to the organization by webhook.",
    "Alert Rule": "What an organization wants to be told of, and by whom.",
    "Background Task": "Long work that was asked for elsewhere: its progress, its end, calling it off.",
}

ERROR: Final = {
    "type": "object",
    "required": ["code", "detail"],
    "properties": {
        "code": {"type": "string", "description": "For programs."},
        "detail": {"type": "string", "description": "For people: what to do next."},
        "messageId": {"type": "string", "description": "Where an `eventId` is taken: the message that has it."},
    },
    "examples": [{"code": "not_found", "detail": "Entity not found"}],
}
PROBLEM: Final = {
    "type": "object",
    "required": ["loc", "msg", "type"],
    "properties": {
        "loc": {
            "type": "array",
            "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            "description": "Where: `body`, `query`, `path` or `header`, then the way to it.",
        },
        "msg": {"type": "string"},
        "type": {"type": "string"},
    },
}
PROBLEMS: Final = {
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"type": "array", "items": {"$ref": "#/components/schemas/ValidationError"}}},
    "examples": [
        {"detail": [{"loc": ["body", "url"], "msg": "The URL must begin with https://.", "type": "value_error"}]}
    ],
}
#: status -> name and meaning; each has the shape of `Error`, but for 422
ERRORS: Final = {
    400: ("LimitReached", "One more than there may be."),
    401: ("Unauthorized", "No credential, or none that is known."),
    403: ("Forbidden", "The caller is known, and this is not theirs to do."),
    404: ("NotFound", "It does not exist, or is not the caller's."),
    409: ("Conflict", "A name is taken, or the same request is still at work."),
    413: ("TooLarge", "More bytes than are accepted."),
    422: ("Invalid", "The input breaks a rule; all problems at once."),
    503: ("Unavailable", "Overloaded, stopping, or the database does not answer. Nothing was accepted."),
    507: ("Full", "The disk is full. Nothing was accepted."),
}
_RETRY: Final = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds after which to try again."}}
_OPTIONAL_HEADERS: Final = {409: _RETRY, 503: _RETRY, 507: _RETRY}
IDEMPOTENCY_KEY: Final = {
    "name": "idempotency-key",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "A name for this request: sent again with it, it is answered as before and done once.",
    "example": "7c4b2f6e",
}
REPLAYED: Final = {
    "schema": {"type": "string", "const": "true"},
    "description": "There when this answer was given before, to the same request.",
}


def describe() -> dict[str, Any]:
    """The description, a copy that the caller may change."""
    return copy.deepcopy(_description())


def to_text(description: dict[str, Any]) -> str:
    """As it is kept in a file: sorted, one member a line, so that changes are easy to see and to merge."""
    return json.dumps(description, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@cache
def _description() -> dict[str, Any]:
    routes = [*health.router.routes, *jwks.router.routes, *svix.router.routes]
    schema = get_openapi(title=TITLE, version=__version__, description=DESCRIPTION, routes=routes)
    schema["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    components = schema["components"]
    schemas = components["schemas"]
    _hoist(schema, schemas)
    for _, _, operation in list_operations(schema):
        _name_bodies(operation, schemas)
    schemas.update(Error=ERROR, ValidationError=PROBLEM, HTTPValidationError=PROBLEMS)
    for name, example in EXAMPLES.items():
        schemas[name]["examples"] = [example]
        if f"ListOut_{name}_" in schemas:
            position = example.get("id", example.get("name"))
            page = {"data": [example], "iterator": position, "prevIterator": f"-{position}", "done": True}
            schemas[f"ListOut_{name}_"]["examples"] = [page]
    components["responses"] = {name: _write_error(status) for status, (name, _) in ERRORS.items()}
    components["parameters"] = {"IdempotencyKey": IDEMPOTENCY_KEY, **HEADERS}
    schema["webhooks"] = describe_operational()
    for path, method, operation in list_operations(schema):
        _complete(operation, path, method)
    return schema


def list_operations(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Path, method and content of every operation."""
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def _complete(operation: dict[str, Any], path: str, method: str) -> None:
    example = BODIES.get(operation["operationId"])
    if example is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example
    responses = operation["responses"]
    responses.pop("422", None)  # the framework's, which knows parameters and bodies only
    for status in sorted(_errors_of(operation, path, method)):
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{ERRORS[status][0]}"})
    if method == "post":
        parameters = operation.setdefault("parameters", [])
        parameters[:] = [one for one in parameters if one["name"] != IDEMPOTENCY_KEY["name"]]
        parameters.append({"$ref": "#/components/parameters/IdempotencyKey"})
        for status, response in responses.items():
            if status.startswith("2"):
                response.setdefault("headers", {})["Idempotent-Replayed"] = REPLAYED


def _errors_of(operation: dict[str, Any], path: str, method: str) -> set[int]:
    if not path.startswith(svix.PREFIX):
        return set()
    if ACCESS.get(operation["operationId"]) is Needs.NO_CREDENTIAL:
        return set()
    errors = {401, 403, 503}
    if "{" in path:
        errors.add(404)
    if operation.get("parameters") or "requestBody" in operation or method == "post":
        errors.add(422)
    if method != "get":
        errors.add(507)
    if method in {"post", "put", "patch"}:
        errors |= {400, 409}
    if "requestBody" in operation:
        errors.add(413)
    return errors


def _write_error(status: int) -> dict[str, Any]:
    name = "HTTPValidationError" if status == HTTPStatus.UNPROCESSABLE_ENTITY else "Error"
    response: dict[str, Any] = {
        "description": ERRORS[status][1],
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}},
    }
    headers = _OPTIONAL_HEADERS.get(status)
    return response if headers is None else {**response, "headers": headers}


def _name_bodies(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Give a body that a route describes by itself a place among the schemas, under its title."""
    for body in (operation.get("requestBody", {}), *operation["responses"].values()):
        for media in body.get("content", {}).values():
            schema = media.get("schema", {})
            if "title" in schema and "properties" in schema:
                schemas.setdefault(schema["title"], schema)
                media["schema"] = {"$ref": f"#/components/schemas/{schema['title']}"}


def _hoist(node: Any, schemas: dict[str, Any]) -> None:
    """Move definitions that stand inside a schema of its own to where all others are."""
    if isinstance(node, list):
        for item in node:
            _hoist(item, schemas)
    elif isinstance(node, dict):
        for name, definition in node.pop("$defs", {}).items():
            _hoist(definition, schemas)
            schemas.setdefault(name, definition)
        reference = node.get("$ref")
        if isinstance(reference, str):
            node["$ref"] = reference.replace("#/$defs/", "#/components/schemas/")
        for item in list(node.values()):
            _hoist(item, schemas)
