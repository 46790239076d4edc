-- Background tasks. /*direction*/ is replaced by ASC or DESC.

-- name: insert_task
-- Only while there are fewer open ones than may be, of its application or (without one) of its organization itself.
INSERT INTO hookline_tasks
    (id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
     result, error, attempts, cancel_requested, finished_at_ms)
SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18
WHERE (SELECT count(*) FROM hookline_tasks WHERE org_id = ?2 AND app_id IS ?3 AND finished_at_ms IS NULL) < ?19;

-- name: find_task
SELECT id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
       result, error, attempts, cancel_requested, finished_at_ms
FROM hookline_tasks WHERE id = ? AND org_id = ?;

-- name: list_tasks
SELECT id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
       result, error, attempts, cancel_requested, finished_at_ms
FROM hookline_tasks
WHERE org_id = :org_id AND id > :low AND id < :high
  AND (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
  AND (:kind IS NULL OR kind = :kind)
ORDER BY id /*direction*/ LIMIT :limit;

-- name: list_tasks_window
SELECT id FROM hookline_tasks
WHERE org_id = :org_id AND id > :low AND id < :high
ORDER BY id /*direction*/ LIMIT 1 OFFSET :window;

-- name: list_tasks_of_application
SELECT id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected, cursor,
       result, error, attempts, cancel_requested, finished_at_ms
FROM hookline_tasks
WHERE app_id = :app_id AND org_id = :org_id AND id > :low AND id < :high
  AND (:states IS NULL OR state IN (SELECT value FROM json_each(:states)))
  AND (:kind IS NULL OR kind = :kind)
ORDER BY id /*direction*/ LIMIT :limit;

-- name: list_tasks_of_application_window
SELECT id FROM hookline_tasks
WHERE app_id = :app_id AND id > :low AND id < :high
ORDER BY id /*direction*/ LIMIT 1 OFFSET :window;

-- name: cancel_idle
-- Nobody works on it: it ends here and now. The epoch keeps out a node that does not know that it lost it.
UPDATE hookline_tasks
SET state = 'canceled', cancel_requested = 1, finished_at_ms = ?3, updated_at_ms = ?3, lease_node = NULL, epoch = epoch + 1
WHERE id = ?1 AND org_id = ?2 AND finished_at_ms IS NULL AND (lease_node IS NULL OR lease_until_ms <= ?4)
RETURNING id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected,
          cursor, result, error, attempts, cancel_requested, finished_at_ms;

-- name: request_cancel
UPDATE hookline_tasks SET cancel_requested = 1, updated_at_ms = ?3
WHERE id = ?1 AND org_id = ?2 AND finished_at_ms IS NULL
RETURNING id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected,
          cursor, result, error, attempts, cancel_requested, finished_at_ms;

-- name: list_due
SELECT id FROM hookline_tasks
WHERE finished_at_ms IS NULL AND due_at_ms <= :now_ms AND (lease_node IS NULL OR lease_until_ms <= :clock_ms)
  AND kind IN (SELECT value FROM json_each(:kinds))
ORDER BY due_at_ms LIMIT :limit;

-- name: claim
UPDATE hookline_tasks
SET attempts = attempts + (lease_node IS NOT NULL), lease_node = ?2, lease_until_ms = ?3, epoch = epoch + 1,
    state = 'running', updated_at_ms = ?4
WHERE id = ?1
RETURNING id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected,
          cursor, result, error, attempts, cancel_requested, finished_at_ms, epoch;

-- name: renew
UPDATE hookline_tasks SET lease_until_ms = ?3 WHERE id = ?1 AND epoch = ?2 AND lease_node IS NOT NULL
RETURNING cancel_requested;

-- name: end_leases
UPDATE hookline_tasks SET lease_until_ms = 0 WHERE lease_node IS NOT NULL;

-- name: advance
-- What is queued or ended has no lease any more.
UPDATE hookline_tasks
SET cursor = coalesce(:cursor, cursor), done = coalesce(:done, done), total = coalesce(:total, total),
    affected = affected + :affected, result = coalesce(:result, result), state = :state, error = :error,
    attempts = :attempts, due_at_ms = coalesce(:due_at_ms, due_at_ms), updated_at_ms = :now_ms,
    finished_at_ms = :finished_at_ms, lease_node = CASE WHEN :state = 'running' THEN lease_node END
WHERE id = :id AND epoch = :epoch AND finished_at_ms IS NULL AND lease_node IS NOT NULL
RETURNING id, org_id, app_id, kind, parameters, created_at_ms, updated_at_ms, due_at_ms, state, done, total, affected,
          cursor, result, error, attempts, cancel_requested, finished_at_ms;

-- name: delete_ended
DELETE FROM hookline_tasks WHERE id IN (
    SELECT id FROM hookline_tasks WHERE finished_at_ms IS NOT NULL AND finished_at_ms < ? LIMIT ?);

-- name: delete_of_deleted
DELETE FROM hookline_tasks WHERE id IN (
    SELECT t.id FROM hookline_applications a JOIN hookline_tasks t ON t.app_id = a.id
    WHERE a.deleted_at_ms IS NOT NULL AND t.finished_at_ms IS NOT NULL LIMIT ?);
