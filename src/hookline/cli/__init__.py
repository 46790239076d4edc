"""The command line. `main` is the program `hookline`; each command has a file of its own beside this one.

The modules import what they need when their command runs, so that `hookline --help` answers at once.
"""

from __future__ import annotations

import sys

from hookline.errors import HooklineError

__all__ = ["main"]

EXIT_ERROR = 1
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 1 for an error, 2 for a wrong command line.

    Errors are one line on standard error. Anything that is no `HooklineError` is a defect and keeps its traceback.
    """
    try:
        from hookline.cli.program import run  # noqa: PLC0415 -- missing parts are explained below
    except ModuleNotFoundError as error:
        return _explain_missing(error)
    try:
        return run(sys.argv[1:] if arguments is None else arguments)
    except ModuleNotFoundError as error:
        return _explain_missing(error)
    except HooklineError as error:
        print(f"hookline: {' '.join(error.message.split())}", file=sys.stderr)  # noqa: T201
        return EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _explain_missing(error: ModuleNotFoundError) -> int:
    name = (error.name or "").partition(".")[0]
    if name in {"", "hookline"}:
        raise error
    extra = "postgres" if name == "asyncpg" else "server"
    print(  # noqa: T201
        f"hookline: the package {name} is missing. Install it with: pip install 'hookline[{extra}]'", file=sys.stderr
    )
    return EXIT_ERROR
