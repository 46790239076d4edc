"""How long lists take on tables with a past: a million messages, three million attempts, as `scripts/bench --lists`.

A database is filled past the store (tests/support/filling.py says with what), then each list that the API can ask for
is asked for again and again through the store, as its services do. What HTTP and JSON add to that is the same for all.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.databases import open_database
from hookline.store import KeyRing, create_store
from support.filling import Past, fill
from support.list_calls import Call, list_calls

REPEATS = 9
PATIENCE_S = 1.0  # a slow call is repeated for as long as this, three times at least


class Measured(msgspec.Struct):
    """One call: milliseconds of the median and of the slowest, and how many rows it gave."""

    median_ms: float
    slowest_ms: float
    rows: int | None


def measure_lists(kinds: Sequence[str], messages: int) -> str:
    """The table in Markdown; progress goes to standard error."""
    found: dict[str, dict[str, Measured]] = {}
    sizes = ""
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="hookline-bench-") as directory:
            past, found[kind] = _measure(kind, Path(directory), messages)
            sizes = f"{past.messages:,} messages, {past.attempts:,} attempts"
    lines = [f"| {sizes} | rows | " + " | ".join(f"{kind} ms, median / slowest" for kind in kinds) + " |"]
    lines.append("|---|---:|" + "---:|" * len(kinds))
    for name in found[kinds[0]]:
        of = [found[kind][name] for kind in kinds]
        rows = "" if of[0].rows is None else str(of[0].rows)
        cells = [f"{one.median_ms:.1f} / {one.slowest_ms:.1f}" for one in of]
        lines.append(f"| {name} | {rows} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _measure(kind: str, directory: Path, messages: int) -> tuple[Past, dict[str, Measured]]:
    with open_database(kind, directory) as database:
        return asyncio.run(_measure_at(kind, database.url, messages))


async def _measure_at(kind: str, url: str, messages: int) -> tuple[Past, dict[str, Measured]]:
    store = create_store(url, key_ring=KeyRing.generate())
    await store.migrate()
    await store.open(engine=True)
    began_s = time.perf_counter()
    past = await fill(store, url, messages=messages, now_ms=time.time_ns() // 1_000_000)
    _say(
        f"{kind}: filled with {past.messages:,} messages and {past.attempts:,} attempts "
        f"in {time.perf_counter() - began_s:.0f} s"
    )
    found = {}
    for name, call in list_calls(store, past).items():
        found[name] = await _repeat(call)
        _say(f"{kind}: {name}: {found[name].median_ms:.1f} ms")
    await store.close()
    return past, found


async def _repeat(call: Call) -> Measured:
    taken_ms: list[float] = []
    ends_s = time.perf_counter() + PATIENCE_S
    answer: Any = await call()  # the first one prepares statements and warms caches
    while len(taken_ms) < 3 or (len(taken_ms) < REPEATS and time.perf_counter() < ends_s):
        began_s = time.perf_counter()
        answer = await call()
        taken_ms.append((time.perf_counter() - began_s) * 1000)
    rows = getattr(answer, "rows", answer)
    return Measured(statistics.median(taken_ms), max(taken_ms), len(rows) if isinstance(rows, list) else None)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
