-- Nodes and their leases, on the database's own clock.

-- name: hold_fence
SELECT 1 FROM hookline_nodes WHERE id = $1 AND epoch = $2 FOR KEY SHARE;

-- Conflicts with the fence that commits and claims hold: returns when none of this node's is under way.
-- name: lock_node
SELECT epoch FROM hookline_nodes WHERE id = $1 FOR UPDATE;

-- name: register
INSERT INTO hookline_nodes AS n (id, epoch, lease_until_ms, started_at_ms)
SELECT $1, nextval('hookline_epochs'), t.now_ms + $2::bigint, t.now_ms
FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now_ms) AS t
ON CONFLICT (id) DO UPDATE
SET epoch = excluded.epoch,
    lease_until_ms = excluded.lease_until_ms,
    started_at_ms = excluded.started_at_ms,
    fenced = false
RETURNING epoch;

-- name: renew
UPDATE hookline_nodes
SET lease_until_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3::bigint
WHERE id = $1 AND epoch = $2
RETURNING 1;

-- name: fence_dead
-- A commit under way holds its node's row; that node is looked at again in the next round.
WITH dead AS MATERIALIZED (
    SELECT id FROM hookline_nodes
    WHERE NOT fenced AND id <> $1 AND lease_until_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint
    ORDER BY id
    FOR UPDATE SKIP LOCKED
)
UPDATE hookline_nodes n SET epoch = nextval('hookline_epochs'), fenced = true
FROM dead WHERE n.id = dead.id
RETURNING n.id;

-- name: remove_node
DELETE FROM hookline_nodes WHERE id = $1 AND epoch = $2;

-- name: take_lead
INSERT INTO hookline_leaders AS l (name, node_id, until_ms)
VALUES ($1, $2, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3)
ON CONFLICT (name) DO UPDATE SET node_id = excluded.node_id, until_ms = excluded.until_ms
WHERE l.node_id = excluded.node_id OR l.until_ms < (extract(epoch FROM clock_timestamp()) * 1000)::bigint
RETURNING 1;
