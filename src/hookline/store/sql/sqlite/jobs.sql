-- Jobs that announce their end.

-- name: insert_job
-- Only for an application that is there, while it has fewer open ones than may be.
INSERT INTO hookline_jobs
    (id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
WHERE EXISTS (SELECT 1 FROM hookline_applications WHERE id = ?3 AND org_id = ?2 AND deleted_at_ms IS NULL)
  AND (SELECT count(*) FROM hookline_jobs WHERE app_id = ?3 AND ended_at_ms IS NULL) < ?13;

-- name: find_job
SELECT id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms
FROM hookline_jobs WHERE id = ? AND app_id = ? AND org_id = ? AND kind = ?;

-- name: cancel
-- The epoch keeps out the node that works on it.
UPDATE hookline_jobs SET state = 'cancelled', ended_at_ms = ?5, lease_node = NULL, epoch = epoch + 1
WHERE id = ?1 AND app_id = ?2 AND org_id = ?3 AND kind = ?4 AND ended_at_ms IS NULL
RETURNING id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms;

-- name: delete_job
DELETE FROM hookline_jobs WHERE id = ? AND app_id = ? AND org_id = ? AND kind = ?;

-- name: list_due
SELECT id FROM hookline_jobs
WHERE ended_at_ms IS NULL AND due_at_ms <= :now_ms AND (lease_node IS NULL OR lease_until_ms <= :clock_ms)
  AND kind IN (SELECT value FROM json_each(:kinds))
ORDER BY due_at_ms LIMIT :limit;

-- name: claim
UPDATE hookline_jobs
SET attempts = attempts + (lease_node IS NOT NULL), lease_node = ?2, lease_until_ms = ?3, epoch = epoch + 1,
    state = 'in_progress', started_at_ms = coalesce(started_at_ms, ?4)
WHERE id = ?1
RETURNING id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms,
          epoch;

-- name: renew
UPDATE hookline_jobs SET lease_until_ms = ?3 WHERE id = ?1 AND epoch = ?2 AND lease_node IS NOT NULL;

-- name: end_leases
UPDATE hookline_jobs SET lease_until_ms = 0 WHERE lease_node IS NOT NULL;

-- name: give_back
UPDATE hookline_jobs SET lease_node = NULL, attempts = ?3, due_at_ms = ?4
WHERE id = ?1 AND epoch = ?2 AND ended_at_ms IS NULL AND lease_node IS NOT NULL
RETURNING id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms;

-- name: end_job
UPDATE hookline_jobs SET lease_node = NULL, state = ?3, result = ?4, ended_at_ms = ?5
WHERE id = ?1 AND epoch = ?2 AND ended_at_ms IS NULL AND lease_node IS NOT NULL
RETURNING id, org_id, app_id, kind, request, created_at_ms, due_at_ms, state, result, attempts, started_at_ms, ended_at_ms;

-- name: insert_outbox
INSERT INTO hookline_outbox (org_id, app, event_type, payload, event_id) VALUES (?, ?, ?, ?, ?);

-- name: delete_ended
DELETE FROM hookline_jobs WHERE id IN (
    SELECT id FROM hookline_jobs WHERE ended_at_ms IS NOT NULL AND ended_at_ms < ? LIMIT ?);
