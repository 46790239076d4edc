"""The ledger of a torture run: what was sent, what was acknowledged, what arrived, and the verdict over them.

    noted as sent ──202──> written to the log ──fsync──> acknowledged: from here on it is owed to each of its targets
                   └──anything else, or nothing──> not acknowledged: may arrive or not, but only as it was sent

A *pair* is a message's id and a target's name. The receiver's side is believed only for what it saw with its own eyes:
bytes, signature, order. Whatever the server says of itself is not asked.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Pair = tuple[str, str]
KEYS = 3  # of messages to endpoints that are ordered by them
FULL = 507  # the status of a refusal: the disk is full


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint. `faults` is the share of first requests that it answers badly; `slow_s` the longest it takes.
    An `ordered` one with `keys` is ordered by the payload's `key`, which is the message's number modulo `KEYS`.
    """

    name: str
    event_types: tuple[str, ...] | None = None
    ordered: bool = False
    keys: bool = False
    faults: float = 0.0
    slow_s: float = 0.0

    def takes(self, event_type: str) -> bool:
        return self.event_types is None or event_type in self.event_types


@dataclass(frozen=True, slots=True)
class Sent:
    """One payload, known by its number, which is inside. A stream is sent one after the other, each acknowledged."""

    number: int
    digest: str
    event_type: str
    stream: str


@dataclass(slots=True)
class Recovery:
    """What a kill left owed, and how long it took (seconds) to accept again and to make all of that good."""

    began_s: float
    owed: set[Pair]
    accepting_s: float | None = None
    caught_up_s: float | None = None


@dataclass(slots=True)
class Report:
    """The verdict. `lost` and everything after it must be zero; duplicates are permitted, and counted."""

    acked: int = 0
    owed: int = 0
    arrived: int = 0
    duplicates: int = 0
    unacked_arrivals: int = 0
    lost: list[Pair] = field(default_factory=list)
    wrong_bytes: int = 0
    bad_signatures: int = 0
    doubled: int = 0
    out_of_order: int = 0
    unexpected: list[str] = field(default_factory=list)
    refused: int = 0
    kept_though_full: int = 0
    unanswered: int = 0
    self_ended: int = 0
    judged_by_other: int = 0
    accepting_s: list[float] = field(default_factory=list)
    caught_up_s: list[float] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Why the run failed, one sentence each; empty when it did not."""
        counts = {
            "acknowledged deliveries never arrived": len(self.lost),
            "arrivals were not what was sent": self.wrong_bytes,
            "arrivals had no valid signature": self.bad_signatures,
            "requests became two messages": self.doubled,
            "messages arrived although the disk was full for them": self.kept_though_full,
            "ordered arrivals came out of order": self.out_of_order,
        }
        return [f"{count} {what}" for what, count in counts.items() if count] + self.unexpected


class Ledger:
    """The books of one run, kept in memory, but for the acknowledgements, which are on disk before they count."""

    def __init__(self, path: Path, targets: Iterable[Target]) -> None:
        self.targets = tuple(targets)
        self.sent: dict[int, Sent] = {}
        self.acked: dict[str, int] = {}
        self.owed: set[Pair] = set()
        self.accepted: dict[Pair, int] = {}
        self.arrivals: Counter[Pair] = Counter()
        self.report = Report()
        self.changed = asyncio.Event()
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._unwritten: list[tuple[str, int, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._recoveries: list[Recovery] = []
        self._refused: set[int] = set()
        self._names: dict[int, set[str]] = {}
        self._numbers: dict[str, int] = {}
        self._sequences: dict[str, list[int]] = {target.name: [] for target in self.targets if target.ordered}

    # What publishers say

    def note_sent(self, sent: Sent) -> None:
        self.sent[sent.number] = sent

    def note_refused(self, number: int, status: int, *, again: bool) -> None:
        """Note a refusal; `again`: the same will be sent once more, so it may become a message yet."""
        self.report.refused += 1
        if status == FULL and not again:
            self._refused.add(number)
        self.changed.set()

    async def acknowledge(self, message_id: str, number: int) -> None:
        """Count a message as acknowledged, once that is on disk. Many share one fsync."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unwritten.append((message_id, number, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        await future

    async def _write(self) -> None:
        while self._unwritten:
            batch, self._unwritten = self._unwritten, []
            lines = "".join(f"{name} {number} {self.sent[number].digest}\n" for name, number, _ in batch)
            await asyncio.to_thread(self._append, lines.encode())
            for message_id, number, future in batch:
                self._count(message_id, number)
                if not future.done():
                    future.set_result(None)
        self._writer = None

    def _append(self, lines: bytes) -> None:
        os.write(self._descriptor, lines)
        os.fsync(self._descriptor)

    def _count(self, message_id: str, number: int) -> None:
        self.acked[message_id] = number
        self._name(message_id, number)
        sent = self.sent[number]
        pairs = {(message_id, target.name) for target in self.targets if target.takes(sent.event_type)}
        self.owed |= pairs - self.accepted.keys()
        now_s = time.monotonic()
        for recovery in self._recoveries:
            if recovery.accepting_s is None:
                recovery.accepting_s = now_s - recovery.began_s
        self.changed.set()

    # What the receiver says

    def note_arrival(self, target: Target, message_id: str, body: bytes, *, is_signed: bool, accepts: bool) -> None:
        """Note a whole request. `accepts`: it is answered with 200 (whether or not that answer gets through)."""
        pair = (message_id, target.name)
        number = _read_number(body)
        sent = self.sent.get(number)
        if sent is None or sent.digest != digest_of(body) or not target.takes(sent.event_type):
            self.report.wrong_bytes += 1
            return
        if not is_signed:
            self.report.bad_signatures += 1
            return
        self._name(message_id, number)
        self.arrivals[pair] += 1
        if pair in self.accepted:
            self.report.duplicates += 1
        elif accepts:
            self.accepted[pair] = number
            self.owed.discard(pair)
            if target.ordered:
                self._sequences[target.name].append(number)
            self._settle(pair)
        self.changed.set()

    def _settle(self, pair: Pair) -> None:
        now_s = time.monotonic()
        for recovery in self._recoveries:
            recovery.owed.discard(pair)
            if not recovery.owed and recovery.caught_up_s is None:
                recovery.caught_up_s = now_s - recovery.began_s
        self._close_recoveries()

    def _name(self, message_id: str, number: int) -> None:
        self._names.setdefault(number, set()).add(message_id)
        if self._numbers.setdefault(message_id, number) != number:
            self.report.wrong_bytes += 1

    # What the torturer says

    def begin_recovery(self) -> Recovery:
        """Somebody was killed just now."""
        recovery = Recovery(time.monotonic(), set(self.owed))
        if not recovery.owed:
            recovery.caught_up_s = 0.0
        self._recoveries.append(recovery)
        return recovery

    def _close_recoveries(self) -> None:
        for recovery in [one for one in self._recoveries if None not in (one.accepting_s, one.caught_up_s)]:
            self._recoveries.remove(recovery)
            self.report.accepting_s.append(recovery.accepting_s or 0.0)
            self.report.caught_up_s.append(recovery.caught_up_s or 0.0)

    # Waiting

    async def until(self, condition: Any, timeout_s: float) -> bool:
        """Wait until a condition of the ledger holds; false when time ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return bool(condition())
        return True

    async def until_settled(self, stall_s: float) -> bool:
        """Wait until nothing is owed; false after `stall_s` seconds without one more delivery made good."""
        while self.owed:
            before = len(self.accepted)
            if not await self.until(lambda before=before: not self.owed or len(self.accepted) > before, stall_s):
                return False
        return True

    # The verdict

    def close(self) -> Report:
        """Read the log back from the disk and judge by it."""
        os.close(self._descriptor)
        report = self.report
        logged: dict[str, int] = {}
        for line in self._path.read_text().splitlines():
            message_id, number, digest = line.split()
            logged[message_id] = int(number)
            if self.sent[int(number)].digest != digest:
                report.unexpected.append(f"the log is damaged at {message_id}")
        if logged != self.acked:
            report.unexpected.append(f"the log has {len(logged)} messages, {len(self.acked)} were counted")
        owed = [
            (message_id, target.name)
            for message_id, number in logged.items()
            for target in self.targets
            if target.takes(self.sent[number].event_type)
        ]
        report.acked = len(logged)
        report.owed = len(owed)
        report.lost = [pair for pair in owed if pair not in self.accepted]
        report.arrived = report.owed - len(report.lost)
        report.unacked_arrivals = len({message_id for message_id, _ in self.accepted} - logged.keys())
        # 507 says that nothing was kept. (503 says so too, but for a COMMIT whose answer was lost nobody can tell.)
        report.kept_though_full = len(self._refused & self._names.keys())
        report.doubled = sum(len(names) - 1 for names in self._names.values())
        report.out_of_order = sum(
            self._count_disorder(self._sequences[target.name], KEYS if target.keys else 1)
            for target in self.targets
            if target.ordered
        )
        return report

    def _count_disorder(self, sequence: list[int], keys: int) -> int:
        """Count arrivals that overtook an earlier one of their own stream and key; of what was acknowledged."""
        acked = set(self.acked.values())
        newest: dict[tuple[str, int], int] = {}
        disorder = 0
        for number in sequence:
            if number not in acked:
                continue
            stream = (self.sent[number].stream, number % keys)
            disorder += number < newest.get(stream, -1)
            newest[stream] = max(number, newest.get(stream, -1))
        return disorder


def digest_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _read_number(body: bytes) -> int:
    """The number inside a payload; -1, which nobody has, for what is none of ours."""
    try:
        return int(json.loads(body)["number"])
    except (ValueError, KeyError, TypeError):
        return -1
