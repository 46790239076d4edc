"""`hookline openapi`: the API's description, without a server."""

# ruff: noqa: PLC0415 -- imported when the command runs

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hookline.cli.output import print_text
from hookline.errors import HooklineError


class DescriptionChangedError(HooklineError):
    """A file with the description is not what the code says now."""

    code = "description_changed"


def print_openapi(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it into this file.", show_default=False)
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", help="Say whether this file is up to date.", show_default=False)
    ] = None,
) -> None:
    """Print the API's OpenAPI description."""
    from hookline.server.description import describe, to_text

    text = to_text(describe())
    if check is not None:
        kept = check.read_text(encoding="utf-8") if check.is_file() else ""
        if kept != text:
            raise DescriptionChangedError(
                f"{check} is not what the code says, {_first_difference(kept, text)}. "
                f"If the change is meant: hookline openapi --output {check}"
            )
    elif output is not None:
        output.write_text(text, encoding="utf-8")
    else:
        print_text(text.rstrip("\n"))


def _first_difference(kept: str, text: str) -> str:
    lines, now = kept.splitlines(), text.splitlines()
    for number, (old, new) in enumerate(zip(lines, now, strict=False), 1):
        if old != new:
            return f"for the first time in line {number}: {new.strip()}"
    return f"from line {min(len(lines), len(now)) + 1} on"
