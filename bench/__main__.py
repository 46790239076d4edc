"""The benchmark's command line: which rows, how long, how often; progress on standard error, the table on standard
output. Exit code 1 if a row is VOID, 2 if it could not measure all rows.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType

from rich.console import Console

from bench.databases import KINDS
from bench.errors import BenchError
from bench.lists import measure_lists
from bench.machine import describe_machine
from bench.report import Row, make_markdown, make_table
from bench.selfcheck import check_sink
from bench.shapes import Shape
from bench.trial import Plan, Trial, run_trial

WIDTH = 160  # the table's own, where there is no terminal to ask
QUICK_LOAD_S, QUICK_PACE_S = 3, 5


def main() -> int:
    arguments = _read_arguments()
    signal.signal(signal.SIGTERM, _stop)
    progress = Console(stderr=True, highlight=False)
    kinds = list(KINDS) if arguments.database == "both" else [arguments.database]
    if arguments.lists:
        return _measure_lists(kinds, arguments.messages)
    shapes = [Shape(count) for count in arguments.endpoints]
    shapes += [Shape(count, fan_out=count) for count in arguments.fan_out]
    shapes += [Shape(10, silent=count) for count in arguments.silent]
    plan = Plan(arguments.seconds, arguments.warm_up, arguments.connections, arguments.latency_seconds, arguments.rate)
    trials: dict[tuple[str, Shape], list[Trial]] = {(kind, shape): [] for kind in kinds for shape in shapes}
    failure: str | None = None
    machine: dict[str, str] = {}
    try:
        machine |= describe_machine(kinds)
        check_sink()
        # One run of every row after the other, so that a slow minute of the machine does not hit one row alone.
        for run in range(1, arguments.runs + 1):
            for (kind, shape), done in trials.items():
                heading = f"{kind}, endpoints: {shape.name}, run {run} of {arguments.runs}: "
                done.append(run_trial(kind, shape, plan, partial(_announce, progress, heading)))
    # Failure policy: open. What was measured until then is printed; the exit code says that it is not all.
    except BenchError as error:
        failure = error.message
    except KeyboardInterrupt:
        failure = "interrupted"
    rows = [Row(kind, shape, done) for (kind, shape), done in trials.items() if done]
    if rows:
        _print(rows, machine, arguments)
    if failure is not None:
        progress.print(f"scripts/bench: {failure}", style="red", markup=False)
        return 2
    return 1 if any(row.faults for row in rows) else 0


def _measure_lists(kinds: list[str], messages: int) -> int:
    try:
        machine = describe_machine(kinds, with_load=False)
        table = measure_lists(kinds, messages)
    except BenchError as error:
        print(f"scripts/bench: {error.message}", file=sys.stderr)
        return 2
    print(table)
    for name, value in machine.items():
        print(f"{name}: {value}")
    return 0


def _announce(progress: Console, heading: str, what: str) -> None:
    progress.print(heading + what)


def _print(rows: list[Row], machine: dict[str, str], arguments: argparse.Namespace) -> None:
    output = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    command = shlex.join(["scripts/bench", *sys.argv[1:]])
    if arguments.markdown:
        output.out(make_markdown(rows))
    else:
        output.print(make_table(rows))
    for row in rows:
        output.print(f"{row.database}, {row.shape.name}: {'; '.join(row.notes())}", soft_wrap=True)
        for fault in row.faults:
            output.print(f"{row.database}, {row.shape.name}: VOID: {fault}", style="bold red", soft_wrap=True)
        for log in row.logs:
            output.print(f"the server's log ends:\n{log}", markup=False, soft_wrap=True)
    for name, value in machine.items():
        output.print(f"{name}: {value}", soft_wrap=True)
    output.print(f"command: {command}", soft_wrap=True)
    if arguments.json is not None:
        measured = [
            {"database": row.database, "shape": asdict(row.shape), "runs": [asdict(trial) for trial in row.trials]}
            for row in rows
        ]
        everything = {"machine": machine, "command": command, "rows": measured}
        arguments.json.write_text(json.dumps(everything, indent=2) + "\n")


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measure a real server: rates, latency, CPU, memory, with an exact ledger."
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one short run of each row: to see that all works, not for figures")
    add("--lists", action="store_true", help="instead: how long lists take on tables with a past")
    add("--messages", type=_read_count, default=1_000_000, help="of that past, with three attempts each [1000000]")
    add("--database", choices=[*KINDS, "both"], default="both")
    add("--endpoints", type=_read_counts, default=[1, 10], metavar="N,N", help="rows of so many endpoints [1,10]")
    add("--fan-out", type=_read_counts, default=[], metavar="N,N", help="rows where each message goes to N endpoints")
    add("--silent", type=_read_counts, default=[], metavar="N,N", help="rows of 10 endpoints, N of which never answer")
    add("--seconds", type=_read_count, default=None, help="of the closed loop [10]")
    add("--warm-up", type=_read_count, default=2, metavar="SECONDS", help="of the same, not counted [2]")
    add("--connections", type=_read_count, default=256, help="of the closed loop [256]")
    add("--latency-seconds", type=int, default=None, help="of the open loop; 0 leaves it out [20]")
    add("--rate", type=_read_count, default=200, help="messages a second of the open loop [200]")
    add("--runs", type=_read_count, default=None, help="of each row; the table shows medians [3]")
    add("--json", type=Path, metavar="FILE", help="every run's figures")
    add("--markdown", action="store_true", help="print the table in Markdown")
    arguments = parser.parse_args()
    for name, quick, normal in (("seconds", QUICK_LOAD_S, 10), ("latency_seconds", QUICK_PACE_S, 20), ("runs", 1, 3)):
        if getattr(arguments, name) is None:
            setattr(arguments, name, quick if arguments.quick else normal)
    return arguments


def _read_count(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def _read_counts(text: str) -> list[int]:
    return [_read_count(part) for part in text.split(",")]


def _stop(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends it as Ctrl-C does: what was started is stopped first."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
