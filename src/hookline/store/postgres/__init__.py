"""The PostgreSQL store: equal nodes on one database, bulk by COPY, leases and fences for who may act."""

from hookline.store.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
