"""The table that is printed, and the same in Markdown. Medians of the runs; one VOID run makes its row VOID."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from bench.pace import Spread
from bench.shapes import Shape
from bench.trial import Trial

COLUMNS = (
    "database",
    "endpoints",
    "acknowledged/s",
    "delivered/s",
    "ack p50 / p99 ms",
    "arrival p50 / p99 ms",
    "CPU us/message",
    "peak MiB",
    "accepted = arrived + pending",
)


@dataclass(frozen=True)
class Row:
    """All runs of one database and one shape."""

    database: str
    shape: Shape
    trials: Sequence[Trial]

    @property
    def faults(self) -> list[str]:
        """Why it is VOID, if it is."""
        return [
            f"run {number}: {fault}" for number, trial in enumerate(self.trials, 1) for fault in trial.ledger.faults
        ]

    @property
    def logs(self) -> list[str]:
        """What the servers of doubtful runs wrote: VOID, or with something left undelivered."""
        return [
            trial.server_log
            for trial in self.trials
            if trial.ledger.faults or (trial.ledger.pending and not self.shape.silent)
        ]

    def median(self, figure: Callable[[Trial], float]) -> float:
        return statistics.median(figure(trial) for trial in self.trials)

    def cells(self) -> list[str]:
        """As text, in the order of COLUMNS. A second CPU figure is the database's own."""
        server_cpu_us, database_cpu_us = (
            self.median(lambda t: t.server_cpu_us),
            self.median(lambda t: t.database_cpu_us),
        )
        accepted, arrived, pending, repeats = (sum(column) for column in zip(*map(_count, self.trials), strict=True))
        return [
            self.database,
            self.shape.name,
            f"{self.median(lambda t: t.acknowledged_per_s):,.0f}",
            f"{self.median(lambda t: t.delivered_per_s):,.0f}",
            _median_spread([trial.acknowledgement for trial in self.trials]),
            _median_spread([trial.arrival for trial in self.trials]),
            f"{server_cpu_us:.0f}" + (f" + {database_cpu_us:.0f}" if database_cpu_us else ""),
            f"{self.median(lambda t: t.server_peak_mib):.0f}",
            f"{accepted:,} = {arrived:,} + {pending:,}" + (f" ({repeats:,} twice)" if repeats else ""),
        ]

    def notes(self) -> list[str]:
        """What a reader should know beside the cells."""
        drain_s, refused = self.median(lambda t: t.drain_s), sum(trial.refused for trial in self.trials)
        broken = sum(trial.broken for trial in self.trials)
        saturated = _pair(self.median(lambda t: t.saturated_p50_ms), self.median(lambda t: t.saturated_p99_ms))
        notes = [f"saturated ack p50 / p99 {saturated} ms", f"backlog gone {drain_s:.1f} s after the load"]
        notes += [f"{refused:,} requests refused"] if refused else []
        notes += [f"{broken:,} requests broken or later than 2 s"] if broken else []
        database_mib = self.median(lambda t: t.database_mib)
        notes += [f"the database's own processes hold {database_mib:.0f} MiB"] if database_mib else []
        return notes


def make_table(rows: Sequence[Row]) -> Table:
    table = Table(*COLUMNS, title="Hookline under load")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in rows:
        cells = row.cells()
        if row.faults:
            cells[-1] = f"VOID: {cells[-1]}"
        table.add_row(*(Text(cell) for cell in cells), style="bold red" if row.faults else None)
    return table


def make_markdown(rows: Sequence[Row]) -> str:
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---|---|" + "---:|" * (len(COLUMNS) - 2)]
    for row in rows:
        cells = row.cells()
        if row.faults:
            cells[-1] = f"**VOID** {cells[-1]}"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _count(trial: Trial) -> tuple[int, int, int, int]:
    return trial.ledger.accepted, trial.ledger.arrived, trial.ledger.pending, trial.repeats


def _median_spread(spreads: Sequence[Spread | None]) -> str:
    known = [spread for spread in spreads if spread is not None]
    if not known:
        return "-"
    p50_ms, p99_ms = (statistics.median(column) for column in zip(*((s.p50_ms, s.p99_ms) for s in known), strict=True))
    return _pair(p50_ms, p99_ms)


def _pair(first: float, second: float) -> str:
    return f"{first:.1f} / {second:.1f}"
