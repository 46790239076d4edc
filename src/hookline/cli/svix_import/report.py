"""What came of each thing that was to be copied, and what is left for a person to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    EVENT_TYPE = "event type"
    APPLICATION = "application"
    ENDPOINT = "endpoint"


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(slots=True)
class Item:
    """One thing of the source. `notes` say why it was skipped or failed, or what could not be copied with it."""

    kind: Kind
    source_id: str
    name: str
    target_id: str | None = None
    outcome: Outcome = Outcome.UNCHANGED
    changed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Report:
    """All items so far."""

    def __init__(self, *, dry_run: bool) -> None:
        self.dry_run = dry_run
        self.items: list[Item] = []
        self.interrupted_by: str | None = None

    def add(self, item: Item) -> None:
        self.items.append(item)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do: everything of the source is here, and works as it did there."""
        return self.interrupted_by is None and not any(item.notes for item in self.items)

    def counts(self) -> Iterator[tuple[Kind, dict[Outcome, int]]]:
        for kind in Kind:
            counted = Counter(item.outcome for item in self.items if item.kind is kind)
            yield kind, {outcome: counted[outcome] for outcome in Outcome}

    def to_json(self) -> dict[str, Any]:
        return {
            "dryRun": self.dry_run,
            "complete": self.is_complete,
            "interruptedBy": self.interrupted_by,
            "counts": {
                kind.value: {str(outcome): count for outcome, count in counts.items()} for kind, counts in self.counts()
            },
            "items": [
                {
                    "kind": item.kind.value,
                    "sourceId": item.source_id,
                    "targetId": item.target_id,
                    "name": item.name,
                    "outcome": item.outcome.value,
                    "changed": item.changed,
                    "notes": item.notes,
                }
                for item in self.items
            ],
        }
