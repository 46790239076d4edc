-- Lanes: one row per endpoint that ever had trouble or is ordered.
-- next_due_at_ms may be too early (claiming corrects it), never too late. Of an ordered lane only the head counts, and
-- rows without a number beside it: those of the time before it was ordered, and manual ones.

-- name: advance
INSERT INTO hookline_lanes (endpoint_id, app_id, next_due_at_ms) VALUES (?, ?, ?)
ON CONFLICT (endpoint_id) DO UPDATE
SET next_due_at_ms = min(coalesce(next_due_at_ms, excluded.next_due_at_ms), excluded.next_due_at_ms);

-- name: recompute
UPDATE hookline_lanes AS l
SET next_due_at_ms = CASE
    WHEN EXISTS (SELECT 1 FROM hookline_endpoints e WHERE e.id = l.endpoint_id AND e.ordered)
    THEN (
        SELECT min(due_at_ms) FROM (
            SELECT due_at_ms FROM (
                SELECT CASE WHEN p.lease_node IS NULL THEN p.due_at_ms END AS due_at_ms
                FROM hookline_pending p
                WHERE p.endpoint_id = l.endpoint_id AND p.sequence IS NOT NULL
                ORDER BY p.sequence LIMIT 1
            )
            UNION ALL
            SELECT min(p.due_at_ms) FROM hookline_pending p
            WHERE p.endpoint_id = l.endpoint_id AND p.lease_node IS NULL AND p.sequence IS NULL
        )
    )
    ELSE (SELECT min(p.due_at_ms) FROM hookline_pending p
          WHERE p.endpoint_id = l.endpoint_id AND p.lease_node IS NULL)
END
WHERE l.endpoint_id = ?;

-- name: find_sequenced
SELECT 1 FROM hookline_lanes WHERE endpoint_id = ? AND next_sequence > 1;

-- name: list_due
SELECT l.endpoint_id, l.app_id, e.org_id, e.ordered AND NOT e.keyed, l.next_due_at_ms, e.keyed,
       l.state, l.open_until_ms, l.failures, l.failing_since_ms
FROM hookline_lanes l
JOIN hookline_endpoints e ON e.id = l.endpoint_id
WHERE l.next_due_at_ms <= :now_ms
  AND e.status = 'enabled' AND e.deleted_at_ms IS NULL
  AND NOT (l.state = 'open' AND l.open_until_ms > :now_ms)
  AND NOT (e.ordered AND NOT e.keyed AND l.lease_node IS NOT NULL AND l.lease_node <> :node_id AND EXISTS (
      SELECT 1 FROM hookline_nodes n
      WHERE n.id = l.lease_node AND n.epoch = l.lease_epoch AND n.lease_until_ms >= :clock_ms))
ORDER BY l.next_due_at_ms
LIMIT :limit;

-- name: find_next_due
SELECT min(CASE WHEN l.state = 'open' THEN max(l.next_due_at_ms, l.open_until_ms) ELSE l.next_due_at_ms END)
FROM hookline_lanes l
JOIN hookline_endpoints e ON e.id = l.endpoint_id
WHERE l.next_due_at_ms IS NOT NULL AND e.status = 'enabled' AND e.deleted_at_ms IS NULL;

-- name: find_health
SELECT endpoint_id, app_id, state, open_until_ms, failures, failing_since_ms
FROM hookline_lanes WHERE endpoint_id IN (SELECT value FROM json_each(?));

-- name: close
UPDATE hookline_lanes AS l
SET state = 'closed', open_until_ms = 0, failures = 0, failing_since_ms = NULL,
    next_due_at_ms = CASE WHEN EXISTS (
        SELECT 1 FROM hookline_pending p WHERE p.endpoint_id = l.endpoint_id AND p.lease_node IS NULL) THEN ?2 END
WHERE endpoint_id = ?1;

-- name: lease
UPDATE hookline_lanes AS l
SET lease_node = :node_id, lease_epoch = :epoch
WHERE l.endpoint_id = :endpoint_id
  AND (l.lease_node IS NULL OR l.lease_node = :node_id OR NOT EXISTS (
      SELECT 1 FROM hookline_nodes n
      WHERE n.id = l.lease_node AND n.epoch = l.lease_epoch AND n.lease_until_ms >= :clock_ms));

-- name: release
UPDATE hookline_lanes SET lease_node = NULL, lease_epoch = NULL
WHERE endpoint_id = ? AND lease_node = ? AND lease_epoch = ?;

-- name: select_by_due
SELECT m.app_id, m.id, m.org_id, m.event_type, m.event_id, m.channels, m.payload,
       coalesce(f.endpoint_ids, m.targets), m.note, m.created_at_ms, m.payload_expires_at_ms, m.payload_expired,
       m.tags, m.deliver_at_ms,
       p.endpoint_id, p.kind, p.attempts, p.rescues, p.sequence, p.due_at_ms, p.lease_node, p.message_id
FROM hookline_pending p
LEFT JOIN hookline_messages m ON m.app_id = p.app_id AND m.id = p.message_id
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE p.endpoint_id = ? AND p.lease_node IS NULL AND p.due_at_ms <= ?
ORDER BY p.due_at_ms LIMIT ?;

-- name: select_without_sequence
SELECT m.app_id, m.id, m.org_id, m.event_type, m.event_id, m.channels, m.payload,
       coalesce(f.endpoint_ids, m.targets), m.note, m.created_at_ms, m.payload_expires_at_ms, m.payload_expired,
       m.tags, m.deliver_at_ms,
       p.endpoint_id, p.kind, p.attempts, p.rescues, p.sequence, p.due_at_ms, p.lease_node, p.message_id
FROM hookline_pending p
LEFT JOIN hookline_messages m ON m.app_id = p.app_id AND m.id = p.message_id
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE p.endpoint_id = ? AND p.lease_node IS NULL AND p.sequence IS NULL AND p.due_at_ms <= ?
ORDER BY p.due_at_ms LIMIT ?;

-- name: select_by_sequence
SELECT m.app_id, m.id, m.org_id, m.event_type, m.event_id, m.channels, m.payload,
       coalesce(f.endpoint_ids, m.targets), m.note, m.created_at_ms, m.payload_expires_at_ms, m.payload_expired,
       m.tags, m.deliver_at_ms,
       p.endpoint_id, p.kind, p.attempts, p.rescues, p.sequence, p.due_at_ms, p.lease_node, p.message_id
FROM hookline_pending p
LEFT JOIN hookline_messages m ON m.app_id = p.app_id AND m.id = p.message_id
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
WHERE p.endpoint_id = ? AND p.sequence IS NOT NULL
ORDER BY p.sequence LIMIT ?;

-- name: delete_row
DELETE FROM hookline_pending WHERE message_id = ? AND endpoint_id = ? AND kind = ?;

-- name: lease_row
UPDATE hookline_pending SET lease_node = ?, lease_epoch = ? WHERE message_id = ? AND endpoint_id = ? AND kind = ?;
