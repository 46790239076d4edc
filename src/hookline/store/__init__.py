"""The `Store` protocol and the databases behind it: SQLite and PostgreSQL, plain SQL, numbered migrations."""
