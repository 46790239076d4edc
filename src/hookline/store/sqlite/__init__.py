"""SQLite behind the `Store` protocol, by the standard library's `sqlite3` alone."""

from hookline.store.sqlite.keyfile import load_or_create_secret
from hookline.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "load_or_create_secret"]
