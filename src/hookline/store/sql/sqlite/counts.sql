-- How an endpoint fares, from indexes alone. Counting stops at :most.

-- name: attempts
SELECT count(*) FROM (
    SELECT 1 FROM hookline_attempts INDEXED BY hookline_attempts_endpoint
    WHERE endpoint_id = :endpoint_id AND id > :low AND id < :high LIMIT :most);

-- name: failures
SELECT count(*), coalesce(sum(final), 0) FROM (
    SELECT final FROM hookline_attempts INDEXED BY hookline_attempts_trouble
    WHERE endpoint_id = :endpoint_id AND status = 2 AND status <> 0 AND id > :low AND id < :high LIMIT :most);

-- name: cancellations
SELECT count(*) FROM (
    SELECT 1 FROM hookline_attempts INDEXED BY hookline_attempts_trouble
    WHERE endpoint_id = :endpoint_id AND status = 4 AND status <> 0 AND id > :low AND id < :high LIMIT :most);

-- name: free
-- How many, and of those how many are to be sent now or again.
SELECT count(*), coalesce(sum(attempts > 0 OR due_at_ms <= :now_ms), 0) FROM (
    SELECT attempts, due_at_ms FROM hookline_pending INDEXED BY hookline_pending_due
    WHERE endpoint_id = :endpoint_id AND lease_node IS NULL AND kind = 'scheduled'
      AND message_id > :message_low AND message_id < :message_high LIMIT :most);

-- name: leased
-- As many as all nodes have in memory: few.
SELECT count(*) FROM hookline_pending INDEXED BY hookline_pending_lease
WHERE lease_node IS NOT NULL AND endpoint_id = :endpoint_id AND kind = 'scheduled'
  AND message_id > :message_low AND message_id < :message_high;

-- name: is_enabled
SELECT status = 'enabled' FROM hookline_endpoints
WHERE id = :endpoint_id AND app_id = :app_id AND org_id = :org_id AND deleted_at_ms IS NULL;
