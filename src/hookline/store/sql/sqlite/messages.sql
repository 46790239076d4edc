-- Messages, attempts, and where deliveries stand.

-- name: find_message
SELECT m.app_id, m.id, m.org_id, m.event_type, m.event_id, m.channels,
       CASE WHEN :with_content THEN m.payload ELSE x'' END,
       coalesce(f.endpoint_ids, m.targets), m.note, m.created_at_ms, m.payload_expires_at_ms, m.payload_expired,
       m.tags, m.deliver_at_ms
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE m.app_id = :app_id AND m.id = :id AND m.org_id = :org_id;

-- name: find_message_of_key
SELECT message_id FROM hookline_message_keys WHERE org_id = ? AND app_id = ? AND key = ?;

-- name: find_attempt
SELECT id, app_id, message_id, endpoint_id, kind, number, url, status, final, reason, detail, response_status,
       response_body, duration_ms, created_at_ms, next_attempt_at_ms
FROM hookline_attempts
WHERE message_id = :message_id AND id = :id AND app_id = :app_id
  AND EXISTS (SELECT 1 FROM hookline_applications a WHERE a.id = :app_id AND a.org_id = :org_id);

-- name: expunge_attempt
UPDATE hookline_attempts SET response_body = ?
WHERE message_id = ? AND id = ? AND app_id = ?
  AND EXISTS (SELECT 1 FROM hookline_applications a WHERE a.id = app_id AND a.org_id = ?);

-- name: find_targets
SELECT coalesce(f.endpoint_ids, m.targets)
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE m.app_id = ? AND m.id = ? AND m.org_id = ?;

-- name: list_ends
SELECT endpoint_id, kind, status, final, reason FROM hookline_attempts WHERE message_id = ? ORDER BY id;

-- name: list_pending
SELECT p.endpoint_id, p.attempts, p.due_at_ms, p.lease_node IS NOT NULL,
       e.status = 'enabled' AND e.deleted_at_ms IS NULL
FROM hookline_pending p LEFT JOIN hookline_endpoints e ON e.id = p.endpoint_id
WHERE p.message_id = ? AND p.kind = 'scheduled';

-- name: find_message_to_send
SELECT 1 FROM hookline_messages WHERE app_id = ? AND id = ? AND org_id = ? AND payload_expired = 0;

-- name: insert_resend
INSERT INTO hookline_pending (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms)
VALUES (?, ?, 'manual', ?, 0, 0, ?)
ON CONFLICT (message_id, endpoint_id, kind) DO UPDATE SET due_at_ms = min(due_at_ms, excluded.due_at_ms);

-- name: count_backlog
SELECT coalesce(sum(p.lease_node IS NULL AND live AND p.due_at_ms <= :now_ms), 0),
       coalesce(sum(p.lease_node IS NULL AND live AND p.due_at_ms > :now_ms), 0),
       coalesce(sum(p.lease_node IS NOT NULL), 0),
       coalesce(sum(p.lease_node IS NULL AND NOT live), 0),
       min(CASE WHEN p.lease_node IS NULL AND live AND p.due_at_ms <= :now_ms THEN p.due_at_ms END)
FROM (
    SELECT p.lease_node, p.due_at_ms,
           EXISTS (SELECT 1 FROM hookline_endpoints e
                   WHERE e.id = p.endpoint_id AND e.status = 'enabled' AND e.deleted_at_ms IS NULL) AS live
    FROM hookline_pending p
) AS p;

-- name: count_batches
SELECT count(*) FROM hookline_batches WHERE node_id <> '';
