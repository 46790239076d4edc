-- What tasks read of messages, a page of ids at a time, and what they do to them.

-- name: count_window
SELECT count(*) FROM (
    SELECT 1 FROM hookline_messages WHERE app_id = $1 AND id > $2 AND id <= $3 LIMIT $4::bigint + 1) AS counted;

-- name: list_window
SELECT m.id, m.created_at_ms, m.event_type, m.channels, m.tags, m.payload_expired,
       strpos(',' || COALESCE(f.endpoint_ids, m.targets) || ',', ',' || $6 || ',') > 0
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets LIKE '#%' THEN substr(m.targets, 2) END
WHERE m.org_id = $1 AND m.app_id = $2 AND m.id > $3 AND m.id <= $4
ORDER BY m.id LIMIT $5;

-- name: list_standing
-- Attempts and rows in one statement, so that a delivery which moves from one to the other is seen exactly once. OFFSET 0
-- and the empty text keep the planner to one way, from the page to what belongs to it, whatever it thinks is there.
SELECT t.message_id, true AS is_end, t.kind, t.status, t.final, t.reason, t.response_status, 0::bigint, 0::bigint, false,
       false, t.id
FROM unnest($1::text[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT * FROM hookline_attempts WHERE message_id = wanted.id AND endpoint_id || '' = $2 OFFSET 0
) AS t
UNION ALL
SELECT p.message_id, false, p.kind, 0, false, '', 0, p.attempts, p.due_at_ms, p.lease_node IS NOT NULL,
       (e.status = 'enabled' AND e.deleted_at_ms IS NULL) IS TRUE, ''
FROM unnest($1::text[]) AS wanted (id)
CROSS JOIN LATERAL (
    SELECT * FROM hookline_pending WHERE message_id = wanted.id AND endpoint_id || '' = $2 OFFSET 0
) AS p
LEFT JOIN hookline_endpoints e ON e.id = p.endpoint_id
ORDER BY 12;

-- name: list_contents
SELECT id, NOT payload_expired AND created_at_ms >= $6 AND created_at_ms < $7
FROM hookline_messages
WHERE org_id = $1 AND app_id = $2 AND id > $3 AND id <= $4
ORDER BY id LIMIT $5;

-- name: count_usage
SELECT m.id, m.event_type, m.created_at_ms >= $6 AND m.created_at_ms < $7,
       t.succeeded, t.failed, t.canceled
FROM (SELECT id, event_type, created_at_ms FROM hookline_messages
      WHERE org_id = $1 AND app_id = $2 AND id > $3 AND id <= $4
      ORDER BY id LIMIT $5) AS m
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE status = 0) AS succeeded, count(*) FILTER (WHERE status = 2) AS failed,
           count(*) FILTER (WHERE status = 4) AS canceled
    FROM hookline_attempts WHERE message_id = m.id
) AS t
ORDER BY m.id;

-- name: hold_messages
-- Keeps the weeks of these messages from being dropped until the new rows are there to see.
SELECT id FROM hookline_messages
WHERE org_id = $1 AND app_id = $2 AND id = ANY ($3::text[]) AND NOT payload_expired
ORDER BY id FOR KEY SHARE;

-- name: insert_replays
-- A message that is to go out later does so, whoever it goes to.
INSERT INTO hookline_pending (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms)
SELECT m.id, e.id, $3, e.app_id, 0, 0, GREATEST($4::bigint, m.deliver_at_ms)
FROM unnest($1::text[]) AS wanted (id)
JOIN hookline_messages m ON m.app_id = $5 AND m.id = wanted.id
JOIN hookline_endpoints e ON e.id = $2 AND e.app_id = $5 AND e.deleted_at_ms IS NULL
ORDER BY m.id
ON CONFLICT (message_id, endpoint_id, kind) DO NOTHING
RETURNING 1;

-- name: lock_contents
SELECT app_id, id, payload_expired FROM hookline_messages
WHERE org_id = $1 AND app_id = $2 AND id = ANY ($3::text[]) AND NOT payload_expired
ORDER BY id FOR UPDATE;
