"""All dialects, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hookline.dialects.cloudevents import CloudEventsDialect
from hookline.dialects.errors import DialectError
from hookline.dialects.openai import OpenAIDialect
from hookline.dialects.plain import PlainDialect
from hookline.dialects.protocol import Dialect
from hookline.dialects.speech import SpeechDialect
from hookline.dialects.standard import StandardDialect

_ALL: tuple[Dialect, ...] = (
    StandardDialect(),
    OpenAIDialect(),
    SpeechDialect(),
    PlainDialect(),
    CloudEventsDialect(),
)

DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in _ALL})


def get_dialect(name: str) -> Dialect:
    """The dialect of this name.

    Raises:
        DialectError: `unknown_dialect`.
    """
    dialect = DIALECTS.get(name)
    if dialect is None:
        raise DialectError(
            f"There is no dialect {name!r}. Choose one of: {', '.join(DIALECTS)}.",
            code="unknown_dialect",
            field="dialect",
        )
    return dialect
