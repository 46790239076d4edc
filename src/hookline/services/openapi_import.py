"""Event types out of an OpenAPI document: each of its webhooks (or `x-webhooks`) becomes one.

Nothing outside of the document is followed. What a webhook's schema refers to inside of it is copied into the schema,
which then stands on its own. OpenAPI 3.1 has JSON Schema 2020-12; of 3.0 the two keywords that JSON Schema means
otherwise (`nullable`, boolean `exclusiveMinimum`) are translated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import orjson
import yaml

from hookline.model import EventType
from hookline.services.errors import InvalidError, Problem
from hookline.services.event_type_form import EventTypeForm
from hookline.services.schema_cost import NAMED, VALUES, resolve
from hookline.services.schemas import newest_version
from hookline.services.validation import MAX_DESCRIPTION_LENGTH

MAX_WEBHOOKS: Final = 1_000
MAX_NODES: Final = 200_000  # of the document, and of all schemas together: what is shared is copied into each
MAX_DEPTH: Final = 100
DRAFT_2020: Final = "https://json-schema.org/draft/2020-12/schema"
_METHODS: Final = ("post", "put", "patch", "get", "delete")


class _TooMuchError(Exception):
    """More nodes than there may be."""


def read_document(text: str) -> Mapping[str, Any]:
    """A document in JSON or in YAML. May take a while: not for the event loop.

    Raises:
        InvalidError: it is neither.
    """
    try:
        document = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        document = _read_yaml(text)
    if not isinstance(document, Mapping):
        raise _invalid("The document is no object.")
    try:
        _Counter().count(document)
    except _TooMuchError as error:
        raise _invalid("The document is too large or nests too deeply.") from error
    return document


def list_webhooks(document: Mapping[str, Any]) -> dict[str, EventTypeForm]:
    """The event types that a document describes, by name, none of them checked yet.

    Raises:
        InvalidError: it describes none, or too many, or something of it is not what OpenAPI says.
    """
    webhooks = document.get("webhooks", document.get("x-webhooks"))
    if not isinstance(webhooks, Mapping) or not webhooks:
        raise _invalid("The document has no webhooks. They stand under `webhooks` or `x-webhooks`.")
    if len(webhooks) > MAX_WEBHOOKS:
        raise _invalid(f"At most {MAX_WEBHOOKS} webhooks in one document. Import it in parts.")
    counter = _Counter()
    forms = {}
    for name, item in webhooks.items():
        try:
            forms[str(name)] = _form_of(document, _followed(document, item), counter)
        except _TooMuchError as error:
            raise _invalid("The schemas of all webhooks together are too large. Import the document in parts.") from (
                error
            )
        except _MalformedError as error:
            raise InvalidError([Problem(("spec",), str(error), path=("webhooks", str(name)))]) from error
    return forms


def updated(form: EventTypeForm, existing: EventType | None) -> EventTypeForm:
    """The form that also keeps what a document does not say: flags, group, and all versions but the newest."""
    if existing is None:
        return form
    schemas = dict(existing.schemas or {})
    if form.schemas is not None:
        schemas[newest_version(schemas) or "1"] = form.schemas["1"]
    return msgspec.structs.replace(
        form, schemas=schemas or None, feature_flags=existing.feature_flags, group_name=existing.group_name
    )


class _MalformedError(Exception):
    """Something of a webhook is not what OpenAPI says."""


def _form_of(document: Mapping[str, Any], item: Any, counter: _Counter) -> EventTypeForm:
    if not isinstance(item, Mapping):
        raise _MalformedError("A webhook is an object with an operation such as `post`.")
    operation = next((item[method] for method in _METHODS if isinstance(item.get(method), Mapping)), None)
    if operation is None:
        raise _MalformedError("A webhook has an operation such as `post`.")
    texts = (operation.get("description"), item.get("description"), operation.get("summary"), item.get("summary"))
    description = next((text for text in texts if isinstance(text, str)), "")
    schema = _schema_of(document, operation, counter)
    return EventTypeForm(
        description[:MAX_DESCRIPTION_LENGTH],
        deprecated=operation.get("deprecated") is True,
        schemas=None if schema is None else {"1": schema},
    )


def _schema_of(document: Mapping[str, Any], operation: Mapping[str, Any], counter: _Counter) -> dict[str, Any] | None:
    body = _followed(document, operation.get("requestBody"))
    content = body.get("content") if isinstance(body, Mapping) else None
    if not isinstance(content, Mapping):
        return None
    media = next((content[kind] for kind in ("application/json", *content) if "json" in kind and kind in content), None)
    schema = _followed(document, media.get("schema")) if isinstance(media, Mapping) else None
    if not isinstance(media, Mapping) or not isinstance(schema, Mapping):
        return None
    copied = _Copier(document, counter).copy_root(schema)
    if str(document.get("openapi", "")).startswith("3.1"):
        copied.setdefault("$schema", DRAFT_2020)
    examples = _examples_of(document, media)
    if examples:
        counter.count(examples)
        copied["examples"] = examples
    return copied


def _examples_of(document: Mapping[str, Any], media: Mapping[str, Any]) -> list[Any]:
    if isinstance(media.get("example"), Mapping):
        return [media["example"]]
    stated = media.get("examples")
    found = [_followed(document, one) for one in stated.values()] if isinstance(stated, Mapping) else []
    return [one["value"] for one in found if isinstance(one, Mapping) and isinstance(one.get("value"), Mapping)]


def _followed(document: Mapping[str, Any], item: Any) -> Any:
    """What a reference within the document leads to, or the thing itself. A remote one stays, and is refused later."""
    for _ in range(MAX_DEPTH):
        reference = item.get("$ref") if isinstance(item, Mapping) else None
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return item
        item = resolve(document, reference)
    raise _MalformedError("These references lead to each other.")


class _Counter:
    """Counts nodes, over one document or over all that is made of it."""

    def __init__(self) -> None:
        self._left = MAX_NODES

    def count(self, item: Any) -> None:
        """Raises _TooMuchError: there are too many, or they nest too deeply."""
        level = [item]
        for _ in range(MAX_DEPTH):
            self.add(len(level))
            level = [
                child
                for one in level
                if isinstance(one, Mapping | list)
                for child in (one.values() if isinstance(one, Mapping) else one)
            ]
            if not level:
                return
        raise _TooMuchError

    def add(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise _TooMuchError


class _Copier:
    """Copies one schema with everything in the document that it refers to, under `definitions`."""

    def __init__(self, document: Mapping[str, Any], counter: _Counter) -> None:
        self._document = document
        self._counter = counter
        self._names: dict[str, str] = {}
        self._waiting: list[str] = []

    def copy_root(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        copied: dict[str, Any] = self._copy(schema)
        definitions: dict[str, Any] = {}
        while self._waiting:
            reference = self._waiting.pop()
            target = resolve(self._document, reference)
            if target is None:
                raise _MalformedError(f"There is nothing at {reference}.")
            definitions[self._names[reference]] = self._copy(target)
        return {**copied, "definitions": definitions} if definitions else copied

    def _copy(self, item: Any, keyword: str = "") -> Any:
        self._counter.add(1)
        if keyword in VALUES:
            self._counter.count(item)
            return item
        if isinstance(item, list):
            return [self._copy(part) for part in item]
        if not isinstance(item, Mapping):
            return item
        if keyword in NAMED:
            return {str(name): self._copy(value) for name, value in item.items()}
        copied = {str(name): self._copy(value, str(name)) for name, value in item.items()}
        reference = copied.get("$ref")
        if isinstance(reference, str) and reference.startswith("#"):
            copied["$ref"] = f"#/definitions/{self._name_of(reference)}"
        return _translated(copied)

    def _name_of(self, reference: str) -> str:
        """The name of a definition: the last part of the reference, made unique, in letters that need no escaping."""
        name = self._names.get(reference)
        if name is None:
            last = reference.rpartition("/")[2]
            base = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in last)[:64] or "root"
            name = base
            while name in self._names.values():
                name = f"{base}_{len(self._names)}"
            self._names[reference] = name
            self._waiting.append(reference)
        return name


def _translated(schema: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI 3.0 says otherwise than JSON Schema."""
    if schema.get("nullable") is True and isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
        if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
            schema["enum"] = [*schema["enum"], None]
    schema.pop("nullable", None)
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(schema.get(exclusive), bool) and schema.pop(exclusive) and bound in schema:
            schema[exclusive] = schema.pop(bound)
    return schema


class _Loader(yaml.CSafeLoader):
    """As JSON would have it: no dates."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _read_yaml(text: str) -> Any:
    try:
        _require_plain(yaml.parse(text, _Loader))
        document = yaml.load(text, _Loader)  # noqa: S506 -- a safe loader
        return orjson.loads(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS))
    except (yaml.YAMLError, orjson.JSONDecodeError, TypeError, ValueError, RecursionError) as error:
        raise _invalid("The document is neither valid JSON nor plain YAML (without aliases and tags).") from error


def _require_plain(events: Iterable[Any]) -> None:
    """Raise what cannot be read: an alias that is repeated often enough fills any memory, and depth any stack."""
    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.YAMLError("too deep")


def _invalid(message: str) -> InvalidError:
    return InvalidError([Problem(("spec",), message)])
