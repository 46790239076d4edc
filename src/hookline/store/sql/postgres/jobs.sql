-- Jobs that announce their end. Leases run on the database's own clock.

-- name: insert_job
-- Only for an application that is there, while it has fewer open ones than may be. Some that are made at the same moment
-- may make a few more.
INSERT INTO hookline_jobs
    (id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms)
SELECT $1, $2, $3, $4, $5, $6::bigint, $7::bigint, $8, $9::bytea, $10::bigint, $11::bigint, $12::bigint
WHERE EXISTS (SELECT 1 FROM hookline_applications WHERE id = $3 AND org_id = $2 AND deleted_at_ms IS NULL)
  AND (SELECT count(*) FROM hookline_jobs WHERE app_id = $3 AND ended_at_ms IS NULL) < $13::bigint
RETURNING 1;

-- name: find_job
SELECT id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms
FROM hookline_jobs WHERE id = $1 AND app_id = $2 AND org_id = $3 AND kind = $4;

-- name: cancel
-- The epoch keeps out the node that works on it.
UPDATE hookline_jobs SET state = 'cancelled', ended_at_ms = $5, lease_node = NULL, epoch = epoch + 1
WHERE id = $1 AND app_id = $2 AND org_id = $3 AND kind = $4 AND ended_at_ms IS NULL
RETURNING id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms;

-- name: delete_job
DELETE FROM hookline_jobs WHERE id = $1 AND app_id = $2 AND org_id = $3 AND kind = $4 RETURNING 1;

-- name: claim
WITH due AS MATERIALIZED (
    SELECT id FROM hookline_jobs
    WHERE ended_at_ms IS NULL AND due_at_ms <= $3 AND kind = ANY ($4::text[])
      AND (lease_node IS NULL OR lease_until_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    ORDER BY due_at_ms LIMIT $5
    FOR UPDATE SKIP LOCKED
)
UPDATE hookline_jobs t
SET attempts = t.attempts + (t.lease_node IS NOT NULL)::int, lease_node = $1,
    lease_until_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2::bigint,
    epoch = t.epoch + 1, state = 'in_progress', started_at_ms = COALESCE(t.started_at_ms, $3)
FROM due WHERE t.id = due.id
RETURNING t.id, t.org_id, t.app_id, t.kind, t.request, t.created_at_ms, t.due_at_ms, t.state, t.result, t.attempts, t.started_at_ms, t.ended_at_ms,
          t.epoch;

-- name: renew
UPDATE hookline_jobs t
SET lease_until_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3::bigint
FROM unnest($1::text[], $2::bigint[]) AS ours (id, epoch)
WHERE t.id = ours.id AND t.epoch = ours.epoch AND t.lease_node IS NOT NULL
RETURNING t.id;

-- name: give_back
UPDATE hookline_jobs SET lease_node = NULL, attempts = $3, due_at_ms = $4
WHERE id = $1 AND epoch = $2 AND ended_at_ms IS NULL AND lease_node IS NOT NULL
RETURNING id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms;

-- name: end_job
UPDATE hookline_jobs SET lease_node = NULL, state = $3, result = $4, ended_at_ms = $5
WHERE id = $1 AND epoch = $2 AND ended_at_ms IS NULL AND lease_node IS NOT NULL
RETURNING id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms;

-- name: insert_outbox
INSERT INTO hookline_outbox (org_id, app, event_type, payload, event_id) VALUES ($1, $2, $3, $4, $5);

-- name: delete_ended
DELETE FROM hookline_jobs WHERE id IN (
    SELECT id FROM hookline_jobs WHERE ended_at_ms IS NOT NULL AND ended_at_ms < $1 LIMIT $2)
RETURNING 1;
