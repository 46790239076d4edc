"""JSON Schemas of event types: what may be kept, and validators made of it.

Draft 7 unless `$schema` names another one (4, 6, 2019-09, 2020-12). Nothing is ever fetched: a reference that leaves
the schema is refused when the schema is written, and the validator has no way out. Patterns run in linear time, with
a bound on their compiled size; look-around and back-references, which cannot, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs
import msgspec

from hookline.services.schema_cost import find_fault
from hookline.services.validation import Findings

MAX_VERSIONS: Final = 50
MAX_SCHEMAS_BYTES: Final = 262_144  # of one event type, all versions
MAX_DEPTH: Final = 64
MAX_PATTERN_BYTES: Final = 1_048_576  # compiled
MAX_PROBLEMS: Final = 10  # of one payload, said at once
MAX_MESSAGE: Final = 500

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


class Validator:
    """One schema, ready. Costs microseconds a payload; made once."""

    __slots__ = ("_validator",)

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raises ValueError when the schema is none."""
        self._validator = _compile(schema)

    def problems(self, payload: Any) -> list[SchemaProblem]:
        """The first few things that are wrong with a payload; none when it is valid."""
        if self._validator.is_valid(payload):
            return []
        found = []
        for error in self._validator.iter_errors(payload):
            found.append(SchemaProblem(tuple(error.instance_path), _shortened(error.message)))
            if len(found) == MAX_PROBLEMS:
                break
        return found


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
    fault = find_fault(schema)
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
