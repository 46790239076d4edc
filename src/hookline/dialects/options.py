"""Reading an endpoint's options: a struct says which there are, and every mistake names its field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar, get_type_hints

import msgspec

from hookline.dialects.errors import DialectError

OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)


def read_options(options: Mapping[str, object], into: type[OptionsT], dialect: str) -> OptionsT:
    """The options as a struct, defaults filled in. Values are never converted: `"true"` is no boolean.

    Raises:
        DialectError: `unknown_option` or `invalid_option`, with the field.
    """
    known = get_type_hints(into, include_extras=True)
    values = {}
    for name, value in options.items():
        # Failure policy: closed. A misspelt option that is ignored sends the wrong thing for months.
        if name not in known:
            raise DialectError(
                f"The {dialect} dialect has no option {name!r}. It has: {', '.join(known) or 'none'}.",
                code="unknown_option",
                field=f"options.{name}",
            )
        try:
            values[name] = msgspec.convert(value, known[name], strict=True)
        except msgspec.ValidationError as error:
            raise DialectError(
                f"Option {name!r} of the {dialect} dialect: {error}. {into.__doc__}",
                code="invalid_option",
                field=f"options.{name}",
            ) from error
    return into(**values)


class NoOptions(msgspec.Struct, frozen=True):
    """It takes none."""
