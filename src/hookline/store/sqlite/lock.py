"""One process owns the engine of a SQLite file: an advisory lock on `<db>.lock`, with the owner's pid inside.

The kernel drops the lock when the process ends, however it ends; the file stays and says nothing by itself.
"""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from hookline.store.errors import EngineLockedError, StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path


class EngineLock:
    """Held from `acquire` to `release`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            EngineLockedError: another process has it.
            StoreUnavailableError: the file cannot be written.
        """
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreUnavailableError(
                f"cannot open {self._path} ({error.strerror}); make its directory writable"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            # Failure policy: closed. Two engines on one file would deliver everything twice.
            raise EngineLockedError(
                f"process {owner} runs the engine of this database; stop it, or open the database without the engine"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
