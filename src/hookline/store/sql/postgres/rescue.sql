-- What dead nodes owe. A (node, epoch) without a row in hookline_nodes is dead; `fence_dead` makes it so.

-- name: lock_orphaned_batches
SELECT id FROM hookline_batches b
WHERE node_id <> ''
  AND NOT EXISTS (SELECT 1 FROM hookline_nodes n WHERE n.id = b.node_id AND n.epoch = b.epoch)
ORDER BY id LIMIT $1
FOR UPDATE SKIP LOCKED;

-- name: lock_own_batches
SELECT id FROM hookline_batches
WHERE node_id = $1 AND epoch = $2 AND id = ANY ($3::text[])
ORDER BY id
FOR UPDATE;

-- name: list_own_batches
SELECT id FROM hookline_batches WHERE node_id = $1 AND epoch = $2 AND created_at_ms < $3 ORDER BY id;

-- name: list_node_batches
SELECT id FROM hookline_batches WHERE node_id = $1 AND epoch = $2 ORDER BY id;

-- name: owe_batches
-- For each target that has neither an end nor a row: one row. A manual success is an end of the schedule too.
WITH member AS MATERIALIZED (
    SELECT split_part(pair, '/', 1) AS app_id, split_part(pair, '/', 2) AS message_id
    FROM hookline_batches b
    CROSS JOIN LATERAL unnest(string_to_array(b.members, ' ')) AS pair
    WHERE b.id = ANY ($1::text[])
), owed AS MATERIALIZED (
    SELECT m.app_id, m.id AS message_id, target.endpoint_id
    FROM member
    JOIN hookline_messages m ON m.app_id = member.app_id AND m.id = member.message_id
    LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets LIKE '#%' THEN substr(m.targets, 2) END
    CROSS JOIN LATERAL unnest(string_to_array(COALESCE(f.endpoint_ids, m.targets), ',')) AS target (endpoint_id)
    WHERE NOT EXISTS (
        SELECT 1 FROM hookline_attempts a
        WHERE a.message_id = m.id AND a.endpoint_id = target.endpoint_id
          AND a.final AND (a.kind = 'scheduled' OR a.status = 0))
), inserted AS (
    INSERT INTO hookline_pending (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms)
    SELECT message_id, endpoint_id, 'scheduled', app_id, 0, $2, $3 FROM owed
    ORDER BY message_id COLLATE "C", endpoint_id COLLATE "C"
    ON CONFLICT (message_id, endpoint_id, kind) DO NOTHING
    RETURNING endpoint_id, app_id
)
SELECT endpoint_id, app_id, count(*) AS deliveries FROM inserted GROUP BY endpoint_id, app_id;

-- name: delete_batches
DELETE FROM hookline_batches WHERE id = ANY ($1::text[]);

-- name: list_dead_holders
-- One step of the index for each holder, however many rows each of them has.
WITH RECURSIVE holder AS (
    (SELECT lease_node, lease_epoch FROM hookline_pending
     WHERE lease_node IS NOT NULL ORDER BY lease_node, lease_epoch LIMIT 1)
    UNION ALL
    SELECT next.lease_node, next.lease_epoch
    FROM holder
    CROSS JOIN LATERAL (
        SELECT p.lease_node, p.lease_epoch FROM hookline_pending p
        WHERE p.lease_node IS NOT NULL AND (p.lease_node, p.lease_epoch) > (holder.lease_node, holder.lease_epoch)
        ORDER BY p.lease_node, p.lease_epoch LIMIT 1
    ) AS next
)
SELECT lease_node, lease_epoch FROM holder
WHERE NOT EXISTS (SELECT 1 FROM hookline_nodes n WHERE n.id = lease_node AND n.epoch = lease_epoch);

-- name: lock_leased
-- Somebody else who holds one of these rows is about to end it, or rescues too.
SELECT message_id, endpoint_id, kind, app_id, attempts, rescues, sequence, order_key FROM hookline_pending
WHERE lease_node = $1 AND lease_epoch = $2
LIMIT $3
FOR UPDATE SKIP LOCKED;

-- name: free_rows
UPDATE hookline_pending p SET lease_node = NULL, lease_epoch = NULL, due_at_ms = $4, rescues = rescues + 1
FROM unnest($1::text[], $2::text[], $3::text[]) AS r (message_id, endpoint_id, kind)
WHERE p.message_id = r.message_id AND p.endpoint_id = r.endpoint_id AND p.kind = r.kind;

-- name: retire_rows
-- A graceful stop: due times and rescues stay as they are.
WITH held AS MATERIALIZED (
    SELECT message_id, endpoint_id, kind FROM hookline_pending
    WHERE lease_node = $1 AND lease_epoch = $2
    ORDER BY message_id, endpoint_id, kind FOR UPDATE
), freed AS (
    UPDATE hookline_pending p SET lease_node = NULL, lease_epoch = NULL
    FROM held
    WHERE p.message_id = held.message_id AND p.endpoint_id = held.endpoint_id AND p.kind = held.kind
    RETURNING p.endpoint_id, p.app_id, p.due_at_ms
)
SELECT endpoint_id, app_id, min(due_at_ms) FROM freed GROUP BY endpoint_id, app_id;

-- name: retire_lanes
WITH held AS MATERIALIZED (
    SELECT endpoint_id FROM hookline_lanes WHERE lease_node = $1 AND lease_epoch = $2
    ORDER BY endpoint_id FOR UPDATE
)
UPDATE hookline_lanes l SET lease_node = NULL, lease_epoch = NULL
FROM held WHERE l.endpoint_id = held.endpoint_id;

-- name: delete_rows
DELETE FROM hookline_pending p
USING unnest($1::text[], $2::text[], $3::text[]) AS r (message_id, endpoint_id, kind)
WHERE p.message_id = r.message_id AND p.endpoint_id = r.endpoint_id AND p.kind = r.kind;
