-- The health of endpoints: rows of those that fail, or were disabled.

-- Endpoint, application, when it failed first. Nothing for one that is known to fail, or that is deleted.
-- name: note_failed
INSERT INTO hookline_endpoint_health (endpoint_id, app_id, failing_since_ms)
SELECT e.id, e.app_id, ?3 FROM hookline_endpoints e WHERE e.id = ?1 AND e.app_id = ?2 AND e.deleted_at_ms IS NULL
ON CONFLICT (endpoint_id) DO NOTHING;

-- name: note_exhausted
UPDATE hookline_endpoint_health SET exhausted_at_ms = max(coalesce(exhausted_at_ms, 0), ?) WHERE endpoint_id = ?;

-- A success that comes after all does not hide why an endpoint was disabled.
-- name: note_healed
DELETE FROM hookline_endpoint_health WHERE endpoint_id = ? AND disabled_at_ms IS NULL;

-- Endpoint, application, when, reason, detail.
-- name: note_disabled
INSERT INTO hookline_endpoint_health (endpoint_id, app_id, disabled_at_ms, reason, detail) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (endpoint_id) DO UPDATE SET disabled_at_ms = ?3, reason = ?4, detail = ?5
RETURNING failing_since_ms;

-- name: forget
DELETE FROM hookline_endpoint_health WHERE endpoint_id = ?;

-- name: forget_application
DELETE FROM hookline_endpoint_health WHERE app_id = ?;

-- name: find
SELECT h.endpoint_id, h.failing_since_ms, h.exhausted_at_ms, h.disabled_at_ms, h.reason, h.detail
FROM hookline_endpoint_health h
JOIN hookline_applications a ON a.id = h.app_id AND a.org_id = ?1
WHERE h.app_id = ?2 AND h.endpoint_id IN (SELECT value FROM json_each(?3));

-- name: list_failing
SELECT h.endpoint_id, h.app_id, e.org_id, h.failing_since_ms, h.exhausted_at_ms
FROM hookline_endpoint_health h
JOIN hookline_endpoints e ON e.id = h.endpoint_id AND e.status = 'enabled' AND e.deleted_at_ms IS NULL
WHERE h.failing_since_ms <= ?1 AND h.disabled_at_ms IS NULL AND h.endpoint_id > ?2
ORDER BY h.endpoint_id LIMIT ?3;

-- name: find_success
SELECT id, created_at_ms FROM hookline_attempts
WHERE endpoint_id = ? AND id >= ? AND status = 0 AND created_at_ms > ? ORDER BY id DESC LIMIT 1;

-- name: find_failure_after
SELECT created_at_ms FROM hookline_attempts
WHERE endpoint_id = ? AND id > ? AND status = 2 ORDER BY id LIMIT 1;

-- name: count_failures
SELECT count(*) FROM (
    SELECT 1 FROM hookline_attempts
    WHERE endpoint_id = ? AND id >= ? AND created_at_ms >= ? AND status = 2 LIMIT ?);

-- name: set_failing_since
UPDATE hookline_endpoint_health SET failing_since_ms = ?3
WHERE endpoint_id = ?1 AND failing_since_ms = ?2 AND disabled_at_ms IS NULL;

-- name: stop_failing
DELETE FROM hookline_endpoint_health
WHERE endpoint_id = ?1 AND failing_since_ms = ?2 AND disabled_at_ms IS NULL;
