"""Options that are lengths of time."""

from __future__ import annotations

import typer

from hookline.server.durations import parse_duration


def read_duration(text: str, option: str) -> float:
    """Seconds; anything else is a wrong command line that names the option."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint=option) from None
