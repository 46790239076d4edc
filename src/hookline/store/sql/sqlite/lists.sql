-- Lists that surfaces ask for. /*direction*/ is replaced by ASC or DESC. They walk an index from :low to :high, exclusive.
-- A list with a filter looks at a window of rows, whose end `..._window` finds. Payloads and answers are read only
-- :with_content.

-- name: messages
SELECT m.id, m.app_id, m.id, m.org_id, m.event_type, m.event_id, m.channels,
       CASE WHEN :with_content THEN m.payload ELSE x'' END,
       coalesce(f.endpoint_ids, m.targets), m.note, m.created_at_ms, m.payload_expires_at_ms, m.payload_expired,
       m.tags, m.deliver_at_ms
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE m.app_id = :app_id AND m.org_id = :org_id AND m.id > :low AND m.id < :high
  AND (:event_types IS NULL OR m.event_type IN (SELECT value FROM json_each(:event_types)))
  AND (:channel IS NULL OR instr(',' || m.channels || ',', ',' || :channel || ',') > 0)
  AND (:tag IS NULL OR instr(',' || m.tags || ',', ',' || :tag || ',') > 0)
  AND (:since_ms IS NULL OR m.created_at_ms >= :since_ms)
  AND (:until_ms IS NULL OR m.created_at_ms < :until_ms)
  AND (:endpoint_id IS NULL
       OR instr(',' || coalesce(f.endpoint_ids, m.targets) || ',', ',' || :endpoint_id || ',') > 0)
  AND ((:status IS NULL AND :status_class IS NULL) OR EXISTS (
      SELECT 1 FROM hookline_attempts t
      WHERE t.message_id = m.id
        AND (:endpoint_id IS NULL OR t.endpoint_id = :endpoint_id)
        AND (:status IS NULL OR t.status = :status)
        AND (:status_class IS NULL OR t.response_status / 100 * 100 = :status_class)))
ORDER BY m.id /*direction*/ LIMIT :limit;

-- name: messages_window
SELECT id FROM hookline_messages
WHERE app_id = :app_id AND id > :low AND id < :high
ORDER BY id /*direction*/ LIMIT 1 OFFSET :window;

-- name: messages_by_id
SELECT m.app_id, m.id, m.org_id, m.event_type, m.event_id, m.channels,
       CASE WHEN :with_content THEN m.payload ELSE x'' END,
       coalesce(f.endpoint_ids, m.targets), m.note, m.created_at_ms, m.payload_expires_at_ms, m.payload_expired,
       m.tags, m.deliver_at_ms
FROM json_each(:ids) AS wanted
CROSS JOIN hookline_messages m ON m.app_id = :app_id AND m.id = wanted.value
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE m.org_id = :org_id;

-- name: messages_at_endpoint
-- Those that were meant for the endpoint, and those that were sent to it all the same (replayed, or resent by hand).
SELECT m.id
FROM hookline_messages m
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE m.app_id = :app_id AND m.org_id = :org_id AND m.id > :low AND m.id < :high
  AND (:event_types IS NULL OR m.event_type IN (SELECT value FROM json_each(:event_types)))
  AND (:channel IS NULL OR instr(',' || m.channels || ',', ',' || :channel || ',') > 0)
  AND (:tag IS NULL OR instr(',' || m.tags || ',', ',' || :tag || ',') > 0)
  AND (:since_ms IS NULL OR m.created_at_ms >= :since_ms)
  AND (:until_ms IS NULL OR m.created_at_ms < :until_ms)
  AND (instr(',' || coalesce(f.endpoint_ids, m.targets) || ',', ',' || :endpoint_id || ',') > 0
       OR EXISTS (SELECT 1 FROM hookline_attempts t INDEXED BY hookline_attempts_message
                  WHERE t.message_id = m.id AND t.endpoint_id = :endpoint_id)
       OR EXISTS (SELECT 1 FROM hookline_pending p WHERE p.message_id = m.id AND p.endpoint_id = :endpoint_id))
ORDER BY m.id /*direction*/ LIMIT :limit;

-- name: ends_at_endpoint
SELECT t.id, t.message_id, t.endpoint_id, t.kind, t.status, t.final, t.reason
FROM json_each(:ids) AS wanted
CROSS JOIN hookline_attempts t INDEXED BY hookline_attempts_message ON t.message_id = wanted.value AND t.endpoint_id = :endpoint_id;

-- name: pending_at_endpoint
SELECT p.message_id, p.endpoint_id, p.attempts, p.due_at_ms, p.lease_node IS NOT NULL,
       (SELECT e.status = 'enabled' AND e.deleted_at_ms IS NULL FROM hookline_endpoints e WHERE e.id = p.endpoint_id)
FROM json_each(:ids) AS wanted
CROSS JOIN hookline_pending p ON p.message_id = wanted.value AND p.endpoint_id = :endpoint_id AND p.kind = 'scheduled';

-- name: attempts_of_message
SELECT t.id, t.id, t.app_id, t.message_id, t.endpoint_id, t.kind, t.number, t.url, t.status, t.final, t.reason, t.detail,
       t.response_status, CASE WHEN :with_content THEN t.response_body ELSE x'' END, t.duration_ms, t.created_at_ms,
       t.next_attempt_at_ms
FROM hookline_attempts t
WHERE t.message_id = :parent_id AND t.app_id = :app_id AND t.id > :low AND t.id < :high
  AND EXISTS (SELECT 1 FROM hookline_applications a WHERE a.id = :app_id AND a.org_id = :org_id)
  /*matches*/
  AND ((:event_types IS NULL AND :channel IS NULL AND :tag IS NULL) OR EXISTS (
      SELECT 1 FROM hookline_messages m
      WHERE m.app_id = :app_id AND m.id = :parent_id
        AND (:event_types IS NULL OR m.event_type IN (SELECT value FROM json_each(:event_types)))
        AND (:channel IS NULL OR instr(',' || m.channels || ',', ',' || :channel || ',') > 0)
        AND (:tag IS NULL OR instr(',' || m.tags || ',', ',' || :tag || ',') > 0)))
ORDER BY t.id /*direction*/ LIMIT :limit;

-- name: attempts_of_message_window
SELECT id FROM hookline_attempts
WHERE message_id = :parent_id AND id > :low AND id < :high
ORDER BY id /*direction*/ LIMIT 1 OFFSET :window;

-- name: attempts_of_endpoint
SELECT t.id, t.id, t.app_id, t.message_id, t.endpoint_id, t.kind, t.number, t.url, t.status, t.final, t.reason, t.detail,
       t.response_status, CASE WHEN :with_content THEN t.response_body ELSE x'' END, t.duration_ms, t.created_at_ms,
       t.next_attempt_at_ms
FROM hookline_attempts t /*messages*/
WHERE t.endpoint_id = :parent_id AND t.app_id = :app_id AND t.id > :low AND t.id < :high
  AND EXISTS (SELECT 1 FROM hookline_applications a WHERE a.id = :app_id AND a.org_id = :org_id)
  /*matches*/
ORDER BY t.id /*direction*/ LIMIT :limit;

-- name: attempts_of_endpoint_window
SELECT id FROM hookline_attempts
WHERE endpoint_id = :parent_id AND id > :low AND id < :high
ORDER BY id /*direction*/ LIMIT 1 OFFSET :window;

-- name: troubles_of_endpoint
-- Attempts that are no successes have an index of their own, however many successes stand between them.
SELECT t.id, t.id, t.app_id, t.message_id, t.endpoint_id, t.kind, t.number, t.url, t.status, t.final, t.reason, t.detail,
       t.response_status, CASE WHEN :with_content THEN t.response_body ELSE x'' END, t.duration_ms, t.created_at_ms,
       t.next_attempt_at_ms
FROM hookline_attempts t INDEXED BY hookline_attempts_trouble /*messages*/
WHERE t.endpoint_id = :parent_id AND t.status = :status AND t.status <> 0 AND t.app_id = :app_id
  AND t.id > :low AND t.id < :high
  AND EXISTS (SELECT 1 FROM hookline_applications a WHERE a.id = :app_id AND a.org_id = :org_id)
  /*matches*/
ORDER BY t.id /*direction*/ LIMIT :limit;

-- name: troubles_of_endpoint_window
SELECT id FROM hookline_attempts INDEXED BY hookline_attempts_trouble
WHERE endpoint_id = :parent_id AND status = :status AND status <> 0 AND id > :low AND id < :high
ORDER BY id /*direction*/ LIMIT 1 OFFSET :window;

-- name: join_messages
-- A part of other queries: for a filter that asks for the message of an attempt.
CROSS JOIN hookline_messages m ON m.app_id = t.app_id AND m.id = t.message_id
  AND (:event_types IS NULL OR m.event_type IN (SELECT value FROM json_each(:event_types)))
  AND (:channel IS NULL OR instr(',' || m.channels || ',', ',' || :channel || ',') > 0)
  AND (:tag IS NULL OR instr(',' || m.tags || ',', ',' || :tag || ',') > 0);

-- name: matches
-- A part of other queries. «Unsettled»: the last attempt so far of a delivery that goes on; it is being sent, or waits for its endpoint.
AND (:endpoint_id IS NULL OR t.endpoint_id = :endpoint_id)
  AND (:status IS NULL OR t.status = :status)
  AND (:status_class IS NULL OR t.response_status / 100 * 100 = :status_class)
  AND (:since_ms IS NULL OR t.created_at_ms >= :since_ms)
  AND (:until_ms IS NULL OR t.created_at_ms < :until_ms)
  AND (:unsettled IS NULL OR EXISTS (
      SELECT 1 FROM hookline_pending p LEFT JOIN hookline_endpoints e ON e.id = p.endpoint_id
      WHERE p.message_id = t.message_id AND p.endpoint_id = t.endpoint_id AND p.kind = t.kind AND p.attempts = t.number
        AND ((p.lease_node IS NOT NULL OR (e.status = 'enabled' AND e.deleted_at_ms IS NULL))
             IS (:unsettled = 'sending'))));
