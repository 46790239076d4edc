"""How commands answer: JSON for programs, tables for people, notes and warnings on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Answer with JSON, for programs.")]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        help="sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE. Otherwise HOOKLINE_DATABASE_URL.",
        metavar="URL",
    ),
]


def print_text(text: str) -> None:
    sys.stdout.write(text + "\n")


def print_note(text: str) -> None:
    """Say something beside the answer, on standard error: pipes get the answer alone."""
    sys.stderr.write(f"hookline: {text}\n")


def print_json(value: Any) -> None:
    print_text(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on a terminal; elsewhere lines with tabs, which other programs can cut."""
    if not sys.stdout.isatty():
        for row in [columns, *rows]:
            print_text("\t".join(row))
        return
    from rich.console import Console  # noqa: PLC0415 -- only a terminal needs it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415 -- cells are text: values may contain markup by accident

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def format_time(at_ms: int | None) -> str:
    """RFC 3339 in UTC, to the second; empty for None."""
    if at_ms is None:
        return ""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
