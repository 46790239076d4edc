"""Conditions on a payload: which messages an endpoint wants by what is in them. Compiled once to closures.

    {"data.amount": {">": 100}, "type": ["a.*", "b"], "customer.country": {"not": ["DE", "AT"]}}
    {"any": [{"vip": true}, {"data.amount": {">=": 1000}}], "not": {"test": {"exists": true}}}

An object of conditions holds when all its members do. A member is a path (`model.payload_path`) and what it asks of
the value there, or `any` (a list of such objects, one of them holds), `all` (every one) or `not` (one object, which
must not hold); `$.any` is a path.

What may be asked of a value:

* a plain value: equal to it. A string that ends in `*` asks for that beginning: `order.*`, `DE*`, `*` for any string;
* a list: equal to one of its values, in the same way;
* an object of operators, all of which hold: `=`, `!=`, `not`, `>`, `>=`, `<`, `<=`, `starts_with`, `ends_with`,
  `contains` (a part of a string, or an element of an array), `exists` (true or false). `=` takes strings literally.

What is not there, and what has another type, does not match: no condition on a path that leads nowhere holds, but for
`{"exists": false}`, and for the combining `not`, which is true whenever the conditions in it are not. `!=` and `not` as
operators ask for a value that is there and different. Numbers are compared with numbers and strings with strings (by
code point); `true` is not 1, and 1 is 1.0. With `[*]` a condition holds when one element meets all of it. Nothing that
a payload may hold makes an evaluation raise.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from hookline.errors import HooklineError
from hookline.model.payload_path import MAX_ELEMENTS, MISSING, PathError, compile_path, find_all, has_star, parse_path

MAX_BYTES: Final = 8_192  # of all conditions of one endpoint, as JSON
MAX_CONDITIONS: Final = 64
MAX_DEPTH: Final = 8  # of `any`, `all` and `not` in one another
MAX_VALUES: Final = 100  # in one list
LONGEST_PATH: Final = 2 * MAX_DEPTH + 8  # to a condition, with some `not` in one another at its end

Test = Callable[[Any], bool]  # of a whole payload, or of one value in it

_ORDERED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_NUMBERS: Final = frozenset({int, float})
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


class ConditionError(HooklineError):
    """Conditions that cannot be understood; `path` leads to the member that is wrong, from the conditions' top."""

    code = "condition"

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


def compile_conditions(conditions: Mapping[str, Any]) -> Test:
    """A function that says of a parsed payload whether the conditions hold. It does not raise.

    Raises:
        ConditionError: they break a rule of this page, or are more than one endpoint may have.
    """
    try:
        size = len(msgspec.json.encode(conditions))
    except (RecursionError, TypeError, ValueError):  # ValueError: half of a surrogate pair
        raise ConditionError((), "Conditions must be valid JSON.") from None
    if size > MAX_BYTES:
        raise ConditionError((), f"Conditions may take {MAX_BYTES} bytes as JSON; these take {size}.")
    return _Compiler().group(conditions, (), 0)


class _Compiler:
    def __init__(self) -> None:
        self._count = 0

    def group(self, conditions: Any, path: tuple[str | int, ...], depth: int) -> Test:
        """All members of one object hold."""
        if not isinstance(conditions, Mapping) or not conditions:
            raise ConditionError(path, 'Give an object with at least one condition, such as {"data.amount": 100}.')
        if depth > MAX_DEPTH:
            raise ConditionError(path, f"Combine conditions at most {MAX_DEPTH} deep.")
        tests = [self._member(name, wish, (*path, name), depth) for name, wish in conditions.items()]
        if len(tests) == 1:
            return tests[0]
        return lambda payload: all(test(payload) for test in tests)

    def _member(self, name: str, wish: Any, path: tuple[str | int, ...], depth: int) -> Test:
        if name == "not":
            inner = self.group(wish, path, depth + 1)
            return lambda payload: not inner(payload)
        if name in ("any", "all"):
            if not isinstance(wish, Sequence) or isinstance(wish, str) or not wish:
                raise ConditionError(path, "List at least one object of conditions.")
            tests = [self.group(one, (*path, index), depth + 1) for index, one in enumerate(wish)]
            if name == "all":
                return lambda payload: all(test(payload) for test in tests)
            return lambda payload: any(test(payload) for test in tests)
        return self._condition(name, wish, path)

    def _condition(self, name: str, wish: Any, path: tuple[str | int, ...]) -> Test:
        """What is asked of the value at one path."""
        self._count += 1
        if self._count > MAX_CONDITIONS:
            raise ConditionError(path, f"At most {MAX_CONDITIONS} conditions.")
        try:
            steps = parse_path(name)
        except PathError as error:
            raise ConditionError(path, error.message) from None
        absent = isinstance(wish, Mapping) and wish.get("exists") is False
        if absent and len(wish) > 1:
            raise ConditionError(path, "Of what does not exist nothing else can be asked.")
        test = _exists(True, ()) if absent else _value_test(wish, path)
        if has_star(steps):
            if absent:
                return lambda payload: not find_all(payload, steps)
            return lambda payload: any(test(value) for value in find_all(payload, steps))
        look = compile_path(steps)
        if absent:
            return lambda payload: look(payload) is MISSING

        def holds(payload: Any) -> bool:
            value = look(payload)
            return value is not MISSING and test(value)

        return holds


def _value_test(wish: Any, path: tuple[str | int, ...]) -> Test:
    if not isinstance(wish, Mapping):
        return _one_of(wish, path)
    if len(path) > LONGEST_PATH:
        raise ConditionError(path, f"Combine conditions at most {MAX_DEPTH} deep.")
    if not wish:
        raise ConditionError(path, f"Use one of the operators {', '.join(_OPERATORS)}.")
    tests = []
    for name, operand in wish.items():
        make = _OPERATORS.get(name)
        if make is None:
            raise ConditionError((*path, name), f"There is no such operator. Use {', '.join(_OPERATORS)}.")
        tests.append(make(operand, (*path, name)))
    if len(tests) == 1:
        return tests[0]
    return lambda value: all(test(value) for test in tests)


def _one_of(wish: Any, path: tuple[str | int, ...], *, literal: bool = False) -> Test:
    """Equal to one of some plain values, or beginning as a string that ends in `*` says."""
    values = _plain_values(wish, path)
    globs = tuple(value[:-1] for value in values if type(value) is str and value.endswith("*") and not literal)
    texts = frozenset(value for value in values if type(value) is str and (literal or not value.endswith("*")))
    numbers = frozenset(value for value in values if type(value) in _NUMBERS)
    constants = frozenset(value for value in values if value is None or type(value) is bool)

    def test(value: Any) -> bool:
        kind = type(value)
        if kind is str:
            return value in texts or value.startswith(globs)
        if kind in _NUMBERS:  # apart from true and false, which Python takes for 1 and 0
            return value in numbers
        return (kind is bool or value is None) and value in constants

    return test


def _plain_values(wish: Any, path: tuple[str | int, ...]) -> list[Any]:
    if not isinstance(wish, list | tuple):
        _require_plain(wish, path)
        return [wish]
    if not 1 <= len(wish) <= MAX_VALUES:
        raise ConditionError(path, f"List 1 to {MAX_VALUES} values.")
    for index, value in enumerate(wish):
        _require_plain(value, (*path, index))
    return list(wish)


def _require_plain(value: Any, path: tuple[str | int, ...]) -> None:
    if type(value) not in _PLAIN:
        raise ConditionError(path, "Compare with a string, a number, true, false or null.")


def _equal(operand: Any, path: tuple[str | int, ...]) -> Test:
    return _one_of(operand, path, literal=True)


def _differs(operand: Any, path: tuple[str | int, ...]) -> Test:
    test = _equal(operand, path)
    return lambda value: not test(value)


def _not(operand: Any, path: tuple[str | int, ...]) -> Test:
    test = _value_test(operand, path)
    return lambda value: not test(value)


def _exists(operand: Any, path: tuple[str | int, ...]) -> Test:
    if operand is not True:  # false stands alone and is seen before
        raise ConditionError(path, "Use true or false; false only directly at a path.")
    return lambda _: True


def _compare(name: str) -> Callable[[Any, tuple[str | int, ...]], Test]:
    compare = _ORDERED[name]

    def make(operand: Any, path: tuple[str | int, ...]) -> Test:
        if type(operand) is str:
            return lambda value: type(value) is str and compare(value, operand)
        if type(operand) not in _NUMBERS:
            raise ConditionError(path, "Compare with a number or a string.")
        return lambda value: type(value) in _NUMBERS and compare(value, operand)

    return make


def _text_operand(operand: Any, path: tuple[str | int, ...]) -> str:
    if type(operand) is not str:
        raise ConditionError(path, "Use a string.")
    return operand


def _starts_with(operand: Any, path: tuple[str | int, ...]) -> Test:
    text = _text_operand(operand, path)
    return lambda value: type(value) is str and value.startswith(text)


def _ends_with(operand: Any, path: tuple[str | int, ...]) -> Test:
    text = _text_operand(operand, path)
    return lambda value: type(value) is str and value.endswith(text)


def _contains(operand: Any, path: tuple[str | int, ...]) -> Test:
    _require_plain(operand, path)
    equal = _one_of(operand, path, literal=True)

    def test(value: Any) -> bool:
        if type(value) is str:
            return type(operand) is str and operand in value
        return type(value) is list and any(equal(element) for element in value[:MAX_ELEMENTS])

    return test


_OPERATORS: Final[Mapping[str, Callable[[Any, tuple[str | int, ...]], Test]]] = {
    "=": _equal,
    "!=": _differs,
    "not": _not,
    **{name: _compare(name) for name in _ORDERED},
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "contains": _contains,
    "exists": _exists,
}
