"""Transforms: what they give, always the same; what they refuse; and that no expression takes more than its budget."""

import json
import sys
import time

import jmespath
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hookline.dialects import BudgetSpentError, Transform, TransformError
from hookline.dialects.transform import (
    MAX_INPUT_BYTES,
    MAX_RESULT_BYTES,
    MOST_STEPS,
    QUICK_INPUT_BYTES,
    _Interpreter,
)

INVOICE = {
    "id": "in_1",
    "amount": 4200,
    "lines": [{"sku": "a", "n": 2}, {"sku": "b", "n": 1}, {"sku": "c"}],
    "customer": {"name": "Zoë", "id": None},
}


def apply(expression, payload, **how):
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Transform(expression).apply(content, **how)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("@", json.dumps(INVOICE, ensure_ascii=False, separators=(",", ":"))),
        ("{z: id, a: amount}", '{"z":"in_1","a":4200}'),
        ("customer", '{"name":"Zoë","id":null}'),
        ("{skus: lines[*].sku, first: lines[0].n}", '{"skus":["a","b","c"],"first":2}'),
        ("{many: lines[?n > `1`].sku | [0], none: nope}", '{"many":"a","none":null}'),
        ("merge(customer, {total: sum(lines[].n)})", '{"name":"Zoë","id":null,"total":3}'),
        ("{text: to_string(@.lines[1]), kind: type(id)}", '{"text":"{\\"sku\\":\\"b\\",\\"n\\":1}","kind":"string"}'),
        ("{same: id == 'in_1', order: lines[?n == `2`] | length(@)}", '{"same":true,"order":1}'),
        ("{by: sort_by(lines[?n], &n)[*].sku, map: map(&sku, lines)}", '{"by":["b","a"],"map":["a","b","c"]}'),
        ("{joined: join(', ', lines[*].sku)}", '{"joined":"a, b, c"}'),
        ("{keys: keys(@)}", '{"keys":["id","amount","lines","customer"]}'),
        ("{flat: [lines, lines][][] | length(@)}", '{"flat":6}'),
        ("lines[-1]", '{"sku":"c"}'),
    ],
)
@pytest.mark.parametrize("quick", [False, True])
def test_what_comes_of_a_payload(expression, expected, quick):
    assert apply(expression, INVOICE, quick=quick).decode() == expected


def test_numbers_pass_through_json():
    payload = b'{"whole":12345678901234567890123, "tenth":0.10, "power":1.0e2, "twice":1, "twice":2}'
    assert apply("@", payload) == b'{"whole":12345678901234567890123,"tenth":0.1,"power":100.0,"twice":2}'


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "empty"),
        ("{a: b", "position 6"),
        ("foo(", "position 5"),
        ("a b", "position 3"),
        ("a ; b", "position 3"),
        ("{a: nope(@)}", "no function nope"),
        ("{a: join('x')}", "join() takes 2"),
        ("{a: not_null()}", "takes 1 or more"),
        ("{a: length(@, @)}", "takes 1 argument"),
        ("{a: `{`}", "backticks"),
        ("function handler(webhook) { return webhook }", "position 10"),
        ("x" * 4_097, "4096"),
        ("|".join(["a"] * 60), "50 deep"),
        ("{a: " * 60 + "@" + "}" * 60, "50 deep"),
        ("(" * 2_000, ""),
        ("`" + "[" * 2_000 + "]" * 2_000 + "`", ""),
        ("[" * 4_000, ""),
        ("&" * 4_000, ""),
        ("!" * 4_000, ""),
        ("\x00", "position 1"),
        ("\ud800", "position 1"),
    ],
)
def test_expressions_that_cannot_be_used(expression, words):
    with pytest.raises(TransformError) as caught:
        Transform(expression)
    assert caught.value.code == "invalid_transform"
    assert words in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("expression", "payload"),
    [
        ("lines", INVOICE),
        ("id", INVOICE),
        ("nope", INVOICE),
        ("{a: sum(@)}", INVOICE),
        ("{a: abs(id)}", INVOICE),
        ("{a: max_by(lines, &sku)}", {"lines": [{"sku": 1}, {"sku": "a"}]}),
        ("{a: to_number('nan')}", INVOICE),
        ("{a: `1e999`}", INVOICE),
        ("{a: ceil(to_number('inf'))}", INVOICE),
        ("{a: avg(n)}", {"n": [10**400, 1]}),
        ("{a: [&b]}", INVOICE),
        ("{a: not_null(&b)}", INVOICE),
        ("{a: to_string(&b)}", INVOICE),
        ("{a: type(&b)}", INVOICE),
        ("{a: map(@, @)}", INVOICE),
        ("{a: lines[::0]}", INVOICE),
        ("@", b"not json"),
        ("@", b""),
        ("@", b"\xff"),
        ("@", b"[1]"),
        ("@", b'{"a": NaN}'),
        ("@", b'{"a": "\\ud800"}'),
        ("@", b'{"a": ' + b"9" * 5_000 + b"}"),
        ("{a: @}", b"[" * 100_000),
        ("{a: @}", b"[" * 900 + b"]" * 900),
        ("@", b'{"a":"' + b"x" * MAX_INPUT_BYTES + b'"}'),
        ("{a: a, b: a}", b'{"a":"' + b"x" * (MAX_RESULT_BYTES - 100) + b'"}'),
    ],
)
def test_payloads_that_have_no_result(expression, payload):
    with pytest.raises(TransformError) as caught:
        apply(expression, payload)
    assert caught.value.code == "transform_failed"
    assert caught.value.__cause__ is None
    assert len(caught.value.message) < 200
    assert "in_1" not in caught.value.message


DOUBLE = "[@,@]"


def pipe(step, times):
    return "|".join([step] * times)


def many(step, times):
    return f"{{a:[{','.join([step] * times)}]}}"


def literal(value):
    return f"`{json.dumps(value)}`"


HOSTILE = {
    "doubling, written": pipe(DOUBLE, 45) + "|{a:@}",
    "doubling, to_string": pipe(DOUBLE, 45) + "|{a:to_string(@)}",
    "doubling, compared": pipe(DOUBLE, 45) + "|{a:[0]==[1]}",
    "doubling, found": pipe(DOUBLE, 45) + "|{a:contains(@, `1`)}",
    "doubling, flattened": pipe(DOUBLE + "[]", 40) + "|{a:@}",
    "two of them": f"{{l:({pipe(DOUBLE, 18)}),r:({pipe(DOUBLE, 18)})}}|{{a:l==r}}",
    "doubling objects": pipe("{a:@,b:@}", 45),
    "doubling text": "{t:'x'}|" + pipe("{t:join('',[t,t])}", 40),
    "escaping text": "{t:'\"'}|" + pipe("{t:to_string([t])}", 40),
    "joining": "{a:join(long, many)}",
    "filters in filters": f"{{a:many[?contains({literal(['a'] * 500)}, @)]}}",
    "products": f"{{a:many[*].[{literal(list(range(700)))}]}}",
    "maps in maps": f"{{a:map(&map(&map(&map(&@, @), @), @), [{literal([[list(range(30))] * 10] * 2)}])}}",
    "sorting": "{a:sort(many)|" + pipe("sort(@)", 6) + "}",
    "sorting by": "{a:sort_by(many, &@)|" + pipe("sort_by(@, &@)", 3) + "}",
    "looking in text": many("contains(long, 'xxxxxxxxxy')", 100),
    "reversing": "{a:long|" + pipe("reverse(@)", 40) + "}",
    "comparing big": many("many==many", 300),
    "wide": f"{{{','.join(f'a{number}:@' for number in range(500))}}}",
    "slices": many("many[:]", 400),
}


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_takes_longer_than_its_budget(name, quick):
    payload = {"long": "x" * 400_000, "many": [f"item {n:05}" for n in range(20_000)]}
    if quick:
        payload = {"long": "x" * 10_000, "many": payload["many"][:1_000]}
    content = json.dumps(payload).encode()
    assert (len(content) <= QUICK_INPUT_BYTES) is quick
    transform = Transform(HOSTILE[name])
    started_s = time.thread_time()
    try:
        result = transform.apply(content, quick=quick)
    except TransformError:
        result = b""
    assert len(result) <= MAX_RESULT_BYTES
    # Measured on an idle core: 3 ms and 120 ms at most. What this finds is something that grows without end.
    assert time.thread_time() - started_s < (0.25 if quick else 2.5)


def test_a_quick_one_is_refused_rather_than_slow():
    many = {"many": list(range(5_000))}
    with pytest.raises(BudgetSpentError):
        apply("{a: many[*].[@]}", many, quick=True)
    assert len(apply("{a: many[*].[@]}", many)) > 5_000
    with pytest.raises(BudgetSpentError):
        apply("@", b'{"a":"' + b"x" * QUICK_INPUT_BYTES + b'"}', quick=True)


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
_expressions = st.recursive(
    st.sampled_from(["a", "b", "@", "a.b", "a[0]", "a[*]", "*", "a[]", "[]", "`1`", "'a'", "a[1:]", "a[?b]"]),
    lambda inner: st.one_of(
        st.builds("{{x: {}, y: {}}}".format, inner, inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("{} | {}".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("({} == {})".format, inner, inner),
        st.builds("({} < {})".format, inner, inner),
        st.builds("not_null({}, {})".format, inner, inner),
        st.builds("to_string({})".format, inner),
        st.builds("to_array({})".format, inner),
        st.builds("type({})".format, inner),
    ),
    max_leaves=8,
)  # fmt: skip


@given(expression=_expressions, value=_json)
def test_results_are_those_of_the_library(expression, value):
    """The budget changes nothing but how long it may take."""
    wrapped = f"{{r: {expression}}}"
    expected = jmespath.search(wrapped, value)
    content = json.dumps(value).encode()
    if value is None:
        with pytest.raises(TransformError):
            apply(wrapped, content)
        return
    first = apply(wrapped, content)
    assert json.loads(first) == json.loads(json.dumps(expected))
    assert first == apply(wrapped, content) == apply(wrapped, content, quick=True)


@given(text=st.text(max_size=200) | st.text("abc.[]{}()*@&|!<>='`\"?:,0123456789- ", max_size=60))
@example("`" * 3)
@example("a" + "[" * 900)
def test_whatever_is_written_is_read_or_refused(text):
    try:
        result = Transform(text).apply(b'{"a": [1, {"b": "c"}]}')
    except TransformError:
        return
    assert isinstance(json.loads(result), dict)


def test_the_librarys_interpreter_has_no_ways_that_are_not_paid_for():
    """A new version with new kinds of nodes or functions must be looked at before it is let in."""
    names = [name for name in dir(jmespath.visitor.TreeInterpreter) if name.startswith("visit_")]
    assert " ".join(sorted(name.removeprefix("visit_") for name in names)) == (
        "and_expression comparator current expref field filter_projection flatten function_expression identity index "
        "index_expression key_val_pair literal multi_select_dict multi_select_list not_expression or_expression pipe "
        "projection slice subexpression value_projection"
    )
    assert " ".join(sorted(jmespath.functions.Functions.FUNCTION_TABLE)) == (
        "abs avg ceil contains ends_with floor join keys length map max max_by merge min min_by not_null reverse sort "
        "sort_by starts_with sum to_array to_number to_string type values"
    )


def test_weights_are_those_of_what_would_be_written():
    interpreter = _Interpreter(quick=False)
    shared = ["abc", 1]
    assert interpreter.weigh(shared) == 6
    assert interpreter.weigh({"k": shared, "l": [shared, shared]}) == 1 + 1 + 6 + 1 + 13
    assert sys.maxsize > MOST_STEPS
