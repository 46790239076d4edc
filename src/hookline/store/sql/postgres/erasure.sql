-- What deleted applications leave: first what they were sent and what came back, then, when nothing can come any more,
-- the rows that say that they were there.

-- name: delete_outbox
DELETE FROM hookline_outbox
WHERE org_id = $1 AND app IN ($2, (SELECT uid FROM hookline_applications WHERE id = $2 AND org_id = $1));

-- name: delete_api_keys
DELETE FROM hookline_api_keys WHERE org_id = $1 AND app_id = $2;

-- name: delete_alert_rules
DELETE FROM hookline_alert_rules WHERE org_id = $1 AND app_id = $2;

-- Those that are open: whoever works on one finds out.
-- name: delete_open_jobs
DELETE FROM hookline_jobs WHERE org_id = $1 AND app_id = $2 AND ended_at_ms IS NULL;

-- name: erase_jobs
DELETE FROM hookline_jobs r
USING (
    SELECT j.id FROM hookline_applications a JOIN hookline_jobs j ON j.app_id = a.id
    WHERE a.deleted_at_ms IS NOT NULL LIMIT $1
) AS old
WHERE r.id = old.id
RETURNING 1;

-- name: erase_pending
DELETE FROM hookline_pending r
USING (
    SELECT p.message_id, p.endpoint_id, p.kind
    FROM hookline_applications a
    JOIN hookline_endpoints e ON e.app_id = a.id
    CROSS JOIN LATERAL (
        SELECT message_id, endpoint_id, kind FROM hookline_pending
        WHERE endpoint_id = e.id AND lease_node IS NULL AND sequence IS NULL LIMIT $1 FOR UPDATE SKIP LOCKED
    ) AS p
    WHERE a.deleted_at_ms IS NOT NULL LIMIT $1
) AS old
WHERE (r.message_id, r.endpoint_id, r.kind) = (old.message_id, old.endpoint_id, old.kind)
RETURNING 1;

-- name: erase_sequences
DELETE FROM hookline_pending r
USING (
    SELECT p.message_id, p.endpoint_id, p.kind
    FROM hookline_applications a
    JOIN hookline_endpoints e ON e.app_id = a.id
    CROSS JOIN LATERAL (
        SELECT message_id, endpoint_id, kind FROM hookline_pending
        WHERE endpoint_id = e.id AND sequence IS NOT NULL AND lease_node IS NULL LIMIT $1 FOR UPDATE SKIP LOCKED
    ) AS p
    WHERE a.deleted_at_ms IS NOT NULL LIMIT $1
) AS old
WHERE (r.message_id, r.endpoint_id, r.kind) = (old.message_id, old.endpoint_id, old.kind)
RETURNING 1;

-- name: erase_messages
DELETE FROM hookline_messages r
USING (
    SELECT m.app_id, m.id FROM hookline_applications a JOIN hookline_messages m ON m.app_id = a.id
    WHERE a.deleted_at_ms IS NOT NULL LIMIT $1
) AS old
WHERE r.app_id = old.app_id AND r.id = old.id
RETURNING 1;

-- name: erase_keys
DELETE FROM hookline_message_keys r
USING (
    SELECT k.org_id, k.app_id, k.key
    FROM hookline_applications a JOIN hookline_message_keys k ON k.org_id = a.org_id AND k.app_id = a.id
    WHERE a.deleted_at_ms IS NOT NULL LIMIT $1
) AS old
WHERE (r.org_id, r.app_id, r.key) = (old.org_id, old.app_id, old.key)
RETURNING 1;

-- name: erase_attempts
DELETE FROM hookline_attempts r
USING (
    SELECT t.endpoint_id, t.id FROM hookline_applications a
    JOIN hookline_endpoints e ON e.app_id = a.id
    JOIN hookline_attempts t ON t.endpoint_id = e.id
    WHERE a.deleted_at_ms IS NOT NULL LIMIT $1
) AS old
WHERE r.endpoint_id = old.endpoint_id AND r.id = old.id
RETURNING 1;

-- name: list_empty_applications
SELECT a.id FROM hookline_applications a
WHERE a.deleted_at_ms IS NOT NULL AND a.deleted_at_ms < $1
  AND NOT EXISTS (SELECT 1 FROM hookline_messages m WHERE m.app_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM hookline_jobs j WHERE j.app_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM hookline_endpoints e JOIN hookline_attempts t ON t.endpoint_id = e.id
                  WHERE e.app_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM hookline_endpoints e
                  JOIN hookline_pending p ON p.endpoint_id = e.id AND p.lease_node IS NULL AND p.sequence IS NULL
                  WHERE e.app_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM hookline_endpoints e
                  JOIN hookline_pending p ON p.endpoint_id = e.id AND p.sequence IS NOT NULL
                  WHERE e.app_id = a.id)
  AND NOT EXISTS (SELECT 1 FROM hookline_pending p WHERE p.lease_node IS NOT NULL AND p.app_id = a.id)
LIMIT $2;

-- name: delete_rates
DELETE FROM hookline_rates
WHERE key = ANY ($1::text[]) OR key IN (SELECT id FROM hookline_endpoints WHERE app_id = ANY ($1::text[]));

-- name: delete_lanes
DELETE FROM hookline_lanes WHERE endpoint_id IN (SELECT id FROM hookline_endpoints WHERE app_id = ANY ($1::text[]));

-- name: delete_health
DELETE FROM hookline_endpoint_health WHERE app_id = ANY ($1::text[]);

-- name: delete_endpoints
DELETE FROM hookline_endpoints WHERE app_id = ANY ($1::text[]);

-- name: delete_fanouts
DELETE FROM hookline_fanouts WHERE app_id = ANY ($1::text[]);

-- name: delete_tasks
DELETE FROM hookline_tasks WHERE app_id = ANY ($1::text[]);

-- name: delete_applications
DELETE FROM hookline_applications WHERE id = ANY ($1::text[]);
