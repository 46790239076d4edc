"""The crash test as a command: kill a loaded server again and again, and see whether a 202 was kept each time.

    .venv/bin/python tests/crash/torture.py --database sqlite --rounds 100
    .venv/bin/python tests/crash/torture.py --database postgres --nodes 2 --rounds 100 --postmaster-kills 20
    .venv/bin/python tests/crash/torture.py --database postgres --crash-points

Publishers send all the while and keep what was acknowledged in a log, on disk before it counts; a receiver verifies
each arrival. The exit code is 0 only if every acknowledged message reached every endpoint that it was for, as it was
sent, with a valid signature, in order where order was promised. Duplicates are permitted, and reported.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from support.torture.ledger import Report
from support.torture.runs import Run, plan_rounds, plan_scenarios
from support.torture.world import Options, World


def main(arguments: list[str] | None = None) -> int:
    """Torture as told; the exit code."""
    given = _parse(arguments)
    console = Console()
    console.print(f"seed {given.seed}")
    failed = False
    for run in _plan(given):
        began_s = time.monotonic()
        report = _carry_out(console, run)
        console.print(_draw_table(run, report, time.monotonic() - began_s))
        for fault in report.faults:
            console.print(f"FAULT: {fault}", style="red", highlight=False, markup=False)
        failed = failed or bool(report.faults)
    if failed:
        console.print("FAILED", style="red")
    else:
        console.print("Everything that was acknowledged has arrived.", style="green")
    return int(failed)


def _plan(given: argparse.Namespace) -> list[Run]:
    if given.crash_points:
        return plan_scenarios(given.database, given.seed)
    nodes = given.nodes or (1 if given.database == "sqlite" else 2)
    options = Options(given.database, nodes, given.seed, rate=given.rate)
    return plan_rounds(options, given.rounds, given.postmaster_kills)


def _carry_out(console: Console, run: Run) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="hookline-torture-") as directory,
        Progress(*columns, console=console) as progress,
    ):
        task = progress.add_task(run.name, total=len(run.steps))

        def tell(world: World) -> None:
            ledger = world.ledger
            description = f"{run.name}: {len(ledger.acked):,} acknowledged, {len(ledger.owed):,} owed"
            progress.update(task, advance=1, description=description)

        return asyncio.run(run.carry_out(Path(directory), tell))


def _draw_table(run: Run, report: Report, took_s: float) -> Table:
    options = run.options
    title = f"{run.name} ({options.database}, nodes: {options.nodes})"
    table = Table("", "", title=title, show_header=False, min_width=len(title))
    rows: dict[str, object] = {
        "rounds": len(run.steps),
        "messages acknowledged": report.acked,
        "deliveries owed": report.owed,
        "arrived": report.arrived,
        "lost": len(report.lost),
        "wrong bytes": report.wrong_bytes,
        "bad signatures": report.bad_signatures,
        "one request, two messages": report.doubled,
        "out of order": report.out_of_order,
        "duplicates": report.duplicates,
        "messages arrived unacknowledged": report.unacked_arrivals,
        "requests refused (503, 507)": report.refused,
        "requests unanswered": report.unanswered,
        "checked by the other package": report.judged_by_other,
        "nodes that ended by themselves": report.self_ended,
        "accepting again, s (p50, max)": _describe(report.accepting_s),
        "all made good, s (p50, max)": _describe(report.caught_up_s),
        "took, s": round(took_s),
    }
    for name, value in rows.items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    return table


def _describe(times_s: list[float]) -> str:
    return f"{statistics.median(times_s):.1f}, {max(times_s):.1f}" if times_s else "-"


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=100, help="kills of a node [100]")
    parser.add_argument("--postmaster-kills", type=int, default=0, help="kills of PostgreSQL's first process [0]")
    parser.add_argument("--nodes", type=int, help="[1 on sqlite, 2 on postgres]")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of all choices [random]")
    parser.add_argument("--rate", type=float, default=120.0, help="messages a second, about [120]")
    parser.add_argument("--crash-points", action="store_true", help="the named moments instead of random ones")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
