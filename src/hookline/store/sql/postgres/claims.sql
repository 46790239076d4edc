-- Lanes and what is claimed from them. A claim locks its lanes first, in a statement of its own: what later statements
-- of the transaction see is then complete, because everybody who writes a free row waits for the lane afterwards.

-- name: list_due
SELECT l.endpoint_id, l.app_id, e.org_id, e.ordered AND NOT e.keyed, l.next_due_at_ms, e.keyed,
       l.state, l.open_until_ms, l.failures, l.failing_since_ms
FROM hookline_lanes l
JOIN hookline_endpoints e ON e.id = l.endpoint_id
WHERE l.next_due_at_ms IS NOT NULL
  AND (CASE WHEN l.state = 'open' THEN GREATEST(l.next_due_at_ms, l.open_until_ms) ELSE l.next_due_at_ms END) <= $1
  AND e.status = 'enabled' AND e.deleted_at_ms IS NULL
  AND NOT (e.ordered AND NOT e.keyed AND l.lease_node IS NOT NULL AND l.lease_node <> $2 AND EXISTS (
      SELECT 1 FROM hookline_nodes n
      WHERE n.id = l.lease_node AND n.epoch = l.lease_epoch
        AND n.lease_until_ms >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint))
ORDER BY (CASE WHEN l.state = 'open' THEN GREATEST(l.next_due_at_ms, l.open_until_ms) ELSE l.next_due_at_ms END)
LIMIT $3;

-- name: find_next_due
SELECT (CASE WHEN l.state = 'open' THEN GREATEST(l.next_due_at_ms, l.open_until_ms) ELSE l.next_due_at_ms END)
FROM hookline_lanes l
JOIN hookline_endpoints e ON e.id = l.endpoint_id
WHERE l.next_due_at_ms IS NOT NULL AND e.status = 'enabled' AND e.deleted_at_ms IS NULL
ORDER BY 1
LIMIT 1;

-- name: find_health
SELECT endpoint_id, app_id, state, open_until_ms, failures, failing_since_ms
FROM hookline_lanes WHERE endpoint_id = ANY ($1::text[]);

-- name: await_lanes
-- With whether keys of theirs lost a delivery; one that does so while we wait makes the lane due again.
SELECT endpoint_id, EXISTS (SELECT 1 FROM hookline_freed_keys f WHERE f.endpoint_id = l.endpoint_id)
FROM hookline_lanes l WHERE endpoint_id = ANY ($1::text[]) ORDER BY endpoint_id FOR UPDATE;

-- name: lock_lanes
SELECT endpoint_id, EXISTS (SELECT 1 FROM hookline_freed_keys f WHERE f.endpoint_id = l.endpoint_id)
FROM hookline_lanes l WHERE endpoint_id = ANY ($1::text[]) ORDER BY endpoint_id
FOR UPDATE SKIP LOCKED;

-- name: find_leased_elsewhere
SELECT l.endpoint_id FROM hookline_lanes l
JOIN hookline_nodes n ON n.id = l.lease_node AND n.epoch = l.lease_epoch
WHERE l.endpoint_id = ANY ($1::text[]) AND l.lease_node <> $2
  AND n.lease_until_ms >= (extract(epoch FROM clock_timestamp()) * 1000)::bigint;

-- name: promote_keys
-- The lanes must be locked. Of each key that lost a delivery, the one that is now the first waits no longer.
WITH freed AS MATERIALIZED (
    DELETE FROM hookline_freed_keys WHERE endpoint_id = ANY ($1::text[]) RETURNING endpoint_id, order_key
), first AS MATERIALIZED (
    SELECT p.message_id, p.endpoint_id, p.kind
    FROM (SELECT DISTINCT endpoint_id, order_key FROM freed) AS f
    CROSS JOIN LATERAL (
        SELECT message_id, endpoint_id, kind FROM hookline_pending
        WHERE endpoint_id = f.endpoint_id AND order_key = f.order_key
        ORDER BY key_sequence LIMIT 1
    ) AS p
)
UPDATE hookline_pending p SET due_at_ms = due_at_ms - 4611686018427387904
FROM first
WHERE (p.message_id, p.endpoint_id, p.kind) = (first.message_id, first.endpoint_id, first.kind)
  AND p.due_at_ms >= 4611686018427387904;

-- name: wake_freed
-- What deleted a delivery of a key may not have made its lane due; and of keys that are gone nothing is to be done.
WITH gone AS (
    DELETE FROM hookline_freed_keys f
    WHERE NOT EXISTS (SELECT 1 FROM hookline_pending p
                      WHERE p.endpoint_id = f.endpoint_id AND p.order_key = f.order_key)
), held AS MATERIALIZED (
    SELECT endpoint_id FROM hookline_lanes
    WHERE endpoint_id IN (SELECT endpoint_id FROM hookline_freed_keys) AND (next_due_at_ms IS NULL OR next_due_at_ms > $1::bigint)
    ORDER BY endpoint_id FOR UPDATE SKIP LOCKED
)
UPDATE hookline_lanes l SET next_due_at_ms = $1::bigint FROM held WHERE l.endpoint_id = held.endpoint_id;

-- name: claim
-- Rows without a sequence, by due time. In lanes that are not ordered (any more), what is left of a sequence too.
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest($3::text[], $4::int[], $5::boolean[]) AS w (endpoint_id, room, ordered)
), picked AS MATERIALIZED (
    SELECT p.message_id, p.endpoint_id, p.kind
    FROM wanted w
    CROSS JOIN LATERAL (
        SELECT message_id, endpoint_id, kind FROM hookline_pending
        WHERE endpoint_id = w.endpoint_id AND lease_node IS NULL AND sequence IS NULL AND due_at_ms <= $6
        ORDER BY due_at_ms LIMIT w.room
        FOR UPDATE SKIP LOCKED
    ) AS p
)
UPDATE hookline_pending p SET lease_node = $1, lease_epoch = $2
FROM picked
WHERE (p.message_id, p.endpoint_id, p.kind) = (picked.message_id, picked.endpoint_id, picked.kind)
RETURNING p.message_id, p.endpoint_id, p.kind, p.app_id, p.attempts, p.rescues, p.sequence, p.due_at_ms;

-- name: claim_sequence
-- From the head on. In an ordered lane the first row that is leased, not yet due or locked ends the run: behind it
-- nothing may overtake. In others, what is left of a sequence goes as it can.
WITH wanted AS MATERIALIZED (
    SELECT * FROM unnest($3::text[], $4::int[], $5::boolean[]) AS w (endpoint_id, room, ordered)
), head AS MATERIALIZED (
    SELECT w.ordered, p.*
    FROM wanted w
    CROSS JOIN LATERAL (
        SELECT message_id, endpoint_id, kind, sequence FROM hookline_pending
        WHERE endpoint_id = w.endpoint_id AND sequence IS NOT NULL
        ORDER BY sequence LIMIT w.room
    ) AS p
), held AS MATERIALIZED (
    SELECT p.message_id, p.endpoint_id, p.kind, p.lease_node, p.due_at_ms
    FROM head
    JOIN hookline_pending p USING (message_id, endpoint_id, kind)
    FOR UPDATE OF p SKIP LOCKED
), run AS MATERIALIZED (
    SELECT head.message_id, head.endpoint_id, head.kind,
           (held.due_at_ms <= $6 AND held.lease_node IS NULL) IS TRUE AS takeable,
           bool_and((held.due_at_ms <= $6 AND held.lease_node IS NULL) IS TRUE OR NOT head.ordered)
               OVER (PARTITION BY head.endpoint_id ORDER BY head.sequence) AS unbroken
    FROM head LEFT JOIN held USING (message_id, endpoint_id, kind)
)
UPDATE hookline_pending p SET lease_node = $1, lease_epoch = $2
FROM run
WHERE (p.message_id, p.endpoint_id, p.kind) = (run.message_id, run.endpoint_id, run.kind)
  AND run.takeable AND run.unbroken
RETURNING p.message_id, p.endpoint_id, p.kind, p.app_id, p.attempts, p.rescues, p.sequence, p.due_at_ms;

-- name: load_messages
SELECT m.app_id, m.id, m.org_id, m.event_type, m.event_id, m.channels, m.payload,
       COALESCE(f.endpoint_ids, m.targets), m.note, m.created_at_ms, m.payload_expires_at_ms, m.payload_expired,
       m.tags, m.deliver_at_ms
FROM unnest($1::text[], $2::text[]) AS wanted (app_id, id)
JOIN hookline_messages m ON m.app_id = wanted.app_id AND m.id = wanted.id
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets LIKE '#%' THEN substr(m.targets, 2) END;

-- name: remove_orphans
DELETE FROM hookline_pending p
USING unnest($1::text[], $2::text[], $3::text[]) AS gone (message_id, endpoint_id, kind)
WHERE p.message_id = gone.message_id AND p.endpoint_id = gone.endpoint_id AND p.kind = gone.kind;

-- name: recompute_lanes
-- The lanes must be locked. Of a sequence only the head counts, and it says nothing while it is leased: whoever ends it
-- makes the lane due.
UPDATE hookline_lanes l
SET next_due_at_ms = LEAST(
    (SELECT due_at_ms FROM hookline_pending p
     WHERE p.endpoint_id = l.endpoint_id AND p.lease_node IS NULL AND p.sequence IS NULL
     ORDER BY due_at_ms LIMIT 1),
    (SELECT 0 FROM hookline_freed_keys f WHERE f.endpoint_id = l.endpoint_id LIMIT 1),
    CASE WHEN EXISTS (SELECT 1 FROM hookline_endpoints e WHERE e.id = l.endpoint_id AND e.ordered) THEN
        (SELECT CASE WHEN head.lease_node IS NULL THEN head.due_at_ms END
         FROM (SELECT lease_node, due_at_ms FROM hookline_pending p
               WHERE p.endpoint_id = l.endpoint_id AND p.sequence IS NOT NULL
               ORDER BY sequence LIMIT 1) AS head)
    ELSE
        (SELECT min(due_at_ms)
         FROM (SELECT due_at_ms FROM hookline_pending p
               WHERE p.endpoint_id = l.endpoint_id AND p.sequence IS NOT NULL AND p.lease_node IS NULL
               ORDER BY sequence LIMIT 100) AS left_over)
    END
)
WHERE l.endpoint_id = ANY ($1::text[]);

-- name: lease_lanes
UPDATE hookline_lanes SET lease_node = $2, lease_epoch = $3 WHERE endpoint_id = ANY ($1::text[]);

-- name: release_lanes
WITH held AS MATERIALIZED (
    SELECT endpoint_id FROM hookline_lanes
    WHERE endpoint_id = ANY ($1::text[]) AND lease_node = $2 AND lease_epoch = $3
    ORDER BY endpoint_id FOR UPDATE
)
UPDATE hookline_lanes l SET lease_node = NULL, lease_epoch = NULL
FROM held WHERE l.endpoint_id = held.endpoint_id;

-- name: free_unsure
-- Rows that a claim leased whose answer was lost, so that nobody has them in memory; or that it should leave for later.
UPDATE hookline_pending p SET lease_node = NULL, lease_epoch = NULL
FROM unnest($1::text[], $2::text[], $3::text[]) AS u (message_id, endpoint_id, kind)
WHERE p.message_id = u.message_id AND p.endpoint_id = u.endpoint_id AND p.kind = u.kind
  AND p.lease_node = $4 AND p.lease_epoch = $5;
