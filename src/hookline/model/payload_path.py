"""Paths into a payload: `data.amount`, `items[0].sku`, `items[*].sku`, `data["a.b"]`.

A dotted path from the payload's top; `$.` may stand in front of it. `[0]` is an element of an array, `[*]` any of
them, `["..."]` a member whose name has what a dotted name cannot have. What a path does not find is simply not there:
looking never raises, whatever the payload is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from typing import Any, Final

import orjson

from hookline.errors import HooklineError

MAX_PATH_LENGTH: Final = 256  # characters
MAX_STEPS: Final = 16
MAX_ELEMENTS: Final = 1_000  # of arrays that one `[*]` path looks at, in all

_STEP: Final = re.compile(r"""(?:^|\.)([^.\[\]"]+)|\[(?:(\d{1,6})|(\*)|("(?:[^"\\]|\\.)*"))\]""")

Steps = tuple[str | int | None, ...]  # None: any element


class _Missing:
    """What is there when nothing is there: no payload holds it."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()


class PathError(HooklineError):
    """A text that is no path; the message says what one looks like."""

    code = "path"


def parse_path(text: str) -> Steps:
    """The steps of a path.

    Raises:
        PathError: it is none, or too long.
    """
    if len(text) > MAX_PATH_LENGTH:
        raise PathError(f"A path may have {MAX_PATH_LENGTH} characters.")
    rest = text.removeprefix("$.")
    steps: list[str | int | None] = []
    position = 0
    while position < len(rest):
        match = _STEP.match(rest, position)
        if match is None or rest.startswith("."):
            raise PathError('Write a path as data.amount, items[0].sku, items[*].sku or data["a.b"].')
        steps.append(_step(match))
        position = match.end()
    if not 1 <= len(steps) <= MAX_STEPS:
        raise PathError(f"A path has 1 to {MAX_STEPS} steps, such as data.amount.")
    return tuple(steps)


def _step(match: re.Match[str]) -> str | int | None:
    name, index, star, quoted = match.groups()
    if name is not None:
        return name
    if index is not None:
        return int(index)
    if star is not None:
        return None
    try:
        return str(orjson.loads(quoted))
    except orjson.JSONDecodeError:
        raise PathError('Between [" and "] stands a JSON string.') from None


def has_star(steps: Steps) -> bool:
    return None in steps


def compile_path(steps: Steps) -> Callable[[Any], Any]:
    """A function from a payload to what stands at a path without `[*]`, or MISSING."""
    if len(steps) == 1 and type(steps[0]) is str:
        name = steps[0]
        return lambda payload: payload.get(name, MISSING) if type(payload) is dict else MISSING

    def look(payload: Any) -> Any:
        value = payload
        for step in steps:
            if isinstance(step, int):
                if type(value) is not list or step >= len(value):
                    return MISSING
                value = value[step]
            elif type(value) is dict:
                value = value.get(step, MISSING)
            else:
                return MISSING
        return value

    return look


def find_all(payload: Any, steps: Steps) -> list[Any]:
    """Everything that stands at a path with `[*]`; of long arrays the first `MAX_ELEMENTS`."""
    found = [payload]
    for step in steps:
        if step is None:
            elements = (element for value in found if type(value) is list for element in value)
            found = list(islice(elements, MAX_ELEMENTS))
        elif isinstance(step, int):
            found = [value[step] for value in found if type(value) is list and step < len(value)]
        else:
            found = [value[step] for value in found if type(value) is dict and step in value]
    return found
