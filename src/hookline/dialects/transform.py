"""Transforms: a JMESPath expression whose result is sent instead of the payload.

The same payload and the same expression give the same bytes, on every attempt and every node: objects keep the order in
which the expression or the payload names their members, numbers are those of Python's `json`, and nothing random, no
clock and no address takes part. Read and written again, a payload is no longer the bytes that came in: `1.0e2` becomes
`100.0`, of a member that is given twice the last one counts. Whole numbers keep all their digits.

JMESPath always ends, but not soon: `[@,@]|[@,@]|...` doubles with every seven characters, and `to_string` or `==` then
walk through all of it in one call that nothing can interrupt. So this interpreter counts steps (what is visited, built,
compared) against a budget, and weighs every value that it makes as if it were written out, so that no shared part
hides its size. A budget that is spent ends the evaluation; within it, the longest single call is bounded by the weight.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from typing import Any, Final

import jmespath
from jmespath.exceptions import (
    EmptyExpressionError,
    JMESPathError,
    JMESPathTypeError,
    LexerError,
    ParseError,
)
from jmespath.functions import Functions
from jmespath.visitor import Options, TreeInterpreter

from hookline.errors import HooklineError

MAX_EXPRESSION_LENGTH: Final = 4_096
MAX_DEPTH: Final = 50
MAX_INPUT_BYTES: Final = 1_048_576
MAX_RESULT_BYTES: Final = 1_048_576
MAX_WEIGHT: Final = 2_000_000
"""Characters of all strings and names in a value, and one for everything else in it, shared parts each time anew."""

MOST_STEPS: Final = 50_000  # some 100 milliseconds: only beside the event loop
# What may run on it: one or two milliseconds.
QUICK_INPUT_BYTES: Final = 32_768
QUICK_STEPS: Final = 1_000
QUICK_WEIGHT: Final = 131_072

_TOO_SLOW: Final = "The transform takes too long for this payload. Make the expression simpler."
_TOO_LARGE: Final = "The transform makes a value that is too large. Choose less of the payload."
_WEIGHT_PER_STEP: Final = 32  # what the C code behind functions and comparisons gets through while we make one step
# What makes new values; everything else gives parts of those that there are.
_MAKERS: Final = frozenset({"multi_select_list", "multi_select_dict", "flatten", "slice", "function_expression"}) | {
    *("projection", "filter_projection", "value_projection"),
}
_WITH_EXPRESSIONS: Final = frozenset({"map", "sort_by", "min_by", "max_by"})


class TransformError(HooklineError):
    """`invalid_transform`: the expression cannot be used. `transform_failed`: this payload has no result under it."""

    code = "transform_failed"


class BudgetSpentError(TransformError):
    """There is more to do, or more to keep, than the budget allows."""


class Transform:
    """One expression, ready to be applied. Holds nothing that changes."""

    __slots__ = ("_parsed",)

    def __init__(self, expression: str) -> None:
        """Read an expression.

        Raises:
            TransformError: `invalid_transform`, with the place of the fault.
        """
        if len(expression) > MAX_EXPRESSION_LENGTH:
            raise _invalid(f"Use at most {MAX_EXPRESSION_LENGTH} characters.")
        self._parsed = _parse(expression)
        _check(self._parsed)

    def apply(self, payload: bytes, *, quick: bool = False) -> bytes:
        """The JSON object that is sent instead of a payload. `quick`: only if that takes a millisecond or two.

        Raises:
            BudgetSpentError: there is too much to do for that, or at all.
            TransformError: the payload is no JSON or too large, the result is no object or too large, a function was
                given what it does not take.
        """
        if len(payload) > MAX_INPUT_BYTES:
            raise _failed(f"The payload has more than {MAX_INPUT_BYTES} bytes, which is too much to transform.")
        if quick and len(payload) > QUICK_INPUT_BYTES:
            raise BudgetSpentError(_TOO_SLOW)
        try:
            value = json.loads(payload)
        except (ValueError, RecursionError):
            raise _failed("The payload is not JSON that can be transformed.") from None
        try:
            result = _Interpreter(quick=quick).visit(self._parsed, value)
        except JMESPathTypeError as error:
            raise _failed(
                f"The function {error.function_name}() was given a value of a type that it does not take."
            ) from None
        except RecursionError:
            raise _failed("The payload is nested too deeply.") from None
        except (JMESPathError, ArithmeticError, ValueError, TypeError, LookupError, AttributeError):
            # Failure policy: closed. What the library's own code makes of odd values is no result.
            raise _failed("The expression has no value for this payload.") from None
        if type(result) is not dict:
            raise _failed("The result is not a JSON object. Wrap it: {data: ...}.")
        return _write(result)


def _write(result: dict[str, Any]) -> bytes:
    try:
        written = json.dumps(result, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError, RecursionError):  # NaN and infinity, half a surrogate pair, an expression
        raise _failed("The result has a value that JSON has no text for.") from None
    if len(written) > MAX_RESULT_BYTES:
        raise _failed(f"The result has more than {MAX_RESULT_BYTES} bytes.")
    return written


def _parse(expression: str) -> Any:
    problem = "This is not a JMESPath expression."
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a literal that is no JSON passes for a string, with a warning
            return jmespath.compile(expression).parsed
    except Warning:
        problem = "Between backticks stands JSON. Write a string as 'text' or `\"text\"`."
    except EmptyExpressionError:
        problem = "The expression is empty. Use null to send the payload as it is."
    except LexerError as error:
        problem = f"Not JMESPath: a character that cannot stand there, at position {error.lexer_position + 1}."
    except ParseError as error:
        at = min(error.lex_position, len(expression)) + 1
        problem = f"Not JMESPath: the expression cannot be understood from position {at} on."
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        pass  # the parser stumbled over it
    raise _invalid(problem)


def _check(parsed: Any) -> None:
    """What the parser lets pass and no payload could repair: depth, unknown functions, the number of arguments."""
    level, depth = [parsed], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _invalid(f"The expression is nested more than {MAX_DEPTH} deep.")
        for node in level:
            if node["type"] == "function_expression":
                _check_call(node["value"], len(node["children"]))
        level = [child for node in level for child in node["children"] if isinstance(child, dict)]


def _check_call(name: str, given: int) -> None:
    known = Functions.FUNCTION_TABLE.get(name)
    if known is None:
        raise _invalid(f"There is no function {name}() in JMESPath.")
    signature = known["signature"]
    variadic = bool(signature) and bool(signature[-1].get("variadic"))
    if given < len(signature) or (given > len(signature) and not variadic):
        raise _invalid(f"The function {name}() takes {len(signature)}{' or more' if variadic else ''} argument(s).")


def _invalid(message: str) -> TransformError:
    return TransformError(message, code="invalid_transform")


def _failed(message: str) -> TransformError:
    return TransformError(message)


class _Interpreter(TreeInterpreter):
    """JMESPath under a budget, for one evaluation."""

    def __init__(self, *, quick: bool) -> None:
        super().__init__(Options(custom_functions=_Functions(self)))
        self._left = QUICK_STEPS if quick else MOST_STEPS
        self.most_weight: Final = QUICK_WEIGHT if quick else MAX_WEIGHT
        # By identity; the value is kept so that its identity is not given to another meanwhile.
        self._weights: dict[int, tuple[Any, int]] = {}

    def spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise BudgetSpentError(_TOO_SLOW)

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self.spend(1)
        result = super().visit(node, *args, **kwargs)
        if node["type"] in _MAKERS:
            self.weigh(result)
        return result

    def visit_comparator(self, node: Any, value: Any) -> Any:
        left, right = (self.visit(child, value) for child in node["children"])
        self.spend(min(self.weigh(left), self.weigh(right)) // _WEIGHT_PER_STEP)
        seen: Any = [{"type": "literal", "value": side, "children": []} for side in (left, right)]
        compared: Any = {**node, "children": seen}
        return super().visit_comparator(compared, value)

    def weigh(self, value: Any) -> int:
        """How much a value would be if it were written out.

        Raises:
            TransformError: too much.
        """
        kind = type(value)
        if kind is str:
            weight = 1 + len(value)
        elif kind is list or kind is dict:
            known = self._weights.get(id(value))
            if known is not None:
                return int(known[1])
            self.spend(1 + len(value) // 4)
            if kind is dict:
                weight = 1 + sum([len(name) + self.weigh(item) for name, item in value.items()])
            else:
                weight = 1 + sum([self.weigh(item) for item in value])
        elif kind is int:
            weight = 1 + int(value.bit_length()) // 3
        elif kind is float or kind is bool or value is None:
            weight = 1
        else:
            raise _failed("An expression (&...) stands where a value should.")
        if weight > self.most_weight:
            raise BudgetSpentError(_TOO_LARGE)
        if kind is list or kind is dict:
            self._weights[id(value)] = (value, weight)
        return weight


class _Functions(Functions):
    """The standard functions, paid for before they are called."""

    def __init__(self, interpreter: _Interpreter) -> None:
        super().__init__()
        self._interpreter = interpreter

    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        values = arguments = list(resolved_args)
        if function_name in _WITH_EXPRESSIONS:
            values = [argument for argument in arguments if type(argument).__name__ != "_Expression"]
        weight = sum(self._interpreter.weigh(value) for value in values)
        self._interpreter.spend(weight // _WEIGHT_PER_STEP)
        if function_name == "join" and _joined_length(*arguments) > self._interpreter.most_weight:
            raise BudgetSpentError(_TOO_LARGE)
        return super().call_function(function_name, arguments)


def _joined_length(separator: Any, items: Any) -> int:
    """What the separators alone make of it: the one result that can outgrow all that a function was given."""
    return len(separator) * len(items) if type(separator) is str and type(items) is list else 0
