"""What checking a payload by a schema can cost at most, found out before the schema is kept. Pure.

Validation runs where messages are accepted and cannot be interrupted, so nothing may be kept that takes more than a
bounded number of steps for each value of a payload. Two things multiply steps:

* combinators (`allOf`, `anyOf`, ...) and references put several schemas to one value. `cost` is the most that are put
  to the values along one path of a payload, references followed; children of one object are different values, so of
  them the dearest counts.
* a schema that refers to itself is put again to what is nested. Once is fine (a tree of comments); twice for the same
  value doubles with each level, so along one path a schema may come back to itself only once.

Finding that out must not take long either: what a reference leads to is looked at once for each way to write it, and
one place has thousands of them (`%61` is `a`). So what is looked at is bounded by the size of the schema itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import msgspec

MAX_COST: Final = 2_000
MAX_CHOICES: Final = 16  # so many simple values of an `enum` count as one step
MOST_LOOKS: Final = 4  # at each object of a schema, on average; and ...
FREE_LOOKS: Final = 1_000  # ... so many more, for small ones

_HERE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_HERE: Final = ("not", "if", "then", "else")
_HERE_MAPS: Final = ("dependentSchemas", "dependencies")
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
VALUES: Final = frozenset({"const", "enum", "default", "examples", "example"})  # data, not schemas
#: what is in these goes by names that somebody chose, not by keywords
NAMED: Final = frozenset(
    {"properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies"}
)

Path = tuple[str | int, ...]


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with a schema, and where in it."""

    path: Path
    message: str


class Examination(msgspec.Struct, frozen=True):
    """What was found out about a schema: why it cannot be kept, or what it costs. `has_alternatives`: `anyOf`, `oneOf`,
    whose errors say why each of the alternatives does not fit.
    """

    fault: Fault | None
    cost: int = 0
    has_alternatives: bool = False


def examine(root: Mapping[str, Any]) -> Examination:
    """Look for a reference that leaves the schema or leads nowhere, and for a cost without a bound."""
    has_alternatives = False
    for path, schema in _walk(root):
        fault = _fault_of_references(root, path, schema)
        if fault is not None:
            return Examination(fault)
        has_alternatives = has_alternatives or "anyOf" in schema or "oneOf" in schema
    bodies = _collect(root)
    if bodies is None:
        return Examination(
            Fault((), "Too much of this schema is referred to in too many ways. Refer to each part in one way.")
        )
    costs: dict[str, int] = {}
    for group in _components({name: _references(body) for name, body in bodies.items()}):
        for name in group:
            if _count(bodies[name], partial(_is_in, group), own=0) > 1:
                return Examination(
                    Fault(
                        _path_of(name),
                        "This schema refers to itself more than once for the same value: checking a nested payload "
                        "would take for ever. Keep one of the references.",
                    )
                )
        # Those that lead to each other may all be put to one value.
        cost = sum(_count(bodies[name], lambda target: costs.get(target, 1)) for name in group)
        if cost > MAX_COST:
            return Examination(
                Fault(
                    _path_of(min(group)),
                    f"Checking one value takes more than {MAX_COST} steps. Use fewer alternatives.",
                )
            )
        costs.update(dict.fromkeys(group, cost))
    return Examination(None, costs["#"], has_alternatives)


def _is_in(group: frozenset[str], target: str) -> int:
    return int(target in group)


def _walk(root: Any) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Every object of a schema that may be a schema itself, outermost first."""
    waiting: list[tuple[Path, str, Any]] = [((), "", root)]
    while waiting:
        path, keyword, item = waiting.pop()
        if isinstance(item, Mapping):
            yield path, item
            for name, value in item.items():
                if keyword in NAMED:
                    waiting.append(((*path, name), "", value))
                elif name not in VALUES:
                    waiting.append(((*path, name), name, value))
        elif isinstance(item, list):
            waiting += [((*path, index), "", value) for index, value in enumerate(item)]


def _fault_of_references(root: Mapping[str, Any], path: Path, schema: Mapping[str, Any]) -> Fault | None:
    for keyword in _REFERENCES:
        target = schema.get(keyword)
        if not isinstance(target, str):
            continue
        if keyword != "$ref":
            return Fault((*path, keyword), "Dynamic references are not supported. Use $ref.")
        if target != "#" and not target.startswith("#/"):
            return Fault(
                (*path, keyword),
                "References may only lead to a place in this schema, such as #/definitions/name. Nothing is fetched: "
                "copy the other schema into this one.",
            )
        if not isinstance(resolve(root, target), Mapping | bool):
            return Fault((*path, keyword), "This reference leads nowhere.")
    if path and isinstance(schema.get("$id"), str):
        return Fault((*path, "$id"), "Only the whole schema may have an $id. Remove this one.")
    return None


def resolve(root: Mapping[str, Any], reference: str) -> Any:
    """What `#` or `#/a/0/b` leads to; None when it leads nowhere."""
    item: Any = root
    for part in _path_of(reference):
        name = str(part)
        if isinstance(item, Mapping) and name in item:
            item = item[name]
        elif isinstance(item, list) and name.isdecimal() and len(name) < 10 and int(name) < len(item):
            item = item[int(name)]
        else:
            return None
    return item


def _path_of(reference: str) -> Path:
    return tuple(unquote(part).replace("~1", "/").replace("~0", "~") for part in reference.split("/")[1:])


def _collect(root: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schemas that references lead to, by reference, and the whole one as `#`: as far as they can be reached. None
    when they are too much to look at.
    """
    bodies: dict[str, Any] = {}
    looks = FREE_LOOKS + MOST_LOOKS * sum(1 for _ in _walk(root))
    waiting = ["#"]
    while waiting:
        name = waiting.pop()
        if name not in bodies:
            body = bodies[name] = resolve(root, name)
            looks -= sum(1 for _ in _walk(body))
            if looks < 0:
                return None
            waiting += _references(body)
    return bodies


def _references(body: Any) -> list[str]:
    found: list[str] = []

    def note(target: str) -> int:
        found.append(target)
        return 0

    _count(body, note)
    return found


def _count(schema: Any, weigh: Callable[[str], int], *, own: int = 1) -> int:
    """Steps along the dearest path: `own` for each schema on it, and what `weigh` says of each reference.

    What is put to the same value adds up; of children, each of which is another value, the dearest counts.
    """
    if not isinstance(schema, Mapping):
        return own

    def count(item: Any) -> int:
        return _count(item, weigh, own=own)

    steps = own
    target = schema.get("$ref")
    if isinstance(target, str):
        steps += weigh(target)
    choices = schema.get("enum")
    if own and isinstance(choices, list):
        steps += len(choices) // MAX_CHOICES + sum(isinstance(choice, Mapping | list) for choice in choices)
    for name in _HERE_LISTS:
        steps += sum(count(item) for item in _listed(schema.get(name)))
    for name in _HERE:
        if name in schema:
            steps += count(schema[name])
    for name in _HERE_MAPS:
        steps += sum(count(item) for item in _mapped(schema.get(name)))
    named = [count(item) for item in _mapped(schema.get("properties"))]
    others = [count(schema[name]) for name in ("additionalProperties", "unevaluatedProperties") if name in schema]
    by_pattern = sum(count(item) for item in _mapped(schema.get("patternProperties")))
    names = count(schema["propertyNames"]) if "propertyNames" in schema else 0
    items = schema.get("items")
    listed = [count(item) for item in (*_listed(items), *_listed(schema.get("prefixItems")))]
    rest = [count(item) for item in (items,) if isinstance(item, Mapping)]
    rest += [count(schema[name]) for name in ("additionalItems", "unevaluatedItems") if name in schema]
    contained = count(schema["contains"]) if "contains" in schema else 0
    of_object = max((*named, *others), default=0) + by_pattern + names
    of_array = max((*listed, *rest), default=0) + contained
    return steps + max(of_object, of_array)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _mapped(value: Any) -> Sequence[Any]:
    return list(value.values()) if isinstance(value, Mapping) else ()


def _components(edges: Mapping[str, Sequence[str]]) -> Iterator[frozenset[str]]:
    """Groups of names that lead to each other (Tarjan), those that others depend on first. Without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    for start in edges:
        if start in index:
            continue
        path: list[tuple[str, Iterator[str]]] = []

        def enter(name: str, path: list[tuple[str, Iterator[str]]] = path) -> None:
            index[name] = low[name] = len(index)
            stack.append(name)
            on_stack.add(name)
            path.append((name, iter(edges[name])))

        enter(start)
        while path:
            name, following = path[-1]
            for target in following:
                if target not in index:
                    enter(target)
                    break
                if target in on_stack:
                    low[name] = min(low[name], index[target])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[name])
                if low[name] == index[name]:
                    group: set[str] = set()
                    while name not in group:
                        member = stack.pop()
                        on_stack.discard(member)
                        group.add(member)
                    yield frozenset(group)
