-- Nodes, their leases, and what is taken over from the dead. A fenced node has a negative lease_until_ms.

-- name: find_epoch
SELECT max(coalesce((SELECT epoch FROM hookline_nodes WHERE id = ?), 0),
           coalesce((SELECT CAST(value AS INTEGER) FROM hookline_meta WHERE name = 'epoch_clock'), 0)) + 1;

-- Rows of nodes come and go; the clock stays, so that no epoch is ever given twice.
-- name: set_epoch_clock
INSERT INTO hookline_meta (name, value) VALUES ('epoch_clock', CAST(? AS TEXT))
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: put_node
INSERT INTO hookline_nodes (id, epoch, lease_until_ms, started_at_ms) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE
SET epoch = excluded.epoch, lease_until_ms = excluded.lease_until_ms, started_at_ms = excluded.started_at_ms;

-- name: renew
UPDATE hookline_nodes SET lease_until_ms = ? WHERE id = ? AND epoch = ?;

-- name: find_node
SELECT 1 FROM hookline_nodes WHERE id = ? AND epoch = ?;

-- name: delete_node
DELETE FROM hookline_nodes WHERE id = ? AND epoch = ?;

-- name: list_leased
SELECT message_id, endpoint_id, kind, app_id, due_at_ms FROM hookline_pending
WHERE lease_node = ? AND lease_epoch = ?;

-- name: free_rows
UPDATE hookline_pending SET lease_node = NULL, lease_epoch = NULL WHERE lease_node = ? AND lease_epoch = ?;

-- name: free_lanes
UPDATE hookline_lanes SET lease_node = NULL, lease_epoch = NULL WHERE lease_node = ? AND lease_epoch = ?;

-- name: fence
UPDATE hookline_nodes SET epoch = epoch + 1, lease_until_ms = -lease_until_ms
WHERE lease_until_ms >= 0 AND lease_until_ms < ? AND id <> ?;

-- name: list_orphaned_batches
SELECT b.id, b.members FROM hookline_batches b
WHERE b.node_id <> ''
  AND NOT EXISTS (SELECT 1 FROM hookline_nodes n WHERE n.id = b.node_id AND n.epoch = b.epoch)
ORDER BY b.id LIMIT ?;

-- name: list_orphaned_rows
SELECT p.message_id, p.endpoint_id, p.kind, p.app_id, p.attempts, p.rescues FROM hookline_pending p
WHERE p.lease_node IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM hookline_nodes n WHERE n.id = p.lease_node AND n.epoch = p.lease_epoch)
LIMIT ?;

-- name: free_orphaned_lanes
UPDATE hookline_lanes AS l SET lease_node = NULL, lease_epoch = NULL
WHERE l.lease_node IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM hookline_nodes n WHERE n.id = l.lease_node AND n.epoch = l.lease_epoch);

-- Members as JSON [[app_id, message_id], ...]. A manual success settles the schedule too; a manual failure moves nothing.
-- name: owe_members
INSERT INTO hookline_pending (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms)
SELECT m.id, t.value, 'scheduled', m.app_id, 0, :rescues, :now_ms
FROM json_each(:members) AS b
JOIN hookline_messages m ON m.app_id = json_extract(b.value, '$[0]') AND m.id = json_extract(b.value, '$[1]')
LEFT JOIN hookline_fanouts f ON f.hash = CASE WHEN m.targets GLOB '#*' THEN substr(m.targets, 2) END
JOIN json_each('["' || replace(coalesce(f.endpoint_ids, m.targets), ',', '","') || '"]') AS t
WHERE m.targets <> ''
  AND NOT EXISTS (
      SELECT 1 FROM hookline_attempts a
      WHERE a.message_id = m.id AND a.endpoint_id = t.value AND a.final AND (a.kind = 'scheduled' OR a.status = 0))
ON CONFLICT (message_id, endpoint_id, kind) DO NOTHING
RETURNING endpoint_id, app_id;

-- name: delete_batch
DELETE FROM hookline_batches WHERE id = ?;

-- name: free_row
UPDATE hookline_pending SET lease_node = NULL, lease_epoch = NULL, due_at_ms = ?, rescues = rescues + 1
WHERE message_id = ? AND endpoint_id = ? AND kind = ?;

-- name: delete_row
DELETE FROM hookline_pending WHERE message_id = ? AND endpoint_id = ? AND kind = ?;

-- name: list_own_batches
SELECT id FROM hookline_batches WHERE node_id = ? AND epoch = ? AND created_at_ms < ? ORDER BY id;

-- name: find_own_batch
SELECT id, members FROM hookline_batches WHERE id = ? AND node_id = ? AND epoch = ?;

-- name: put_tombstone
INSERT INTO hookline_batches (id, node_id, epoch, members, created_at_ms) VALUES (?, '', 0, '', ?)
ON CONFLICT (id) DO NOTHING;

-- name: find_batch_owner
SELECT node_id FROM hookline_batches WHERE id = ?;

-- Task, node, until, now.
-- name: take_lead
INSERT INTO hookline_leaders (name, node_id, until_ms) VALUES (?1, ?2, ?3)
ON CONFLICT (name) DO UPDATE SET node_id = excluded.node_id, until_ms = excluded.until_ms
WHERE node_id = excluded.node_id OR until_ms < ?4;
