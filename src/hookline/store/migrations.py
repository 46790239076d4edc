"""Numbered schema changes: which there are, which were applied, which are missing.

Files are `sql/NNNN_name.sqlite.sql` and `sql/NNNN_name.postgres.sql`; they are only ever added. What was applied is
written with a checksum into `hookline_migrations`. How to run one in a transaction, and how to keep two processes from
running it at once, each database knows for itself.
"""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from hookline.store.errors import MigrationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FILE = re.compile(r"(\d{4})_(\w+)\.(sqlite|postgres)\.sql")


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema."""

    version: int
    name: str
    checksum: str
    sql: str


class Applied(msgspec.Struct, frozen=True):
    """A row of `hookline_migrations`."""

    version: int
    name: str
    checksum: str


def list_migrations(database: str) -> list[Migration]:
    """All steps for `sqlite` or `postgres`, in order."""
    found: list[Migration] = []
    for file in resources.files("hookline.store").joinpath("sql").iterdir():
        match = _FILE.fullmatch(file.name)
        if match and match[3] == database:
            sql = file.read_text(encoding="utf-8")
            found.append(Migration(int(match[1]), match[2], hashlib.sha256(sql.encode()).hexdigest(), sql))
    return sorted(found, key=lambda migration: migration.version)


def find_missing(known: Sequence[Migration], applied: Iterable[Applied]) -> list[Migration]:
    """What is still to be applied.

    Raises:
        MigrationError: the database is newer than this program, or an applied step is not what it was.
    """
    done = {row.version: row for row in applied}
    by_version = {migration.version: migration for migration in known}
    # Failure policy: closed. A schema that this program does not know is not written to.
    for version, row in sorted(done.items()):
        migration = by_version.get(version)
        if migration is None:
            raise MigrationError(
                f"the database has schema change {version:04d}_{row.name}, which this version of Hookline does not "
                "know; run the version that applied it, or a newer one"
            )
        if migration.checksum != row.checksum:
            raise MigrationError(
                f"schema change {version:04d}_{row.name} was applied with other contents than this program has; "
                "run the version that applied it, or restore the database from a backup"
            )
    return [migration for migration in known if migration.version not in done]


def require_current(known: Sequence[Migration], applied: Iterable[Applied]) -> None:
    """Refuse a schema that is not exactly ours.

    Raises:
        MigrationError: see `find_missing`; or something is still to be applied.
    """
    missing = find_missing(known, applied)
    if missing:
        names = ", ".join(f"{migration.version:04d}_{migration.name}" for migration in missing)
        raise MigrationError(f"the database lacks schema changes ({names}); run `hookline migrate` first")
