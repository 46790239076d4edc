"""`hookline import svix`: a Svix server's applications, endpoints and event types, copied to Hookline."""

# ruff: noqa: PLC0415 -- imported when the command runs

from __future__ import annotations

import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli.output import DatabaseOption, JsonOption, print_json, print_note, print_table
from hookline.errors import HooklineError

if TYPE_CHECKING:
    from hookline.cli.svix_import.calls import Api
    from hookline.cli.svix_import.report import Report

app = typer.Typer(help="Copy from other webhook services.", no_args_is_help=True, rich_markup_mode=None)


class ImportUsageError(HooklineError):
    """The options do not say from where, to where, or as whom."""

    code = "import_usage"


@app.command("svix")
def import_svix(
    *,
    from_url: Annotated[str, typer.Option("--from-url", help="The Svix server, for example https://api.eu.svix.com.")],
    from_token_file: Annotated[
        Path | None, typer.Option("--from-token-file", help="A file that holds its token; - for standard input.")
    ] = None,
    from_token_env: Annotated[
        str | None, typer.Option("--from-token-env", metavar="NAME", help="The environment variable that holds it.")
    ] = None,
    from_token: Annotated[
        str | None, typer.Option("--from-token", help="The token itself. Other users see command lines: better not.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", help="Copy to this running Hookline. Otherwise to the database, as other commands do."),
    ] = None,
    token: Annotated[
        str | None, typer.Option("--token", envvar="HOOKLINE_TOKEN", help="With --url: a token of that Hookline.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--app", help="Only this application (id or uid); repeat it for more.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")] = False,
    concurrency: Annotated[
        int, typer.Option("--concurrency", min=1, max=64, help="How many requests at the same time, to either side.")
    ] = 8,
    org: Annotated[str | None, typer.Option("--org", help="The organization; HOOKLINE_DEFAULT_ORG otherwise.")] = None,
    database: DatabaseOption = None,
    json: JsonOption = False,
) -> int:
    """Copy applications, endpoints with their secrets, and event types from a Svix server.

    Nothing is deleted, at neither side. Run it as often as you like: what is the same already is left alone. Messages
    are not copied. The exit code is 1 while something is left to do; the report says what.
    """
    import asyncio

    from hookline.cli.svix_import.report import Report

    credential = _read_token(from_token, from_token_file, from_token_env)
    if url is not None and (database is not None or org is not None):
        raise ImportUsageError("--database and --org say where to copy to, and so does --url. Use one of them.")
    if url is not None and not token:
        raise ImportUsageError("--url needs a token: set HOOKLINE_TOKEN to one that `hookline token` gave there.")
    report = Report(dry_run=dry_run)

    async def run() -> None:
        from hookline.cli.svix_import.calls import HttpApi, open_own_api

        async with AsyncExitStack() as opened:
            source = HttpApi(from_url, credential, concurrency)
            opened.callback(source.close)
            target: Api
            if url is not None:
                target = HttpApi(url, token or "", concurrency)
                opened.callback(target.close)
            else:
                target = await opened.enter_async_context(open_own_api(database, org, concurrency))
            await _copy(source, target, report, only or [], show=not json and sys.stderr.isatty())

    asyncio.run(run())
    if json:
        print_json(report.to_json())
    else:
        _print_report(report)
    return 0 if report.is_complete else 1


async def _copy(source: Api, target: Api, report: Report, only: list[str], *, show: bool) -> None:
    """Run the walk; what ends it early is in the report, with all that was done until then."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from hookline.cli.client import ClientError
    from hookline.cli.svix_import.copier import Copier

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not show) as progress:
        task = progress.add_task("asking")

        def on_item(_: object) -> None:
            counted = ", ".join(f"{sum(counts.values())} {kind}s" for kind, counts in report.counts())
            progress.update(task, description=counted)

        try:
            await Copier(source, target, report, only=only, on_item=on_item).run()
        except ClientError as error:
            # Failure policy: what is copied stays. The next run finds it, and goes on from there.
            report.interrupted_by = error.message


def _read_token(given: str | None, file: Path | None, variable: str | None) -> str:
    if sum(option is not None for option in (given, file, variable)) != 1:
        raise ImportUsageError("Say once where the token of the Svix server is: --from-token-file or --from-token-env.")
    if file is not None:
        try:
            text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ImportUsageError(f"Cannot read {file}. Name a file that holds the token.") from error
    elif variable is not None:
        text = os.environ.get(variable, "")
    else:
        print_note("Other users of this machine can read --from-token. Use --from-token-file or --from-token-env.")
        text = given or ""
    if not text.strip():
        raise ImportUsageError(f"There is no token in {file or variable or '--from-token'}.")
    return text.strip()


def _print_report(report: Report) -> None:
    from hookline.cli.svix_import.report import Outcome

    if report.dry_run:
        print_note("This was a rehearsal: nothing was changed.")
    print_table(
        ("", *(outcome.value for outcome in Outcome)),
        [(f"{kind}s", *(str(count) for count in counts.values())) for kind, counts in report.counts()],
    )
    for item in report.items:
        for note in item.notes:
            print_note(f"{item.kind} {item.name} ({item.source_id}): {note}")
    if report.interrupted_by is not None:
        print_note(f"It ended early. {report.interrupted_by} Run it again to go on.")


@app.callback()
def _group() -> None:
    """Copy from other webhook services."""
