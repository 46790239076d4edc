"""`hookline catalog`: ready-made event types, put into an organization's own catalog."""

# ruff: noqa: PLC0415 -- imported when a command runs

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from hookline.cli.database import Database, run_with_database
from hookline.cli.output import DatabaseOption, JsonOption, print_json, print_note, print_table

if TYPE_CHECKING:
    from hookline.services.catalogs import Outcome

app = typer.Typer(help="Install ready-made event types.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_catalogs(*, json: JsonOption = False) -> None:
    """List the catalogs that can be installed."""
    from hookline.services.catalogs import CATALOGS

    if json:
        print_json(
            [
                {"name": one.name, "description": one.description, "eventTypes": list(one.forms)}
                for one in CATALOGS.values()
            ]
        )
        return
    print_table(
        ("name", "event types", "what it is"),
        [(one.name, str(len(one.forms)), one.description) for one in CATALOGS.values()],
    )


@app.command("install")
def install(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which one, from `hookline catalog list`.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    org: Annotated[str | None, typer.Option("--org", help="The organization; HOOKLINE_DEFAULT_ORG otherwise.")] = None,
    database: DatabaseOption = None,
    json: JsonOption = False,
) -> None:
    """Create the event types of a catalog, and replace those that differ from it. All others stay."""

    async def run(opened: Database) -> dict[str, Outcome]:
        from hookline.clock import SystemClock
        from hookline.services import EventTypes, Principal
        from hookline.services.catalogs import install_catalog

        caller = Principal(org or opened.settings.default_org)
        return await install_catalog(EventTypes(opened.store, SystemClock()), caller, name, dry_run=dry_run)

    outcomes = run_with_database(database, run)
    if json:
        print_json({"catalog": name, "dryRun": dry_run, "eventTypes": dict(outcomes)})
        return
    print_table(("event type", "outcome"), [(one, str(outcome)) for one, outcome in outcomes.items()])
    counts = Counter(outcomes.values())
    summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    print_note(f"{summary}{' (dry run: nothing was changed)' if dry_run else ''}")
