-- Background tasks. Leases run on the database's own clock. /*direction*/ is replaced by ASC or DESC; a list goes from $1 to
-- $2 (exclusive), at most $3.

-- name: insert_task
-- Only while there are fewer open ones than may be, of its application or (without one) of its organization itself. Two
-- that are made at the same moment may make one more.
INSERT INTO hookline_tasks
    (id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
       result, error, attempts, cancel_requested, finished_at_ms)
SELECT $1, $2, $3, $4, $5, $6::bigint, $7::bigint, $8::bigint, $9, $10::bigint, $11::bigint, $12::bigint, $13, $14, $15,
       $16::bigint, $17::boolean, $18::bigint
WHERE (SELECT count(*) FROM hookline_tasks
       WHERE org_id = $2 AND app_id IS NOT DISTINCT FROM $3 AND finished_at_ms IS NULL) < $19::bigint
RETURNING 1;

-- name: find_task
SELECT id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
       result, error, attempts, cancel_requested, finished_at_ms
FROM hookline_tasks WHERE id = $1 AND org_id = $2;

-- name: list_tasks
SELECT id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
       result, error, attempts, cancel_requested, finished_at_ms
FROM hookline_tasks
WHERE org_id = $4 AND id > $1 AND id < $2
  AND ($5::text[] IS NULL OR state = ANY ($5)) AND ($6::text IS NULL OR kind = $6)
ORDER BY id /*direction*/ LIMIT $3;

-- name: list_tasks_window
SELECT id FROM hookline_tasks
WHERE org_id = $4 AND id > $1 AND id < $2
ORDER BY id /*direction*/ OFFSET $3 LIMIT 1;

-- name: list_tasks_of_application
SELECT id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
       result, error, attempts, cancel_requested, finished_at_ms
FROM hookline_tasks
WHERE app_id = $7 AND org_id = $4 AND id > $1 AND id < $2
  AND ($5::text[] IS NULL OR state = ANY ($5)) AND ($6::text IS NULL OR kind = $6)
ORDER BY id /*direction*/ LIMIT $3;

-- name: list_tasks_of_application_window
SELECT id FROM hookline_tasks
WHERE app_id = $4 AND id > $1 AND id < $2
ORDER BY id /*direction*/ OFFSET $3 LIMIT 1;

-- name: cancel_idle
-- Nobody works on it: it ends here and now. The epoch keeps out a node that does not know that it lost it.
UPDATE hookline_tasks
SET state = 'canceled', cancel_requested = true, finished_at_ms = $3, updated_at_ms = $3, lease_node = NULL,
    epoch = epoch + 1
WHERE id = $1 AND org_id = $2 AND finished_at_ms IS NULL
  AND (lease_node IS NULL OR lease_until_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
RETURNING id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
          result, error, attempts, cancel_requested, finished_at_ms;

-- name: request_cancel
UPDATE hookline_tasks SET cancel_requested = true, updated_at_ms = $3
WHERE id = $1 AND org_id = $2 AND finished_at_ms IS NULL
RETURNING id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
          result, error, attempts, cancel_requested, finished_at_ms;

-- name: claim
WITH due AS MATERIALIZED (
    SELECT id FROM hookline_tasks
    WHERE finished_at_ms IS NULL AND due_at_ms <= $3 AND kind = ANY ($4::text[])
      AND (lease_node IS NULL OR lease_until_ms <= (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    ORDER BY due_at_ms LIMIT $5
    FOR UPDATE SKIP LOCKED
)
UPDATE hookline_tasks t
SET attempts = t.attempts + (t.lease_node IS NOT NULL)::int, lease_node = $1,
    lease_until_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2::bigint,
    epoch = t.epoch + 1, state = 'running', updated_at_ms = $3
FROM due WHERE t.id = due.id
RETURNING t.id, t.org_id, t.app_id, t.kind, t.parameters, t.created_at_ms, t.updated_at_ms, t.due_at_ms, t.state,
          t.done, t.total, t.affected, t.cursor, t.result, t.error, t.attempts, t.cancel_requested, t.finished_at_ms,
          t.epoch;

-- name: renew
UPDATE hookline_tasks t
SET lease_until_ms = (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $3::bigint
FROM unnest($1::text[], $2::bigint[]) AS ours (id, epoch)
WHERE t.id = ours.id AND t.epoch = ours.epoch AND t.lease_node IS NOT NULL
RETURNING t.id, t.cancel_requested;

-- name: hold_task
-- The first lock that a step takes: who holds it is the only one to do so.
SELECT 1 FROM hookline_tasks
WHERE id = $1 AND epoch = $2 AND finished_at_ms IS NULL AND lease_node IS NOT NULL FOR UPDATE;

-- name: advance
-- What is queued or ended has no lease any more.
UPDATE hookline_tasks
SET cursor = COALESCE($2, cursor), done = COALESCE($3::bigint, done), total = COALESCE($4::bigint, total),
    affected = affected + $5, result = COALESCE($6, result), state = $7, error = $8, attempts = $9,
    due_at_ms = COALESCE($10::bigint, due_at_ms), updated_at_ms = $11, finished_at_ms = $12::bigint,
    lease_node = CASE WHEN $7 = 'running' THEN lease_node END
WHERE id = $1
RETURNING id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
          result, error, attempts, cancel_requested, finished_at_ms;

-- name: delete_ended
DELETE FROM hookline_tasks WHERE id IN (
    SELECT id FROM hookline_tasks WHERE finished_at_ms IS NOT NULL AND finished_at_ms < $1 LIMIT $2)
RETURNING 1;

-- name: delete_of_deleted
DELETE FROM hookline_tasks WHERE id IN (
    SELECT t.id FROM hookline_applications a JOIN hookline_tasks t ON t.app_id = a.id
    WHERE a.deleted_at_ms IS NOT NULL AND t.finished_at_ms IS NOT NULL LIMIT $1)
RETURNING 1;
