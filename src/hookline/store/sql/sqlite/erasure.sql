-- What deleted applications leave: first what they were sent and what came back, then, when nothing can come any more,
-- the rows that say that they were there.

-- name: delete_outbox
DELETE FROM hookline_outbox
WHERE org_id = :org_id
  AND app IN (:app_id, (SELECT uid FROM hookline_applications WHERE id = :app_id AND org_id = :org_id));

-- name: delete_api_keys
DELETE FROM hookline_api_keys WHERE org_id = :org_id AND app_id = :app_id;

-- name: delete_alert_rules
DELETE FROM hookline_alert_rules WHERE org_id = :org_id AND app_id = :app_id;

-- Those that are open: whoever works on one finds out.
-- name: delete_open_jobs
DELETE FROM hookline_jobs WHERE org_id = :org_id AND app_id = :app_id AND ended_at_ms IS NULL;

-- name: erase_jobs
DELETE FROM hookline_jobs WHERE id IN (
    SELECT j.id FROM hookline_applications a CROSS JOIN hookline_jobs j ON j.app_id = a.id
    WHERE a.deleted_at_ms IS NOT NULL LIMIT :limit);

-- name: erase_pending
DELETE FROM hookline_pending WHERE (message_id, endpoint_id, kind) IN (
    SELECT p.message_id, p.endpoint_id, p.kind
    FROM hookline_applications a
    CROSS JOIN hookline_endpoints e ON e.app_id = a.id
    CROSS JOIN hookline_pending p ON p.endpoint_id = e.id AND p.lease_node IS NULL
    WHERE a.deleted_at_ms IS NOT NULL LIMIT :limit);

-- name: erase_messages
DELETE FROM hookline_messages WHERE rowid IN (
    SELECT m.rowid FROM hookline_applications a CROSS JOIN hookline_messages m ON m.app_id = a.id
    WHERE a.deleted_at_ms IS NOT NULL LIMIT :limit);

-- name: erase_keys
DELETE FROM hookline_message_keys WHERE (org_id, app_id, key) IN (
    SELECT k.org_id, k.app_id, k.key
    FROM hookline_applications a CROSS JOIN hookline_message_keys k ON k.org_id = a.org_id AND k.app_id = a.id
    WHERE a.deleted_at_ms IS NOT NULL LIMIT :limit);

-- name: erase_attempts
DELETE FROM hookline_attempts WHERE rowid IN (
    SELECT t.rowid
    FROM hookline_applications a
    CROSS JOIN hookline_endpoints e ON e.app_id = a.id
    CROSS JOIN hookline_attempts t ON t.endpoint_id = e.id
    WHERE a.deleted_at_ms IS NOT NULL LIMIT :limit);

-- name: list_empty_applications
SELECT a.id FROM hookline_applications a
WHERE a.deleted_at_ms IS NOT NULL AND a.deleted_at_ms < :before_ms
  AND NOT EXISTS (SELECT 1 FROM hookline_messages m WHERE m.app_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM hookline_jobs j WHERE j.app_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM hookline_endpoints e JOIN hookline_attempts t ON t.endpoint_id = e.id
                  WHERE e.app_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM hookline_endpoints e
                  JOIN hookline_pending p ON p.endpoint_id = e.id AND p.lease_node IS NULL
                  WHERE e.app_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM hookline_pending p WHERE p.lease_node IS NOT NULL AND p.app_id = a.id)
LIMIT :limit;

-- name: delete_lanes
DELETE FROM hookline_lanes WHERE endpoint_id IN (SELECT id FROM hookline_endpoints WHERE app_id = ?);

-- name: delete_health
DELETE FROM hookline_endpoint_health WHERE app_id = ?;

-- name: delete_endpoints
DELETE FROM hookline_endpoints WHERE app_id = ?;

-- name: delete_fanouts
DELETE FROM hookline_fanouts WHERE app_id = ?;

-- name: delete_tasks
DELETE FROM hookline_tasks WHERE app_id = ?;

-- name: delete_application
DELETE FROM hookline_applications WHERE id = ?;
