-- Lists that surfaces ask for. /*direction*/ is replaced by ASC or DESC. They walk an index from $1 to $2, exclusive, and
-- give at most $3 rows. A list with a filter looks at a window of rows, whose end `..._window` finds. Payloads and answers
-- are read only if that is asked for.
-- Rows of other tables are asked for by `(SELECT true ... LIMIT 1)` where EXISTS would do: that could become a hash of the
-- whole table. `endpoint_id || ''` keeps an endpoint's million attempts from being walked where a message's few will do.

-- name: messages
SELECT m.id, m.app_id, m.id, m.org_id, m.event_type, m.event_id, m.channels,
       CASE WHEN $11::boolean THEN m.payload ELSE ''::bytea END,
       COALESCE(f.endpoint_ids, m.targets), m.note, m.created_at_ms, m.payload_expires_at_ms, m.payload_expired,
       m.tags, m.deliver_at_ms
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets LIKE '#%' THEN substr(m.targets, 2) END
WHERE m.app_id = $5 AND m.org_id = $4 AND m.id > $1 AND m.id < $2
  AND ($6::text[] IS NULL OR m.event_type = ANY ($6))
  AND ($7::text IS NULL OR strpos(',' || m.channels || ',', ',' || $7 || ',') > 0)
  AND ($8::text IS NULL OR strpos(',' || m.tags || ',', ',' || $8 || ',') > 0)
  AND ($9::bigint IS NULL OR m.created_at_ms >= $9)
  AND ($10::bigint IS NULL OR m.created_at_ms < $10)
  AND ($12::text IS NULL OR strpos(',' || COALESCE(f.endpoint_ids, m.targets) || ',', ',' || $12 || ',') > 0)
  AND (($13::bigint IS NULL AND $14::bigint IS NULL) OR (
      SELECT true FROM hookline_attempts t
      WHERE t.message_id = m.id
        AND ($12::text IS NULL OR t.endpoint_id = $12)
        AND ($13::bigint IS NULL OR t.status = $13)
        AND ($14::bigint IS NULL OR t.response_status / 100 * 100 = $14)
      LIMIT 1))
ORDER BY m.id /*direction*/ LIMIT $3;

-- name: messages_window
SELECT id FROM hookline_messages
WHERE app_id = $4 AND id > $1 AND id < $2
ORDER BY id /*direction*/ OFFSET $3 LIMIT 1;

-- name: messages_by_id
SELECT m.app_id, m.id, m.org_id, m.event_type, m.event_id, m.channels,
       CASE WHEN $4::boolean THEN m.payload ELSE ''::bytea END,
       COALESCE(f.endpoint_ids, m.targets), m.note, m.created_at_ms, m.payload_expires_at_ms, m.payload_expired,
       m.tags, m.deliver_at_ms
FROM unnest($3::text[]) AS wanted (id)
JOIN hookline_messages m ON m.app_id = $2 AND m.id = wanted.id
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets LIKE '#%' THEN substr(m.targets, 2) END
WHERE m.org_id = $1;

-- name: messages_at_endpoint
-- Those that were meant for the endpoint, and those that were sent to it all the same (replayed, or resent by hand).
SELECT m.id
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets LIKE '#%' THEN substr(m.targets, 2) END
WHERE m.app_id = $5 AND m.org_id = $4 AND m.id > $1 AND m.id < $2
  AND ($6::text[] IS NULL OR m.event_type = ANY ($6))
  AND ($7::text IS NULL OR strpos(',' || m.channels || ',', ',' || $7 || ',') > 0)
  AND ($8::text IS NULL OR strpos(',' || m.tags || ',', ',' || $8 || ',') > 0)
  AND ($9::bigint IS NULL OR m.created_at_ms >= $9)
  AND ($10::bigint IS NULL OR m.created_at_ms < $10)
  AND CASE WHEN strpos(',' || COALESCE(f.endpoint_ids, m.targets) || ',', ',' || $11::text || ',') > 0 THEN true
      ELSE COALESCE(
          (SELECT true FROM hookline_attempts t WHERE t.message_id = m.id AND t.endpoint_id || '' = $11 LIMIT 1),
          (SELECT true FROM hookline_pending p WHERE p.message_id = m.id AND p.endpoint_id = $11 LIMIT 1),
          false)
      END
ORDER BY m.id /*direction*/ LIMIT $3;

-- name: ends_at_endpoint
SELECT t.id, t.message_id, t.endpoint_id, t.kind, t.status, t.final, t.reason
FROM unnest($1::text[]) AS wanted (id)
JOIN hookline_attempts t ON t.message_id = wanted.id AND t.endpoint_id || '' = $2;

-- name: pending_at_endpoint
SELECT p.message_id, p.endpoint_id, p.attempts, p.due_at_ms, p.lease_node IS NOT NULL,
       (SELECT e.status = 'enabled' AND e.deleted_at_ms IS NULL FROM hookline_endpoints e WHERE e.id = p.endpoint_id)
           IS TRUE
FROM unnest($1::text[]) AS wanted (id)
JOIN hookline_pending p ON p.message_id = wanted.id AND p.endpoint_id = $2 AND p.kind = 'scheduled';

-- name: attempts_of_message
SELECT t.id, t.id, t.app_id, t.message_id, t.endpoint_id, t.kind, t.number, t.url, t.status, t.final, t.reason, t.detail,
       t.response_status, CASE WHEN $13::boolean THEN t.response_body ELSE ''::bytea END, t.duration_ms, t.created_at_ms,
       t.next_attempt_at_ms
FROM hookline_attempts t
WHERE t.message_id = $6 AND t.app_id = $5 AND t.id > $1 AND t.id < $2
  AND (SELECT true FROM hookline_applications a WHERE a.id = $5 AND a.org_id = $4)
  /*matches*/
  AND (($14::text[] IS NULL AND $15::text IS NULL AND $16::text IS NULL) OR (
      SELECT true FROM hookline_messages m
      WHERE m.app_id = $5 AND m.id = $6
        AND ($14::text[] IS NULL OR m.event_type = ANY ($14))
        AND ($15::text IS NULL OR strpos(',' || m.channels || ',', ',' || $15 || ',') > 0)
        AND ($16::text IS NULL OR strpos(',' || m.tags || ',', ',' || $16 || ',') > 0)))
ORDER BY t.id /*direction*/ LIMIT $3;

-- name: attempts_of_message_window
SELECT id FROM hookline_attempts
WHERE message_id = $4 AND id > $1 AND id < $2
ORDER BY id /*direction*/ OFFSET $3 LIMIT 1;

-- name: attempts_of_endpoint
SELECT t.id, t.id, t.app_id, t.message_id, t.endpoint_id, t.kind, t.number, t.url, t.status, t.final, t.reason, t.detail,
       t.response_status, CASE WHEN $13::boolean THEN t.response_body ELSE ''::bytea END, t.duration_ms, t.created_at_ms,
       t.next_attempt_at_ms
FROM hookline_attempts t /*messages*/
WHERE t.endpoint_id = $6 AND t.app_id = $5 AND t.id > $1 AND t.id < $2
  AND (SELECT true FROM hookline_applications a WHERE a.id = $5 AND a.org_id = $4)
  /*matches*/
ORDER BY t.id /*direction*/ LIMIT $3;

-- name: attempts_of_endpoint_window
SELECT id FROM hookline_attempts
WHERE endpoint_id = $4 AND id > $1 AND id < $2
ORDER BY id /*direction*/ OFFSET $3 LIMIT 1;

-- name: troubles_of_endpoint
-- Attempts that are no successes have an index of their own, however many successes stand between them.
SELECT t.id, t.id, t.app_id, t.message_id, t.endpoint_id, t.kind, t.number, t.url, t.status, t.final, t.reason, t.detail,
       t.response_status, CASE WHEN $13::boolean THEN t.response_body ELSE ''::bytea END, t.duration_ms, t.created_at_ms,
       t.next_attempt_at_ms
FROM hookline_attempts t /*messages*/
WHERE t.endpoint_id = $6 AND t.status = $7 AND t.status <> 0 AND t.app_id = $5 AND t.id > $1 AND t.id < $2
  AND (SELECT true FROM hookline_applications a WHERE a.id = $5 AND a.org_id = $4)
  /*matches*/
ORDER BY t.id /*direction*/ LIMIT $3;

-- name: troubles_of_endpoint_window
SELECT id FROM hookline_attempts
WHERE endpoint_id = $4 AND status = $5 AND status <> 0 AND id > $1 AND id < $2
ORDER BY id /*direction*/ OFFSET $3 LIMIT 1;

-- name: join_messages
-- A part of other queries: for a filter that asks for the message of an attempt.
CROSS JOIN LATERAL (
    SELECT 1 FROM hookline_messages m
    WHERE m.app_id = t.app_id AND m.id = t.message_id
      AND ($14::text[] IS NULL OR m.event_type = ANY ($14))
      AND ($15::text IS NULL OR strpos(',' || m.channels || ',', ',' || $15 || ',') > 0)
      AND ($16::text IS NULL OR strpos(',' || m.tags || ',', ',' || $16 || ',') > 0)
    LIMIT 1
) AS m;

-- name: matches
-- A part of other queries. «Unsettled»: the last attempt so far of a delivery that goes on; it is being sent, or waits for its endpoint.
AND ($7::bigint IS NULL OR t.status = $7)
  AND ($8::bigint IS NULL OR t.response_status / 100 * 100 = $8)
  AND ($9::bigint IS NULL OR t.created_at_ms >= $9)
  AND ($10::bigint IS NULL OR t.created_at_ms < $10)
  AND ($11::text IS NULL OR t.endpoint_id = $11)
  AND ($12::text IS NULL OR (
      SELECT true FROM hookline_pending p LEFT JOIN hookline_endpoints e ON e.id = p.endpoint_id
      WHERE p.message_id = t.message_id AND p.endpoint_id = t.endpoint_id AND p.kind = t.kind AND p.attempts = t.number
        AND (p.lease_node IS NOT NULL OR (e.status = 'enabled' AND e.deleted_at_ms IS NULL) IS TRUE)
            = ($12 = 'sending')))
