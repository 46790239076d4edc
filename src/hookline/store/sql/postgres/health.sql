-- The health of endpoints: rows of those that fail, or were disabled. Their locks come after those of lanes.

-- name: note_failed
-- Nothing for endpoints that are known to fail, or that are deleted.
INSERT INTO hookline_endpoint_health (endpoint_id, app_id, failing_since_ms)
SELECT e.id, e.app_id, f.failing_since_ms
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS f (endpoint_id, app_id, failing_since_ms)
JOIN hookline_endpoints e ON e.id = f.endpoint_id AND e.app_id = f.app_id AND e.deleted_at_ms IS NULL
WHERE NOT EXISTS (SELECT 1 FROM hookline_endpoint_health h WHERE h.endpoint_id = f.endpoint_id)
ORDER BY f.endpoint_id COLLATE "C"
ON CONFLICT (endpoint_id) DO NOTHING;

-- name: note_exhausted
WITH held AS MATERIALIZED (
    SELECT h.endpoint_id, x.exhausted_at_ms
    FROM unnest($1::text[], $2::bigint[]) AS x (endpoint_id, exhausted_at_ms)
    JOIN hookline_endpoint_health h ON h.endpoint_id = x.endpoint_id
    ORDER BY h.endpoint_id FOR UPDATE OF h
)
UPDATE hookline_endpoint_health h SET exhausted_at_ms = GREATEST(h.exhausted_at_ms, held.exhausted_at_ms)
FROM held WHERE h.endpoint_id = held.endpoint_id;

-- name: note_healed
-- A success that comes after all does not hide why an endpoint was disabled.
WITH held AS MATERIALIZED (
    SELECT endpoint_id FROM hookline_endpoint_health
    WHERE endpoint_id = ANY ($1::text[]) AND disabled_at_ms IS NULL
    ORDER BY endpoint_id FOR UPDATE
)
DELETE FROM hookline_endpoint_health h USING held WHERE h.endpoint_id = held.endpoint_id;

-- name: note_disabled
INSERT INTO hookline_endpoint_health AS h (endpoint_id, app_id, disabled_at_ms, reason, detail)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[])
    AS d (endpoint_id, app_id, disabled_at_ms, reason, detail)
ORDER BY d.endpoint_id COLLATE "C"
ON CONFLICT (endpoint_id) DO UPDATE
SET disabled_at_ms = excluded.disabled_at_ms, reason = excluded.reason, detail = excluded.detail
RETURNING endpoint_id, failing_since_ms;

-- name: forget
DELETE FROM hookline_endpoint_health WHERE endpoint_id = $1;

-- name: forget_application
DELETE FROM hookline_endpoint_health WHERE app_id = $1;

-- name: find
SELECT h.endpoint_id, h.failing_since_ms, h.exhausted_at_ms, h.disabled_at_ms, h.reason, h.detail
FROM hookline_endpoint_health h
JOIN hookline_applications a ON a.id = h.app_id AND a.org_id = $1
WHERE h.app_id = $2 AND h.endpoint_id = ANY ($3::text[]);

-- name: list_failing
SELECT h.endpoint_id, h.app_id, e.org_id, h.failing_since_ms, h.exhausted_at_ms
FROM hookline_endpoint_health h
JOIN hookline_endpoints e ON e.id = h.endpoint_id AND e.status = 'enabled' AND e.deleted_at_ms IS NULL
WHERE h.failing_since_ms <= $1 AND h.disabled_at_ms IS NULL AND h.endpoint_id > $2
ORDER BY h.endpoint_id LIMIT $3;

-- name: find_success
SELECT id, created_at_ms FROM hookline_attempts
WHERE endpoint_id = $1 AND id >= $2 AND status = 0 AND created_at_ms > $3 ORDER BY id DESC LIMIT 1;

-- name: find_failure_after
SELECT created_at_ms FROM hookline_attempts
WHERE endpoint_id = $1 AND id > $2 AND status = 2 ORDER BY id LIMIT 1;

-- name: count_failures
SELECT count(*) FROM (
    SELECT 1 FROM hookline_attempts
    WHERE endpoint_id = $1 AND id >= $2 AND created_at_ms >= $3 AND status = 2 LIMIT $4) AS failures;

-- name: set_failing_since
UPDATE hookline_endpoint_health SET failing_since_ms = $3
WHERE endpoint_id = $1 AND failing_since_ms = $2 AND disabled_at_ms IS NULL;

-- name: stop_failing
DELETE FROM hookline_endpoint_health
WHERE endpoint_id = $1 AND failing_since_ms = $2 AND disabled_at_ms IS NULL;
