-- Which schema changes were applied, and the few facts about the database itself.

-- name: create_migrations
CREATE TABLE IF NOT EXISTS hookline_migrations (
    version       INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    checksum      TEXT NOT NULL,
    applied_at_ms INTEGER NOT NULL
);

-- name: has_migrations
SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'hookline_migrations';

-- name: list_applied
SELECT version, name, checksum FROM hookline_migrations ORDER BY version;

-- name: record_migration
INSERT INTO hookline_migrations (version, name, checksum, applied_at_ms) VALUES (?, ?, ?, ?);

-- name: find_meta
SELECT value FROM hookline_meta WHERE name = ?;

-- name: set_meta
INSERT INTO hookline_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- One, not zero: a fenced node's is negated, and must stay below zero.
-- name: end_leases
UPDATE hookline_nodes SET lease_until_ms = 1 WHERE lease_until_ms > 0;
