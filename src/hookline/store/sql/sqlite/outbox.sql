-- Rows that applications wrote in their own transactions.

-- name: list_waiting
SELECT id, org_id, app, event_type, payload, event_id, channels FROM hookline_outbox
WHERE refused_at_ms IS NULL ORDER BY id LIMIT ?;

-- name: refuse
UPDATE hookline_outbox SET error = ?, refused_at_ms = ? WHERE id = ?;
