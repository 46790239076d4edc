-- The one write path. NULLIF stands where a value may be absent: binding None costs more than the function does.

-- name: find_node
SELECT 1 FROM hookline_nodes WHERE id = ? AND epoch = ?;

-- name: find_routing_version
SELECT routing_version FROM hookline_applications WHERE id = ? AND deleted_at_ms IS NULL;

-- name: find_outbox_rows
SELECT id FROM hookline_outbox WHERE id IN (SELECT value FROM json_each(?));

-- name: delete_outbox_row
DELETE FROM hookline_outbox WHERE id = ?;

-- name: find_key
SELECT message_id, fingerprint FROM hookline_message_keys
WHERE org_id = ? AND app_id = ? AND key = ? AND expires_at_ms > ?;

-- name: put_key
INSERT INTO hookline_message_keys (org_id, app_id, key, message_id, fingerprint, expires_at_ms)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (org_id, app_id, key) DO UPDATE
SET message_id = excluded.message_id, fingerprint = excluded.fingerprint, expires_at_ms = excluded.expires_at_ms;

-- An hour's grain: a fanout that every message uses is not written by every message.
-- name: put_fanout
INSERT INTO hookline_fanouts (hash, app_id, endpoint_ids, last_used_at_ms) VALUES (?, ?, ?, ?)
ON CONFLICT (hash) DO UPDATE SET last_used_at_ms = excluded.last_used_at_ms
WHERE last_used_at_ms < excluded.last_used_at_ms - 3600000;

-- name: insert_message
INSERT INTO hookline_messages
    (app_id, id, org_id, event_type, event_id, channels, payload, targets, note, created_at_ms, payload_expires_at_ms,
     tags, deliver_at_ms)
VALUES (?, ?, ?, ?, nullif(?, ''), nullif(?, ''), ?, ?, nullif(?, ''), ?, nullif(?, 0), nullif(?, ''), nullif(?, 0));

-- name: insert_batch
INSERT INTO hookline_batches (id, node_id, epoch, members, created_at_ms) VALUES (?, ?, ?, ?, ?);

-- Endpoint, application, due time, how many: the first of as many numbers.
-- name: reserve_sequences
INSERT INTO hookline_lanes (endpoint_id, app_id, next_due_at_ms, next_sequence) VALUES (?1, ?2, ?3, 1 + ?4)
ON CONFLICT (endpoint_id) DO UPDATE
SET next_sequence = next_sequence + ?4, next_due_at_ms = min(coalesce(next_due_at_ms, ?3), ?3)
RETURNING next_sequence - ?4;

-- name: insert_in_sequence
INSERT INTO hookline_pending (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms, sequence)
VALUES (?, ?, 'scheduled', ?, 0, 0, ?, ?);

-- The first of its key is due, those behind it wait. (Message, endpoint, application, now, number, key.)
-- name: insert_in_key
INSERT INTO hookline_pending
    (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms, key_sequence, order_key)
SELECT ?1, ?2, 'scheduled', ?3, 0, 0,
       CASE WHEN EXISTS (SELECT 1 FROM hookline_pending p WHERE p.endpoint_id = ?2 AND p.order_key = ?6)
            THEN ?4 + 4611686018427387904 ELSE ?4 END,
       ?5, ?6;

-- name: insert_attempt
INSERT INTO hookline_attempts
    (id, app_id, message_id, endpoint_id, kind, number, url, status, final, reason, detail, response_status,
     response_body, duration_ms, created_at_ms, next_attempt_at_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0));

-- name: delete_row
DELETE FROM hookline_pending WHERE message_id = ? AND endpoint_id = ? AND kind = ?;

-- name: delete_row_of_ours_or_free
DELETE FROM hookline_pending
WHERE message_id = ? AND endpoint_id = ? AND kind = ?
  AND (lease_node IS NULL OR (lease_node = ? AND lease_epoch = ?));

-- name: insert_retry
INSERT INTO hookline_pending (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms)
VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)
ON CONFLICT (message_id, endpoint_id, kind) DO UPDATE
SET attempts = ?5, rescues = 0, due_at_ms = ?6, lease_node = NULL, lease_epoch = NULL
WHERE lease_node = ?7 AND lease_epoch = ?8;

-- name: update_retry
UPDATE hookline_pending
SET attempts = ?5, rescues = 0, due_at_ms = ?6, lease_node = NULL, lease_epoch = NULL
WHERE message_id = ?1 AND endpoint_id = ?2 AND kind = ?3 AND lease_node = ?7 AND lease_epoch = ?8;

-- name: insert_spill
INSERT INTO hookline_pending
    (message_id, endpoint_id, kind, app_id, attempts, rescues, due_at_ms, lease_node, lease_epoch)
VALUES (?, ?, ?, ?, 0, 0, ?, nullif(?, ''), nullif(?, 0))
ON CONFLICT (message_id, endpoint_id, kind) DO NOTHING;

-- name: release_row
UPDATE hookline_pending SET lease_node = NULL, lease_epoch = NULL
WHERE message_id = ? AND endpoint_id = ? AND kind = ? AND lease_node = ? AND lease_epoch = ?;

-- name: advance_lane_to_row
INSERT INTO hookline_lanes (endpoint_id, app_id, next_due_at_ms)
SELECT endpoint_id, app_id, due_at_ms FROM hookline_pending
WHERE message_id = ? AND endpoint_id = ? AND kind = ? AND lease_node IS NULL
ON CONFLICT (endpoint_id) DO UPDATE
SET next_due_at_ms = min(coalesce(next_due_at_ms, excluded.next_due_at_ms), excluded.next_due_at_ms);

-- name: set_lane_health
INSERT INTO hookline_lanes (endpoint_id, app_id, state, open_until_ms, failures, failing_since_ms)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (endpoint_id) DO UPDATE
SET state = excluded.state, open_until_ms = excluded.open_until_ms, failures = excluded.failures,
    failing_since_ms = excluded.failing_since_ms;

-- Reason, time, endpoint, application, since when it fails (NULL: whatever is known of that).
-- name: disable_endpoint
UPDATE hookline_endpoints SET status = 'disabled', status_reason = ?1, updated_at_ms = max(?2, updated_at_ms + 1)
WHERE id = ?3 AND app_id = ?4 AND status <> 'disabled' AND deleted_at_ms IS NULL
  AND (?5 IS NULL OR EXISTS (
      SELECT 1 FROM hookline_endpoint_health h WHERE h.endpoint_id = ?3 AND h.failing_since_ms = ?5))
RETURNING uid, updated_at_ms;

-- name: delete_batch
DELETE FROM hookline_batches WHERE id = ? AND node_id <> '';
