"""SQL lives in `.sql` files as named blocks; this turns a file into a dictionary.

    -- name: find_node
    SELECT 1 FROM hookline_nodes WHERE id = ?;

Files stand in `sql/sqlite/` and `sql/postgres/`. What stands before the first name is a comment on the whole file.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)
_TRAILING_COMMENTS = re.compile(r"(\n *(--.*)?)+\Z")  # what stands above the next name is about that one


@cache
def load_queries(database: str, file: str) -> Mapping[str, str]:
    """Read `sql/{database}/{file}.sql`: the name of each block -> its SQL.

    Raises:
        ValueError: two blocks have one name, or a block is empty.
    """
    text = resources.files("hookline.store").joinpath("sql", database, f"{file}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    queries: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        sql = _TRAILING_COMMENTS.sub("", body).strip().removesuffix(";")
        if not sql or name in queries:
            raise ValueError(f"{database}/{file}.sql: the block {name!r} is empty or there twice")
        queries[name] = sql
    return MappingProxyType(queries)
