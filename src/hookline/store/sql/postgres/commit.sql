-- The write path. Locks are taken in this order by everybody who takes more than one: node, batches, outbox, keys,
-- fanouts, endpoints, pending, lanes, health, routing clock, applications; and in sorted order within each.

-- name: begin_commit
-- The fence, the routing check and the batch rows in one round trip. Nothing is written unless the node is ours.
WITH node AS MATERIALIZED (
    SELECT 1 FROM hookline_nodes WHERE id = $1 AND epoch = $2 FOR KEY SHARE
), stale AS (
    SELECT selected.app_id
    FROM unnest($3::text[], $4::bigint[]) AS selected (app_id, version)
    LEFT JOIN hookline_applications a ON a.id = selected.app_id AND a.deleted_at_ms IS NULL
    WHERE a.routing_version IS DISTINCT FROM selected.version
), settled AS (
    DELETE FROM hookline_batches WHERE id = ANY ($5::text[]) AND EXISTS (SELECT 1 FROM node)
), batch AS (
    INSERT INTO hookline_batches (id, node_id, epoch, members, created_at_ms)
    SELECT $6::text, $1, $2, $7::text, $8 FROM node WHERE $6::text IS NOT NULL
)
SELECT EXISTS (SELECT 1 FROM node) AS held, ARRAY(SELECT app_id FROM stale) AS stale;

-- name: insert_batch
INSERT INTO hookline_batches (id, node_id, epoch, members, created_at_ms) VALUES ($1, $2, $3, $4, $5);

-- name: find_recorded
SELECT id FROM hookline_attempts WHERE message_id = ANY ($1::text[]) AND id = ANY ($2::text[]);

-- name: resolve_batch
-- Waits for a transaction under way that writes the same id.
INSERT INTO hookline_batches (id, node_id, epoch, members, created_at_ms)
VALUES ($1, '', 0, '', (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
ON CONFLICT (id) DO NOTHING
RETURNING true;

-- name: find_batch
SELECT node_id <> '' FROM hookline_batches WHERE id = $1;

-- name: take_outbox
WITH held AS MATERIALIZED (
    SELECT id FROM hookline_outbox WHERE id = ANY ($1::bigint[]) ORDER BY id FOR UPDATE
)
DELETE FROM hookline_outbox o USING held WHERE o.id = held.id RETURNING o.id;

-- name: claim_keys
-- Expired keys make way. A key that another transaction writes just now is waited for.
INSERT INTO hookline_message_keys AS k (org_id, app_id, key, message_id, fingerprint, expires_at_ms)
SELECT org_id, app_id, key, message_id, fingerprint, expires_at_ms
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bigint[])
    AS wanted (org_id, app_id, key, message_id, fingerprint, expires_at_ms)
ORDER BY org_id COLLATE "C", app_id COLLATE "C", key COLLATE "C"
ON CONFLICT (org_id, app_id, key) DO UPDATE
SET message_id = excluded.message_id, fingerprint = excluded.fingerprint, expires_at_ms = excluded.expires_at_ms
WHERE k.expires_at_ms <= $7
RETURNING org_id, app_id, key;

-- name: read_keys
SELECT org_id, app_id, key, message_id, fingerprint
FROM unnest($1::text[], $2::text[], $3::text[]) AS lost (org_id, app_id, key)
JOIN hookline_message_keys k USING (org_id, app_id, key);

-- name: reassign_keys
UPDATE hookline_message_keys k
SET message_id = given.message_id, fingerprint = given.fingerprint, expires_at_ms = given.expires_at_ms
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bigint[])
    AS given (org_id, app_id, key, message_id, fingerprint, expires_at_ms)
WHERE (k.org_id, k.app_id, k.key) = (given.org_id, given.app_id, given.key);

-- name: drop_keys
DELETE FROM hookline_message_keys k
USING unnest($1::text[], $2::text[], $3::text[]) AS dropped (org_id, app_id, key)
WHERE (k.org_id, k.app_id, k.key) = (dropped.org_id, dropped.app_id, dropped.key);

-- name: keep_fanouts
INSERT INTO hookline_fanouts AS f (hash, app_id, endpoint_ids, last_used_at_ms)
SELECT hash, app_id, endpoint_ids, $4
FROM unnest($1::text[], $2::text[], $3::text[]) AS used (hash, app_id, endpoint_ids)
ORDER BY hash COLLATE "C"
ON CONFLICT (hash) DO UPDATE SET last_used_at_ms = GREATEST(f.last_used_at_ms, excluded.last_used_at_ms);

-- name: disable_endpoints
-- With failing_since_ms, only where that is still what is known.
WITH held AS MATERIALIZED (
    SELECT e.id, off.reason, off.detail
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::bigint[])
        AS off (app_id, endpoint_id, reason, detail, failing_since_ms)
    JOIN hookline_endpoints e ON e.id = off.endpoint_id AND e.app_id = off.app_id
    WHERE e.deleted_at_ms IS NULL
      AND (off.failing_since_ms IS NULL OR EXISTS (
          SELECT 1 FROM hookline_endpoint_health h
          WHERE h.endpoint_id = e.id AND h.failing_since_ms = off.failing_since_ms))
    ORDER BY e.id FOR UPDATE OF e
)
UPDATE hookline_endpoints e
SET status = 'disabled', status_reason = held.reason, updated_at_ms = GREATEST($6, e.updated_at_ms + 1)
FROM held WHERE e.id = held.id AND e.status <> 'disabled'
RETURNING e.app_id, e.id, e.uid, e.updated_at_ms, held.reason, held.detail;

-- name: bump_routing
-- The clock's row is held until COMMIT: versions become visible in their order.
WITH clock AS (
    UPDATE hookline_meta SET value = (value::bigint + 1)::text WHERE name = 'routing_clock'
    RETURNING value::bigint AS version
)
UPDATE hookline_applications a SET routing_version = clock.version
FROM clock WHERE a.id = ANY ($1::text[])
RETURNING a.id, a.routing_version;

-- name: change_pending
-- Actions: 0 delete; 1 delete if ours or free; 2 update if ours; 3 insert, on conflict update if ours; 4 free if ours;
-- 5 insert free or leave; 6 insert leased or leave. Gives the lanes that got something to take, and from when on.
WITH change AS MATERIALIZED (
    SELECT * FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::bigint[], $9::bigint[])
        AS c (message_id, endpoint_id, kind, app_id, action, due_at_ms, attempts)
), held AS MATERIALIZED (
    SELECT p.message_id, p.endpoint_id, p.kind, c.action, c.due_at_ms, c.attempts,
           p.lease_node IS NULL AS free,
           (p.lease_node = $1 AND p.lease_epoch = $2) IS TRUE AS ours
    FROM change c
    JOIN hookline_pending p USING (message_id, endpoint_id, kind)
    WHERE c.action IN (0, 1, 2, 4)
    ORDER BY p.message_id, p.endpoint_id, p.kind
    FOR UPDATE OF p
), deleted AS (
    DELETE FROM hookline_pending p USING held h
    WHERE p.message_id = h.message_id AND p.endpoint_id = h.endpoint_id AND p.kind = h.kind
      AND (h.action = 0 OR (h.action = 1 AND (h.ours OR h.free)))
    -- In an ordered lane the next one's turn has come.
    RETURNING p.endpoint_id, p.app_id,
              CASE WHEN p.sequence IS NOT NULL OR p.order_key IS NOT NULL THEN $10::bigint END AS due_at_ms
), updated AS (
    UPDATE hookline_pending p
    SET attempts = CASE WHEN h.action = 2 THEN h.attempts ELSE p.attempts END,
        rescues = CASE WHEN h.action = 2 THEN 0 ELSE p.rescues END,
        due_at_ms = CASE WHEN h.action = 2 THEN h.due_at_ms ELSE p.due_at_ms END,
        lease_node = NULL,
        lease_epoch = NULL
    FROM held h
    WHERE p.message_id = h.message_id AND p.endpoint_id = h.endpoint_id AND p.kind = h.kind
      AND h.action IN (2, 4) AND h.ours
    RETURNING p.endpoint_id, p.app_id, p.due_at_ms
), inserted AS (
    INSERT INTO hookline_pending AS p
        (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms, lease_node, lease_epoch)
    SELECT message_id, endpoint_id, kind, app_id, attempts, 0, due_at_ms,
           CASE WHEN action = 6 THEN $1::text END, CASE WHEN action = 6 THEN $2::bigint END
    FROM change
    WHERE action IN (3, 5, 6)
    ORDER BY message_id COLLATE "C", endpoint_id COLLATE "C", kind
    ON CONFLICT (message_id, endpoint_id, kind) DO UPDATE
    SET attempts = excluded.attempts, rescues = 0, due_at_ms = excluded.due_at_ms, lease_node = NULL, lease_epoch = NULL
    WHERE excluded.attempts > 0 AND p.lease_node = $1 AND p.lease_epoch = $2
    RETURNING p.endpoint_id, p.app_id, CASE WHEN p.lease_node IS NULL THEN p.due_at_ms END AS due_at_ms
)
SELECT endpoint_id, app_id, min(due_at_ms) AS due_at_ms
FROM (SELECT * FROM deleted UNION ALL SELECT * FROM updated UNION ALL SELECT * FROM inserted) AS touched
WHERE due_at_ms IS NOT NULL
GROUP BY endpoint_id, app_id;

-- name: touch_lanes
-- The only statement of a commit that takes the locks of lanes: all of them, in order.
INSERT INTO hookline_lanes AS l (endpoint_id, app_id, next_due_at_ms, next_sequence)
SELECT endpoint_id, app_id, due_at_ms, 1 + sequences
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS t (endpoint_id, app_id, due_at_ms, sequences)
ORDER BY endpoint_id COLLATE "C"
ON CONFLICT (endpoint_id) DO UPDATE
SET next_due_at_ms = LEAST(l.next_due_at_ms, excluded.next_due_at_ms),
    next_sequence = l.next_sequence + excluded.next_sequence - 1
RETURNING endpoint_id, next_sequence, (lease_node = $5 AND lease_epoch = $6) IS TRUE AS ours;

-- name: insert_keyed
-- The lanes must be locked. The first of each key is due, and makes its lane due; those behind it wait.
WITH new AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
        AS n (message_id, endpoint_id, app_id, key_sequence, order_key)
), placed AS MATERIALIZED (
    SELECT new.*,
           row_number() OVER (PARTITION BY endpoint_id, order_key ORDER BY key_sequence) = 1
           AND NOT EXISTS (SELECT 1 FROM hookline_pending p
                           WHERE p.endpoint_id = new.endpoint_id AND p.order_key = new.order_key) AS is_first
    FROM new
), inserted AS (
    INSERT INTO hookline_pending
        (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms, order_key, key_sequence)
    SELECT message_id, endpoint_id, 'scheduled', app_id, 0, 0,
           CASE WHEN is_first THEN $6::bigint ELSE $6::bigint + 4611686018427387904 END, order_key, key_sequence
    FROM placed
)
UPDATE hookline_lanes l SET next_due_at_ms = LEAST(l.next_due_at_ms, $6::bigint)
FROM (SELECT DISTINCT endpoint_id FROM placed WHERE is_first) AS due
WHERE l.endpoint_id = due.endpoint_id;

-- name: set_health
UPDATE hookline_lanes l
SET state = h.state, open_until_ms = h.open_until_ms, failures = h.failures, failing_since_ms = h.failing_since_ms
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
    AS h (endpoint_id, state, open_until_ms, failures, failing_since_ms)
WHERE l.endpoint_id = h.endpoint_id;

-- name: notify
SELECT pg_notify('hookline', $1);
