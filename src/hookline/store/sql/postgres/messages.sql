-- Messages, attempts, where deliveries stand, the outbox.

-- name: find_message
SELECT m.app_id, m.id, m.org_id, m.event_type, m.event_id, m.channels,
       CASE WHEN $4::boolean THEN m.payload ELSE ''::bytea END,
       COALESCE(f.endpoint_ids, m.targets), m.note, m.created_at_ms, m.payload_expires_at_ms, m.payload_expired,
       m.tags, m.deliver_at_ms
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets LIKE '#%' THEN substr(m.targets, 2) END
WHERE m.app_id = $1 AND m.id = $2 AND m.org_id = $3;

-- name: find_message_id_by_event
-- By key as long as there is one; then the newest that had it.
SELECT message_id FROM hookline_message_keys WHERE org_id = $1 AND app_id = $2 AND key = 'event:' || $3
UNION ALL
(SELECT id FROM hookline_messages WHERE org_id = $1 AND app_id = $2 AND event_id = $3 ORDER BY id DESC LIMIT 1)
LIMIT 1;

-- name: find_attempt
SELECT id, app_id, message_id, endpoint_id, kind, number, url, status, final, reason, detail, response_status,
       response_body, duration_ms, created_at_ms, next_attempt_at_ms
FROM hookline_attempts
WHERE message_id = $3 AND id = $4 AND app_id = $2
  AND EXISTS (SELECT 1 FROM hookline_applications a WHERE a.id = $2 AND a.org_id = $1);

-- name: expunge_attempt
UPDATE hookline_attempts SET response_body = $5
WHERE message_id = $3 AND id = $4 AND app_id = $2
  AND EXISTS (SELECT 1 FROM hookline_applications a WHERE a.id = $2 AND a.org_id = $1)
RETURNING 1;

-- name: find_targets
SELECT COALESCE(f.endpoint_ids, m.targets)
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets LIKE '#%' THEN substr(m.targets, 2) END
WHERE m.app_id = $1 AND m.id = $2 AND m.org_id = $3;

-- name: list_standing
-- Ends and rows in one statement, so that a delivery which moves from one to the other is seen exactly once.
SELECT true AS is_end, endpoint_id, kind, status, final, reason, 0::bigint, 0::bigint, false, false, id
FROM hookline_attempts WHERE message_id = $1
UNION ALL
SELECT false, p.endpoint_id, p.kind, 0, false, '', p.attempts, p.due_at_ms, p.lease_node IS NOT NULL,
       (e.status = 'enabled' AND e.deleted_at_ms IS NULL) IS TRUE, ''
FROM hookline_pending p LEFT JOIN hookline_endpoints e ON e.id = p.endpoint_id
WHERE p.message_id = $1 AND p.kind = 'scheduled';

-- name: hold_message
-- Keeps the week of this message from being dropped, and its payload from being emptied, until the new row is there
-- to see.
SELECT 1 FROM hookline_messages WHERE app_id = $1 AND id = $2 AND org_id = $3 AND NOT payload_expired FOR SHARE;

-- name: find_live_endpoint
SELECT 1 FROM hookline_endpoints WHERE id = $1 AND org_id = $2 AND app_id = $3 AND deleted_at_ms IS NULL;

-- name: insert_resend
INSERT INTO hookline_pending AS p (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms)
VALUES ($1, $2, 'manual', $3, 0, 0, $4)
ON CONFLICT (message_id, endpoint_id, kind) DO UPDATE SET due_at_ms = LEAST(p.due_at_ms, excluded.due_at_ms);

-- name: count_backlog
-- One look at each row; endpoints are asked for once each.
SELECT COALESCE(sum(due) FILTER (WHERE live), 0)::bigint,
       COALESCE(sum(free - due) FILTER (WHERE live), 0)::bigint,
       COALESCE(sum(leased), 0)::bigint,
       COALESCE(sum(free) FILTER (WHERE NOT live), 0)::bigint,
       min(oldest) FILTER (WHERE live),
       (SELECT count(*) FROM hookline_batches WHERE node_id <> '')
FROM (
    SELECT p.*, EXISTS (SELECT 1 FROM hookline_endpoints e
                        WHERE e.id = p.endpoint_id AND e.status = 'enabled' AND e.deleted_at_ms IS NULL) AS live
    FROM (
        SELECT endpoint_id,
               count(*) FILTER (WHERE lease_node IS NULL) AS free,
               count(*) FILTER (WHERE lease_node IS NOT NULL) AS leased,
               count(*) FILTER (WHERE lease_node IS NULL AND due_at_ms <= $1) AS due,
               min(due_at_ms) FILTER (WHERE lease_node IS NULL AND due_at_ms <= $1) AS oldest
        FROM hookline_pending GROUP BY endpoint_id
    ) AS p
) AS by_endpoint;

-- name: read_outbox
SELECT id, org_id, app, event_type, payload, event_id, channels FROM hookline_outbox
WHERE refused_at_ms IS NULL ORDER BY id LIMIT $1;

-- name: refuse_outbox
UPDATE hookline_outbox SET error = $2, refused_at_ms = $3 WHERE id = $1;
