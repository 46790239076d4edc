"""Secrets that are generated beside a SQLite database when the operator gave none: `<db>.key`, `<db>.jwt`.

A file is written completely under another name and then linked to its own, so that nobody ever reads half a secret and
of two processes that begin at once one wins and both use the winner's.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

from hookline.store.errors import KeyCheckError
from hookline.store.sealing import KeyRing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECRET_BYTES = 32


def load_or_create_secret(path: Path) -> tuple[str, bool]:
    """Read a random text of 43 characters that lives in a file of mode 0600; true when it was made just now.

    Raises:
        KeyCheckError: the file can be neither read nor written.
    """
    return _load_or_create(path, lambda: secrets.token_urlsafe(SECRET_BYTES))


def load_key_ring(path: Path) -> KeyRing | None:
    """Read the ring in this file; None when there is no such file.

    Raises:
        KeyCheckError: the file cannot be read, or holds something else.
    """
    text = _read(path)
    return None if text is None else KeyRing.from_text(text)


def load_or_create_key_ring(path: Path) -> tuple[KeyRing, bool]:
    """Read the ring in this file, or make the file with a new key; true when it was made just now."""
    text, created = _load_or_create(path, lambda: KeyRing.generate().to_text())
    return KeyRing.from_text(text), created


def _load_or_create(path: Path, make: Callable[[], str]) -> tuple[str, bool]:
    text = _read(path)
    if text is not None:
        return text, False
    text = make()
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{text}\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except FileExistsError:
        winner = _read(path)
        if winner is None:
            raise KeyCheckError(f"{path} came and went; see who else removes it, then start again") from None
        return winner, False
    except OSError as error:
        # Failure policy: closed. Sealing with a key that is nowhere would lose every secret at the next start.
        raise KeyCheckError(f"cannot write {path} ({error.strerror}); make its directory writable") from error
    return text, True


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyCheckError(f"cannot read {path}; make it readable for this user, or restore it") from error


def _sync_directory(path: Path) -> None:
    """Make the new name itself durable: the key must not be younger than what is sealed with it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
