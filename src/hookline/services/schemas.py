"""JSON Schemas of event types: what may be kept, and validators made of it.

Draft 7 unless `$schema` names another one (4, 6, 2019-09, 2020-12). Nothing is ever fetched: a reference that leaves
the schema is refused when the schema is written, and the validator has no way out. Patterns run in linear time, with
a bound on their compiled size; look-around and back-references, which cannot, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

import jsonschema_rs
import msgspec

from hookline.services.schema_cost import examine
from hookline.services.validation import Findings

MAX_VERSIONS: Final = 50
MAX_SCHEMAS_BYTES: Final = 262_144  # of one event type, all versions
MAX_DEPTH: Final = 64
MAX_PATTERN_BYTES: Final = 131_072  # compiled
# Steps: one schema put to one value takes some 0.3 us, and 11 us where it is said why it does not fit.
MAX_WORK: Final = 2_000_000
MAX_EXPLAINED: Final = 20_000
MAX_PROBLEMS: Final = 10  # of one payload, said at once
MAX_MESSAGE: Final = 500
UNFIT: Final = "json_schema"  # the kind of what a payload does wrong; the message may repeat the value

_VERSION: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)
_DRAFTS: Final[dict[str, Any]] = {
    "http://json-schema.org/draft-04/schema": jsonschema_rs.Draft4Validator,
    "http://json-schema.org/draft-06/schema": jsonschema_rs.Draft6Validator,
    "http://json-schema.org/draft-07/schema": jsonschema_rs.Draft7Validator,
    "https://json-schema.org/draft/2019-09/schema": jsonschema_rs.Draft201909Validator,
    "https://json-schema.org/draft/2020-12/schema": jsonschema_rs.Draft202012Validator,
}


class SchemaProblem(msgspec.Struct, frozen=True):
    """What is wrong with a payload, and where in it."""

    path: tuple[str | int, ...]
    message: str
    kind: str = UNFIT


class Validator:
    """One schema, ready. Costs microseconds for a usual payload; made once.

    Validation cannot be interrupted, so its work is bounded before: by what the schema costs for a value, and by how
    many values there are. Finding out all that is wrong costs much more than finding out whether something is; where
    there is much of both, less is said.
    """

    __slots__ = ("_cost", "_has_alternatives", "_validator")

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises ValueError when the schema is none, or could not be kept."""
        examined = examine(schema)
        if examined.fault is not None:
            raise ValueError(examined.fault.message)
        self._cost = examined.cost
        self._has_alternatives = examined.has_alternatives
        self._validator = _compile(schema)

    def problems(self, payload: Any, size_bytes: int) -> list[SchemaProblem]:
        """The first few things that are wrong with a payload (of so many bytes as JSON); none when it is valid."""
        work = (size_bytes // 2 + 1) * self._cost
        if work > MAX_EXPLAINED:
            work = count_values(payload) * self._cost
            if work > MAX_WORK:
                # Failure policy: closed. Whoever asked for validation gets nothing through that was not validated.
                text = "Checking this payload by its schema would take too long. Send less, or simplify the schema."
                return [SchemaProblem((), text, "too_costly")]
        if self._validator.is_valid(payload):
            return []
        if work <= MAX_EXPLAINED:
            return [_problem_of(error) for error in islice(self._validator.iter_errors(payload), MAX_PROBLEMS)]
        if self._has_alternatives:
            return [SchemaProblem((), "The payload does not fit its schema; it is too large to say where.")]
        try:
            self._validator.validate(payload)
        except jsonschema_rs.ValidationError as error:
            return [_problem_of(error)]
        return []


def count_values(value: Any) -> int:
    """How many values there are, objects and arrays included, without recursion."""
    count, level = 0, [value]
    while level:
        count += len(level)
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    return count


def _problem_of(error: jsonschema_rs.ValidationError) -> SchemaProblem:
    return SchemaProblem(tuple(error.instance_path), _shortened(error.message))


def newest_version(schemas: Mapping[str, Any]) -> str | None:
    """The highest number of a version."""
    return max(schemas, key=int, default=None)


def check_schemas(schemas: Mapping[str, Any] | None, findings: Findings, field: str = "schemas") -> None:
    """Whether these are JSON Schemas by version that can be kept and checked by."""
    if not schemas:
        return
    if len(schemas) > MAX_VERSIONS:
        findings.add(field, f"At most {MAX_VERSIONS} versions. Remove old ones.", "too_long")
        return
    try:
        size = len(msgspec.json.encode(schemas))
    except (UnicodeEncodeError, RecursionError, TypeError, ValueError):
        findings.add(field, "Schemas must be valid JSON.", "json")
        return
    if size > MAX_SCHEMAS_BYTES:
        findings.add(field, f"The schemas of a type may take {MAX_SCHEMAS_BYTES} bytes in all.", "too_long")
        return
    for version, schema in schemas.items():
        _check_schema(version, schema, findings, field)


def _check_schema(version: str, schema: Any, findings: Findings, field: str) -> None:
    if not _VERSION.fullmatch(version):
        findings.add(field, "Versions are numbers: 1, 2, and so on.", "string_pattern", (version,))
        return
    if not isinstance(schema, Mapping):
        findings.add(field, "A schema is a JSON object.", "type_error", (version,))
        return
    if _is_deeper(schema, MAX_DEPTH):
        findings.add(field, f"The schema nests more than {MAX_DEPTH} levels deep.", "too_long", (version,))
        return
    fault = examine(schema).fault
    if fault is not None:
        findings.add(field, fault.message, "json_schema", (version, *fault.path))
        return
    try:
        _compile(schema)
    except jsonschema_rs.ValidationError as error:
        path = (version, *error.instance_path)
        findings.add(field, _explained(error), "json_schema", path)
    except ValueError as error:
        findings.add(field, _shortened(str(error)), "json_schema", (version,))


def _compile(schema: Mapping[str, Any]) -> Any:
    draft = schema.get("$schema", "http://json-schema.org/draft-07/schema")
    make = _DRAFTS.get(draft.rstrip("#")) if isinstance(draft, str) else None
    if make is None:
        raise ValueError(f"Use one of these as $schema: {', '.join(_DRAFTS)}.")
    return make(
        schema,
        offline=True,
        validate_formats=True,
        pattern_options=jsonschema_rs.RegexOptions(size_limit=MAX_PATTERN_BYTES, dfa_size_limit=MAX_PATTERN_BYTES),
    )


def _is_deeper(value: Any, most: int) -> bool:
    """Whether arrays and objects nest deeper than that, without recursion."""
    level = [value]
    for _ in range(most + 1):
        level = [
            child
            for item in level
            if isinstance(item, Mapping | list)
            for child in (item.values() if isinstance(item, Mapping) else item)
        ]
        if not level:
            return False
    return True


def _explained(error: jsonschema_rs.ValidationError) -> str:
    if (error.instance_path and error.instance_path[-1] == "pattern") or "pattern" in error.schema_path:
        return (
            "This pattern cannot be used: patterns run in linear time, so look-around and back-references are not "
            "supported, and neither are very large repetitions."
        )
    return f"Not a JSON Schema: {_shortened(error.message)}"


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[:MAX_MESSAGE]}..."
