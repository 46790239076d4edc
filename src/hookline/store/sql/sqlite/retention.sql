-- Ends without a request (deleted endpoints, expired payloads), and what may go.

-- name: list_deleted_due
SELECT p.message_id, p.endpoint_id, p.kind, p.app_id, p.attempts
FROM hookline_endpoints e JOIN hookline_pending p ON p.endpoint_id = e.id AND p.lease_node IS NULL
WHERE e.deleted_at_ms IS NOT NULL
  AND EXISTS (SELECT 1 FROM hookline_applications a WHERE a.id = e.app_id AND a.deleted_at_ms IS NULL)
LIMIT ?;

-- name: delete_row
DELETE FROM hookline_pending WHERE message_id = ? AND endpoint_id = ? AND kind = ?;

-- name: list_expired
SELECT m.app_id, m.id, coalesce(f.endpoint_ids, m.targets)
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE m.payload_expires_at_ms IS NOT NULL AND m.payload_expires_at_ms <= ? AND m.payload_expired = 0
LIMIT ?;

-- name: find_filled
SELECT m.app_id, m.id, coalesce(f.endpoint_ids, m.targets), m.payload_expired
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE m.app_id = ? AND m.org_id = ? AND m.id = ?;

-- name: empty_payload
UPDATE hookline_messages SET payload = x'', payload_expired = 1 WHERE app_id = ? AND id = ?;

-- name: list_rows
SELECT endpoint_id, kind, attempts FROM hookline_pending WHERE message_id = ?;

-- name: list_settled
SELECT DISTINCT endpoint_id FROM hookline_attempts
WHERE message_id = ? AND final AND (kind = 'scheduled' OR status = 0);

-- name: delete_rows
DELETE FROM hookline_pending WHERE message_id = ?;

-- name: list_members
SELECT members FROM hookline_batches;

-- Old ones of living applications, all of those deleted long enough ago; owed ones stay.
-- name: list_old_messages
SELECT m.app_id, m.id FROM hookline_applications a JOIN hookline_messages m ON m.app_id = a.id
WHERE m.id < :edge AND a.deleted_at_ms IS NULL AND m.created_at_ms < :before_ms
  AND NOT EXISTS (SELECT 1 FROM hookline_pending p WHERE p.message_id = m.id)
LIMIT :limit;

-- name: list_retentions
SELECT id, json_extract(settings, '$.retentionDays') FROM hookline_organizations
WHERE json_extract(settings, '$.retentionDays') IS NOT NULL;

-- name: list_old_messages_of
SELECT m.app_id, m.id FROM hookline_applications a CROSS JOIN hookline_messages m ON m.app_id = a.id
WHERE a.org_id = :org_id AND m.id < :edge AND a.deleted_at_ms IS NULL AND m.created_at_ms < :before_ms
  AND NOT EXISTS (SELECT 1 FROM hookline_pending p WHERE p.message_id = m.id)
LIMIT :limit;

-- name: delete_old_attempts_of
DELETE FROM hookline_attempts WHERE rowid IN (
    SELECT t.rowid
    FROM hookline_applications a
    CROSS JOIN hookline_endpoints e ON e.app_id = a.id
    CROSS JOIN hookline_attempts t ON t.endpoint_id = e.id
    WHERE a.org_id = :org_id AND t.id < :edge AND t.created_at_ms < :before_ms
      AND NOT EXISTS (SELECT 1 FROM hookline_messages m WHERE m.app_id = t.app_id AND m.id = t.message_id)
    LIMIT :limit);

-- name: delete_message
DELETE FROM hookline_messages WHERE app_id = ? AND id = ?;

-- Attempts go by their own age, once their message is gone.
-- name: delete_old_attempts
DELETE FROM hookline_attempts WHERE rowid IN (
    SELECT t.rowid FROM hookline_endpoints e JOIN hookline_attempts t ON t.endpoint_id = e.id
    WHERE t.id < :edge AND t.created_at_ms < :before_ms
      AND NOT EXISTS (SELECT 1 FROM hookline_messages m WHERE m.app_id = t.app_id AND m.id = t.message_id)
    LIMIT :limit);

-- name: delete_keys
DELETE FROM hookline_message_keys WHERE (org_id, app_id, key) IN (
    SELECT org_id, app_id, key FROM hookline_message_keys WHERE expires_at_ms <= ? LIMIT ?);

-- An hour more than the age: last_used_at_ms has an hour's grain.
-- name: delete_fanouts
DELETE FROM hookline_fanouts AS f
WHERE f.last_used_at_ms < :before_ms - 3600000
  AND NOT EXISTS (SELECT 1 FROM hookline_messages m
                  WHERE m.app_id = f.app_id AND m.id < :edge AND m.targets = '#' || f.hash);

-- name: list_gone_endpoints
SELECT e.id FROM hookline_endpoints e
WHERE e.deleted_at_ms IS NOT NULL AND e.deleted_at_ms < :deleted_before_ms
  AND NOT EXISTS (SELECT 1 FROM hookline_attempts t WHERE t.endpoint_id = e.id)
  AND NOT EXISTS (SELECT 1 FROM hookline_pending p WHERE p.endpoint_id = e.id AND p.lease_node IS NULL)
  AND NOT EXISTS (SELECT 1 FROM hookline_pending p WHERE p.endpoint_id = e.id AND p.sequence IS NOT NULL)
LIMIT :limit;

-- name: delete_endpoint
DELETE FROM hookline_endpoints WHERE id = ?;

-- name: delete_lane
DELETE FROM hookline_lanes WHERE endpoint_id = ?;

-- name: delete_dead_nodes
DELETE FROM hookline_nodes WHERE abs(lease_until_ms) < ?;

-- name: delete_tombstones
DELETE FROM hookline_batches WHERE node_id = '' AND created_at_ms < ?;
