-- Ends without a request (deleted endpoints, expired payloads), and what may go.

-- name: lock_deleted_due
-- Only endpoints with a lane can have rows. An endpoint whose row is gone counts as deleted.
SELECT p.message_id, p.endpoint_id, p.kind, p.app_id, p.attempts, p.rescues, p.sequence
FROM hookline_lanes l
LEFT JOIN hookline_endpoints e ON e.id = l.endpoint_id
JOIN hookline_pending p ON p.endpoint_id = l.endpoint_id
WHERE (e.id IS NULL OR e.deleted_at_ms IS NOT NULL) AND p.lease_node IS NULL
  AND (e.id IS NULL OR (SELECT a.deleted_at_ms IS NULL FROM hookline_applications a WHERE a.id = e.app_id))
LIMIT $1
FOR UPDATE OF p SKIP LOCKED;

-- name: lock_expired
SELECT m.app_id, m.id FROM hookline_messages m
WHERE m.payload_expires_at_ms IS NOT NULL AND m.payload_expires_at_ms <= $1 AND NOT m.payload_expired
ORDER BY m.payload_expires_at_ms
LIMIT $2
FOR UPDATE SKIP LOCKED;

-- name: lock_messages
SELECT m.app_id, m.id, m.payload_expired FROM hookline_messages m
WHERE m.app_id = $1 AND m.org_id = $2 AND m.id = ANY ($3::text[])
ORDER BY m.id
FOR UPDATE;

-- name: list_unsettled
-- What these messages still owe: rows of either kind, whoever they are for, and targets with neither row nor end.
WITH expired AS MATERIALIZED (
    SELECT m.app_id, m.id AS message_id, target.endpoint_id
    FROM unnest($1::text[], $2::text[]) AS e (app_id, id)
    JOIN hookline_messages m ON m.app_id = e.app_id AND m.id = e.id
    LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets LIKE '#%' THEN substr(m.targets, 2) END
    CROSS JOIN LATERAL unnest(string_to_array(COALESCE(f.endpoint_ids, m.targets), ',')) AS target (endpoint_id)
)
SELECT x.message_id, x.endpoint_id, 'scheduled' AS kind, x.app_id, 0::bigint AS attempts, 0::bigint AS rescues,
       NULL::bigint AS sequence
FROM expired x
WHERE NOT EXISTS (
    SELECT 1 FROM hookline_pending p
    WHERE p.message_id = x.message_id AND p.endpoint_id = x.endpoint_id AND p.kind = 'scheduled')
  AND NOT EXISTS (
    SELECT 1 FROM hookline_attempts a
    WHERE a.message_id = x.message_id AND a.endpoint_id = x.endpoint_id
      AND a.final AND (a.kind = 'scheduled' OR a.status = 0))
UNION ALL
SELECT p.message_id, p.endpoint_id, p.kind, p.app_id, p.attempts, p.rescues, p.sequence
FROM unnest($2::text[]) AS e (id)
CROSS JOIN LATERAL (SELECT * FROM hookline_pending WHERE message_id = e.id OFFSET 0) AS p;

-- name: lock_rows_of_messages
SELECT message_id, endpoint_id, kind FROM hookline_pending WHERE message_id = ANY ($1::text[])
ORDER BY message_id, endpoint_id, kind FOR UPDATE;

-- name: empty_payloads
UPDATE hookline_messages m SET payload = '', payload_expired = true
FROM unnest($1::text[], $2::text[]) AS e (app_id, id)
WHERE m.app_id = e.app_id AND m.id = e.id;

-- name: list_members
SELECT members FROM hookline_batches WHERE members <> '';

-- name: delete_keys
DELETE FROM hookline_message_keys k
USING (
    SELECT org_id, app_id, key FROM hookline_message_keys WHERE expires_at_ms <= $1
    LIMIT $2 FOR UPDATE SKIP LOCKED
) AS old
WHERE (k.org_id, k.app_id, k.key) = (old.org_id, old.app_id, old.key)
RETURNING 1;

-- name: delete_fanouts
-- $1 leaves room for the grain of last_used_at_ms and for weeks that are dropped as a whole.
DELETE FROM hookline_fanouts f
WHERE f.last_used_at_ms < $1
  AND NOT EXISTS (SELECT 1 FROM hookline_messages m WHERE m.app_id = f.app_id AND m.id < $2 AND m.targets = '#' || f.hash);

-- name: delete_gone_endpoints
-- Of deleted endpoints, the row goes with the last attempt that names it.
DELETE FROM hookline_endpoints r
USING (
    SELECT e.id FROM hookline_endpoints e
    WHERE e.deleted_at_ms < $1
      AND NOT EXISTS (SELECT 1 FROM hookline_attempts t WHERE t.endpoint_id = e.id)
      AND NOT EXISTS (SELECT 1 FROM hookline_pending p
                      WHERE p.endpoint_id = e.id AND p.lease_node IS NULL AND p.sequence IS NULL)
      AND NOT EXISTS (SELECT 1 FROM hookline_pending p WHERE p.endpoint_id = e.id AND p.sequence IS NOT NULL)
    LIMIT $2
) AS gone
WHERE r.id = gone.id
RETURNING r.id;

-- name: delete_lanes
-- A lane whose endpoint is gone and that holds nothing free. (A lease that comes back later makes a new one.)
DELETE FROM hookline_lanes l
WHERE l.endpoint_id = ANY ($1::text[]);

-- name: delete_dead_nodes
DELETE FROM hookline_nodes
WHERE lease_until_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1::bigint;

-- name: delete_tombstones
DELETE FROM hookline_batches
WHERE node_id = '' AND created_at_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1::bigint;

-- name: list_retentions
SELECT id, (settings::jsonb ->> 'retentionDays')::bigint FROM hookline_organizations
WHERE settings::jsonb ->> 'retentionDays' IS NOT NULL;

-- name: delete_old_messages_of
DELETE FROM hookline_messages r
USING (
    SELECT m.app_id, m.id FROM hookline_applications a JOIN hookline_messages m ON m.app_id = a.id
    WHERE a.org_id = $1 AND m.id < $2 AND a.deleted_at_ms IS NULL AND m.created_at_ms < $3
      AND NOT EXISTS (SELECT 1 FROM hookline_pending p WHERE p.message_id = m.id)
      AND NOT m.id = ANY ($4::text[])
    LIMIT $5
) AS old
WHERE r.app_id = old.app_id AND r.id = old.id
RETURNING 1;

-- name: delete_old_attempts_of
DELETE FROM hookline_attempts r
USING (
    SELECT t.endpoint_id, t.id FROM hookline_applications a
    JOIN hookline_endpoints e ON e.app_id = a.id
    JOIN hookline_attempts t ON t.endpoint_id = e.id
    WHERE a.org_id = $1 AND t.id < $2 AND t.created_at_ms < $3
      AND NOT EXISTS (SELECT 1 FROM hookline_messages m WHERE m.app_id = t.app_id AND m.id = t.message_id)
    LIMIT $4
) AS old
WHERE r.endpoint_id = old.endpoint_id AND r.id = old.id
RETURNING 1;
