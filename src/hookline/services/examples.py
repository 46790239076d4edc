"""Examples of events: the one that a schema brings along, or one made by it; sent to one endpoint, to try it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import orjson

from hookline.model import EventType, Message
from hookline.model.operational import OPERATIONAL_TYPES
from hookline.services.endpoints import Endpoints
from hookline.services.errors import InvalidError, Problem, invalid
from hookline.services.event_types import EventTypes
from hookline.services.messages import MessageForm, Messages
from hookline.services.principal import Principal
from hookline.services.schema_cost import resolve
from hookline.services.schemas import Validator, newest_version
from hookline.store.scope import AppScope

PING: Final = "svix.ping"
MAX_DEPTH: Final = 16
FULL_DEPTH: Final = 5  # what is optional is left out below
MAX_VALUES: Final = 2_000
MAX_LENGTH: Final = 1_000  # of one string, of one array

_TEXTS: Final = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "idn-email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "iri": "https://example.com/",
    "uri-reference": "/",
    "uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "json-pointer": "/a",
    "regex": "^a$",
}
_BUILT_IN: Final = {
    PING: {"success": True},
    **{operational.name: dict(operational.example) for operational in OPERATIONAL_TYPES},
}


class ExampleForm(msgspec.Struct, frozen=True):
    """Which example. A payload of the caller's own is for those only who may send messages."""

    event_type: str
    index: int | None = None
    payload: Mapping[str, Any] | None = None


class Examples:
    """Sends an example of an event to one endpoint, whatever the endpoint takes otherwise."""

    def __init__(self, event_types: EventTypes, endpoints: Endpoints, messages: Messages) -> None:
        self._event_types = event_types
        self._endpoints = endpoints
        self._messages = messages

    async def send(self, principal: Principal, scope: AppScope, endpoint_id: str, form: ExampleForm) -> Message:
        """The message that was accepted.

        Raises:
            NotFoundError: there is no such endpoint.
            ForbiddenError: the caller may not send a payload of their own.
            InvalidError: the caller sees no such type, or there is no example of it.
        """
        endpoint = await self._endpoints.get(scope, endpoint_id)
        if form.payload is not None:
            principal.require_sender()
            payload: Mapping[str, Any] = form.payload
        else:
            payload = await self._find(principal, form)
        message = MessageForm(form.event_type, orjson.dumps(payload))
        return await self._messages.send_only_to(scope, endpoint.id, message)

    async def _find(self, principal: Principal, form: ExampleForm) -> Mapping[str, Any]:
        event_type = await self._event_types.find(principal, form.event_type)
        if event_type is None or not event_type.schemas:
            built_in = _BUILT_IN.get(form.event_type)
            if built_in is not None:
                return built_in
        if event_type is None:
            raise invalid(
                "event_type", "There is no such event type. Create it first, with a schema.", "event_type_unknown"
            )
        return example_of(event_type, form.index)


def example_of(event_type: EventType, index: int | None = None) -> Mapping[str, Any]:
    """The example of that number in the newest schema (the first one by default); one made by the schema, if it has
    none.

    Raises:
        InvalidError: there is no schema, no example of that number, or nothing that the schema itself admits.
    """
    schemas = event_type.schemas or {}
    version = newest_version(schemas)
    if version is None:
        raise invalid(
            "event_type",
            "This event type has no schema, so there is no example of it. Add a schema, best with `examples`.",
            "no_example",
        )
    schema = schemas[version]
    examples = schema.get("examples")
    if not isinstance(examples, list) or not examples:
        return make_example(schema)
    if not 0 <= (index or 0) < len(examples):
        raise invalid("example_index", f"The schema has {len(examples)} examples; count from 0.", "range")
    example = examples[index or 0]
    if not isinstance(example, Mapping):
        raise InvalidError([Problem(("example_index",), "This example is no JSON object. Correct it in the schema.")])
    return example


def make_example(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A payload that the schema admits: with what is optional if that works, else without.

    Raises:
        InvalidError: neither does.
    """
    validator = Validator(schema)
    for full_depth in (FULL_DEPTH, 0):
        example = _Maker(schema, full_depth).make(schema, 0)
        if isinstance(example, Mapping) and not validator.problems(example, len(orjson.dumps(example))):
            return example
    raise invalid(
        "event_type",
        "No example could be made by the schema of this event type. Add one to the schema, under `examples`.",
        "no_example",
    )


class _Maker:
    """Makes values by schemas, with a bound on their depth and number."""

    def __init__(self, root: Mapping[str, Any], full_depth: int) -> None:
        self._root = root
        self._full_depth = full_depth
        self._made = 0

    def make(self, schema: Any, depth: int) -> Any:
        self._made += 1
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH or self._made > MAX_VALUES:
            return None
        if isinstance(schema.get("$ref"), str):
            return self.make(resolve(self._root, schema["$ref"]), depth + 1)
        for name in ("examples", "enum"):
            if isinstance(schema.get(name), list) and schema[name]:
                return schema[name][0]
        for name in ("const", "example", "default"):
            if name in schema:
                return schema[name]
        for name in ("oneOf", "anyOf"):
            if isinstance(schema.get(name), list) and schema[name]:
                rest = {key: value for key, value in schema.items() if key not in {"oneOf", "anyOf"}}
                return self._merged([rest, _first_not_null(schema[name])], depth)
        if isinstance(schema.get("allOf"), list) and schema["allOf"]:
            rest = {key: value for key, value in schema.items() if key != "allOf"}
            return self._merged([rest, *schema["allOf"]], depth)
        return self._by_type(schema, depth)

    def _merged(self, schemas: list[Any], depth: int) -> Any:
        values = [self.make(schema, depth + 1) for schema in schemas if schema]
        objects = [value for value in values if isinstance(value, dict)]
        if objects:
            return {name: value for item in objects for name, value in item.items()}
        return next((value for value in reversed(values) if value is not None), None)

    def _by_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        match _type_of(schema, is_root=depth == 0):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return _text(schema)
            case "integer" | "number" as kind:
                number = _number(schema)
                if not math.isfinite(number):
                    return None
                return int(number) if kind == "integer" else number
            case "boolean":
                return True
        return None

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = [name for name in schema.get("required", ()) if isinstance(name, str)]
        names = dict.fromkeys([*(properties if depth < self._full_depth else ()), *required])
        made = {name: self.make(properties.get(name, {"type": "string"}), depth + 1) for name in names}
        return {name: value for name, value in made.items() if name in required or properties.get(name) is not False}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        items = schema.get("items", schema.get("prefixItems"))
        if isinstance(schema.get("prefixItems"), list):
            items = schema["prefixItems"]
        if isinstance(items, list):
            return [self.make(item, depth + 1) for item in items[:MAX_LENGTH]]
        least = _whole(schema.get("minItems"), 0)
        count = max(least, 1) if depth < self._full_depth and _whole(schema.get("maxItems"), 1) > 0 else least
        return [self.make({} if items is None else items, depth + 1) for _ in range(min(count, MAX_LENGTH))]


def _type_of(schema: Mapping[str, Any], *, is_root: bool) -> str:
    stated = schema.get("type")
    if isinstance(stated, list):
        stated = next((name for name in stated if name != "null"), "null")
    if isinstance(stated, str):
        return stated
    if is_root or "properties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _first_not_null(schemas: list[Any]) -> Any:
    return next((item for item in schemas if not (isinstance(item, Mapping) and item.get("type") == "null")), None)


def _text(schema: Mapping[str, Any]) -> str:
    text = _TEXTS.get(str(schema.get("format")), "text")
    least, most = _whole(schema.get("minLength"), 0), _whole(schema.get("maxLength"), MAX_LENGTH)
    return text.ljust(min(least, MAX_LENGTH), "x")[:most]


def _number(schema: Mapping[str, Any]) -> float:
    bounds = {name: value for name, value in schema.items() if _is_number(value)}
    step = bounds.get("multipleOf", 1)
    step = step if step > 0 else 1
    if "exclusiveMinimum" in bounds:
        return float((bounds["exclusiveMinimum"] // step + 1) * step)
    if "minimum" in bounds:
        return float(-(-bounds["minimum"] // step) * step)
    if "exclusiveMaximum" in bounds:
        return float(min(step, (-(-bounds["exclusiveMaximum"] // step) - 1) * step))
    if "maximum" in bounds:
        return float(min(step, bounds["maximum"] // step * step))
    return float(step)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any, default: int) -> int:
    return int(value) if _is_number(value) and value >= 0 else default
