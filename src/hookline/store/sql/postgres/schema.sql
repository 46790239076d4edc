-- Which schema changes were applied, and the few facts about the database itself.

-- name: create_migrations
CREATE TABLE IF NOT EXISTS hookline_migrations (
    version       INTEGER PRIMARY KEY,
    name          TEXT NOT NULL,
    checksum      TEXT NOT NULL,
    applied_at_ms BIGINT NOT NULL
);

-- name: has_migrations
SELECT to_regclass('hookline_migrations') IS NOT NULL;

-- name: lock_tables
-- All that schema changes have touched so far and nodes use at the same time, in the order in which a commit comes to them.
LOCK TABLE hookline_applications, hookline_messages, hookline_attempts, hookline_endpoints, hookline_pending
IN ACCESS EXCLUSIVE MODE;

-- name: list_applied
SELECT version, name, checksum FROM hookline_migrations ORDER BY version;

-- name: record_migration
INSERT INTO hookline_migrations (version, name, checksum, applied_at_ms) VALUES ($1, $2, $3, $4);

-- name: find_meta
SELECT value FROM hookline_meta WHERE name = $1;

-- name: add_meta
INSERT INTO hookline_meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;

-- name: set_meta
UPDATE hookline_meta SET value = $2 WHERE name = $1;

-- name: ping
SELECT 1 FROM hookline_meta LIMIT 1;
