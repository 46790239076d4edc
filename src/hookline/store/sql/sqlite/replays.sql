-- What tasks read of messages, a page of ids at a time, and what they do to them. CROSS JOIN and INDEXED BY keep SQLite to
-- the one plan that costs the same however many rows there are: from the page to what belongs to it.

-- name: count_window
SELECT count(*) FROM (
    SELECT 1 FROM hookline_messages WHERE app_id = :app_id AND id > :after AND id <= :to_id LIMIT :most + 1);

-- name: list_window
SELECT m.id, m.created_at_ms, m.event_type, m.channels, m.tags, m.payload_expired,
       instr(',' || coalesce(f.endpoint_ids, m.targets) || ',', ',' || :endpoint_id || ',') > 0
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE m.app_id = :app_id AND m.org_id = :org_id AND m.id > :after AND m.id <= :to_id
ORDER BY m.id LIMIT :limit;

-- name: list_attempts
SELECT t.message_id, 1, t.kind, t.status, t.final, t.reason, t.response_status, 0, 0, 0, 0
FROM json_each(:ids) AS wanted
CROSS JOIN hookline_attempts t INDEXED BY hookline_attempts_message ON t.message_id = wanted.value
WHERE t.endpoint_id = :endpoint_id
ORDER BY t.id;

-- name: list_pending
SELECT p.message_id, 0, p.kind, 0, 0, '', 0, p.attempts, p.due_at_ms, p.lease_node IS NOT NULL,
       (SELECT e.status = 'enabled' AND e.deleted_at_ms IS NULL FROM hookline_endpoints e WHERE e.id = p.endpoint_id)
FROM json_each(:ids) AS wanted
CROSS JOIN hookline_pending p ON p.message_id = wanted.value AND p.endpoint_id = :endpoint_id;

-- name: list_contents
SELECT id, payload_expired = 0 AND created_at_ms >= :since_ms AND created_at_ms < :until_ms
FROM hookline_messages
WHERE app_id = :app_id AND org_id = :org_id AND id > :after AND id <= :to_id
ORDER BY id LIMIT :limit;

-- name: count_usage
SELECT m.id, m.event_type, m.created_at_ms >= :since_ms AND m.created_at_ms < :until_ms,
       sum(t.status = 0), sum(t.status = 2), sum(t.status = 4)
FROM (SELECT id, event_type, created_at_ms FROM hookline_messages
      WHERE app_id = :app_id AND org_id = :org_id AND id > :after AND id <= :to_id
      ORDER BY id LIMIT :limit) AS m
LEFT JOIN hookline_attempts t ON t.message_id = m.id
GROUP BY m.id
ORDER BY m.id;

-- name: insert_replays
-- A message that is to go out later does so, whoever it goes to.
INSERT INTO hookline_pending (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms)
SELECT m.id, e.id, :kind, m.app_id, 0, 0, max(:now_ms, coalesce(m.deliver_at_ms, 0))
FROM json_each(:ids) AS wanted
CROSS JOIN hookline_messages m ON m.app_id = :app_id AND m.id = wanted.value AND m.org_id = :org_id AND m.payload_expired = 0
CROSS JOIN hookline_endpoints e ON e.id = :endpoint_id AND e.app_id = m.app_id AND e.deleted_at_ms IS NULL
WHERE true
ON CONFLICT (message_id, endpoint_id, kind) DO NOTHING;

-- name: list_expungeable
SELECT m.app_id, m.id, coalesce(f.endpoint_ids, m.targets)
FROM json_each(:ids) AS wanted
CROSS JOIN hookline_messages m ON m.app_id = :app_id AND m.id = wanted.value AND m.org_id = :org_id AND m.payload_expired = 0
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END;
