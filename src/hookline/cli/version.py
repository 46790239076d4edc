"""`hookline version`."""

from __future__ import annotations

import platform
import sqlite3

from hookline import __version__
from hookline.cli.output import JsonOption, print_json, print_text


def show_version(*, json: JsonOption = False) -> None:
    """Show the versions of Hookline, Python and SQLite."""
    if json:
        print_json({"hookline": __version__, "python": platform.python_version(), "sqlite": sqlite3.sqlite_version})
        return
    print_text(f"hookline {__version__} (Python {platform.python_version()}, SQLite {sqlite3.sqlite_version})")
