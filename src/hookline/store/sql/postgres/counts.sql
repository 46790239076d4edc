-- How an endpoint fares, from indexes alone. $1 endpoint, $2 and $3 ids around the rows. Counting stops at $4.

-- name: attempts
SELECT count(*) FROM (
    SELECT 1 FROM hookline_attempts WHERE endpoint_id = $1 AND id > $2 AND id < $3 LIMIT $4
) AS made;

-- name: failures
SELECT count(*), count(*) FILTER (WHERE final) FROM (
    SELECT final FROM hookline_attempts
    WHERE endpoint_id = $1 AND status = 2 AND status <> 0 AND id > $2 AND id < $3 LIMIT $4
) AS failed;

-- name: cancellations
SELECT count(*) FROM (
    SELECT 1 FROM hookline_attempts
    WHERE endpoint_id = $1 AND status = 4 AND status <> 0 AND id > $2 AND id < $3 LIMIT $4
) AS canceled;

-- name: free
-- How many, and of those how many are to be sent now or again.
SELECT count(*), count(*) FILTER (WHERE attempts > 0 OR due_at_ms <= $5) FROM (
    (SELECT attempts, due_at_ms FROM hookline_pending
     WHERE endpoint_id = $1 AND lease_node IS NULL AND sequence IS NULL AND kind = 'scheduled'
       AND message_id > $2 AND message_id < $3 LIMIT $4)
    UNION ALL
    (SELECT attempts, due_at_ms FROM hookline_pending
     WHERE endpoint_id = $1 AND sequence IS NOT NULL AND lease_node IS NULL AND kind = 'scheduled'
       AND message_id > $2 AND message_id < $3 LIMIT $4)
) AS waiting;

-- name: leased
-- As many as all nodes have in memory: few.
SELECT count(*) FROM hookline_pending
WHERE lease_node IS NOT NULL AND endpoint_id = $1 AND kind = 'scheduled' AND message_id > $2 AND message_id < $3;

-- name: is_enabled
SELECT status = 'enabled' FROM hookline_endpoints WHERE id = $1 AND app_id = $2 AND org_id = $3 AND deleted_at_ms IS NULL;
