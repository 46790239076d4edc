-- Alert rules, what they measure, and how they stand. The operations application is not measured.

-- name: insert
INSERT INTO hookline_alert_rules
    (id, org_id, app_id, name, kind, threshold, window_ms, least, notify, renotify_ms, enabled, created_at_ms,
     updated_at_ms, state, value, changed_at_ms, told_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17);

-- name: find
SELECT id, org_id, app_id, name, kind, threshold, window_ms, least, notify, renotify_ms, enabled, created_at_ms,
       updated_at_ms, state, value, changed_at_ms, told_at_ms
FROM hookline_alert_rules WHERE org_id = $1 AND id = $2;

-- name: list
SELECT id, org_id, app_id, name, kind, threshold, window_ms, least, notify, renotify_ms, enabled, created_at_ms,
       updated_at_ms, state, value, changed_at_ms, told_at_ms
FROM hookline_alert_rules
WHERE org_id = $4 AND id > $1 AND id < $2
ORDER BY id /*direction*/ LIMIT $3;

-- name: list_enabled
SELECT id, org_id, app_id, name, kind, threshold, window_ms, least, notify, renotify_ms, enabled, created_at_ms,
       updated_at_ms, state, value, changed_at_ms, told_at_ms
FROM hookline_alert_rules WHERE enabled AND id > $1 ORDER BY id LIMIT $2;

-- name: update
UPDATE hookline_alert_rules
SET app_id = $3, name = $4, kind = $5, threshold = $6, window_ms = $7, least = $8, notify = $9,
    renotify_ms = $10, enabled = $11::boolean, updated_at_ms = $12::bigint,
    state = CASE WHEN $11::boolean THEN state ELSE 'ok' END,
    changed_at_ms = CASE WHEN $11::boolean THEN changed_at_ms ELSE $12::bigint END,
    told_at_ms = CASE WHEN $11::boolean THEN told_at_ms ELSE $12::bigint END
WHERE id = $1 AND org_id = $2
RETURNING id, org_id, app_id, name, kind, threshold, window_ms, least, notify, renotify_ms, enabled, created_at_ms,
       updated_at_ms, state, value, changed_at_ms, told_at_ms;

-- name: delete
DELETE FROM hookline_alert_rules WHERE org_id = $1 AND id = $2;

-- name: settle
UPDATE hookline_alert_rules SET state = $3::text, value = $4, changed_at_ms = $5
WHERE id = $1 AND updated_at_ms = $2 AND state <> $3::text AND enabled
RETURNING id, org_id, app_id, name, kind, threshold, window_ms, least, notify, renotify_ms, enabled, created_at_ms,
       updated_at_ms, state, value, changed_at_ms, told_at_ms;

-- name: note_told
UPDATE hookline_alert_rules SET told_at_ms = $3 WHERE id = $1 AND changed_at_ms = $2;

-- name: count_attempts
-- Organization, application or NULL, first id, most of each endpoint.
SELECT count(t.status), count(t.status) FILTER (WHERE t.status = 2)
FROM hookline_applications a
JOIN hookline_endpoints e ON e.app_id = a.id AND e.deleted_at_ms IS NULL
CROSS JOIN LATERAL (
    SELECT status FROM hookline_attempts
    WHERE endpoint_id = e.id AND id >= $3 AND status <> 4 ORDER BY id DESC LIMIT $4
) AS t
WHERE a.org_id = $1 AND a.deleted_at_ms IS NULL AND NOT a.operations AND ($2::text IS NULL OR a.id = $2);

-- name: count_exhausted
SELECT count(*) FROM (
    SELECT 1
    FROM hookline_applications a
    JOIN hookline_attempts t ON t.app_id = a.id AND t.id >= $3 AND t.final AND t.status = 2
    WHERE a.org_id = $1 AND a.deleted_at_ms IS NULL AND NOT a.operations AND ($2::text IS NULL OR a.id = $2)
    LIMIT $4
) AS exhausted;

-- name: find_oldest_due
SELECT min(l.next_due_at_ms)
FROM hookline_lanes l
JOIN hookline_endpoints e ON e.id = l.endpoint_id AND e.status = 'enabled' AND e.deleted_at_ms IS NULL
JOIN hookline_applications a ON a.id = e.app_id AND NOT a.operations
WHERE l.next_due_at_ms <= $3 AND e.org_id = $1 AND ($2::text IS NULL OR e.app_id = $2);

-- name: count_disabled
SELECT count(*)
FROM hookline_applications a
JOIN hookline_endpoint_health h ON h.app_id = a.id AND h.disabled_at_ms IS NOT NULL AND h.reason <> 'requested'
WHERE a.org_id = $1 AND a.deleted_at_ms IS NULL AND NOT a.operations AND ($2::text IS NULL OR a.id = $2);
