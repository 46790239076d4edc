-- Weeks of messages and attempts. {table}, {partition}, {low} and {high} are names and ids of our own making.

-- name: list
SELECT c.relname
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = '{table}'::regclass;

-- name: create
CREATE TABLE {partition} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE);

-- name: attach
-- Attaching a table that exists locks its parent less than creating it in place.
ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ('{low}') TO ('{high}');

-- name: estimate
SELECT reltuples::bigint FROM pg_class WHERE oid = '{partition}'::regclass;

-- name: count
SELECT count(*) FROM {partition};

-- name: count_owed_messages
-- At most {most} and one more: who asks wants to know whether these are too many to carry while everybody waits.
SELECT count(*) FROM (
    SELECT 1 FROM hookline_pending WHERE message_id >= '{low}' AND message_id < '{high}' LIMIT {most} + 1
) AS owed;

-- name: count_owed_attempts
SELECT count(*) FROM (
    SELECT 1
    FROM (SELECT DISTINCT message_id FROM hookline_pending WHERE message_id < '{message_high}' LIMIT {most} + 1) AS owed
    JOIN {partition} t ON t.message_id = owed.message_id
    LIMIT {most} + 1
) AS owed;

-- name: detach
ALTER TABLE {table} DETACH PARTITION {partition};

-- name: drop
DROP TABLE {partition};

-- What is still owed goes to the default partition, now that its week is none of the table's any more.
-- name: carry_messages
INSERT INTO hookline_messages
    (app_id, id, org_id, event_type, event_id, channels, payload, targets, note, created_at_ms, payload_expires_at_ms,
     payload_expired, tags, deliver_at_ms)
SELECT app_id, id, org_id, event_type, event_id, channels, payload, targets, note, created_at_ms, payload_expires_at_ms,
       payload_expired, tags, deliver_at_ms
FROM {partition}
WHERE id IN (
    SELECT message_id FROM hookline_pending WHERE message_id >= '{low}' AND message_id < '{high}'
    UNION
    SELECT split_part(pair, '/', 2) FROM hookline_batches CROSS JOIN LATERAL unnest(string_to_array(members, ' ')) AS pair
);

-- name: carry_attempts
INSERT INTO hookline_attempts
    (id, app_id, message_id, endpoint_id, kind, number, url, status, final, reason, detail, response_status,
     response_body, duration_ms, created_at_ms, next_attempt_at_ms)
SELECT id, app_id, message_id, endpoint_id, kind, number, url, status, final, reason, detail, response_status,
       response_body, duration_ms, created_at_ms, next_attempt_at_ms
FROM {partition}
WHERE message_id IN (
    SELECT message_id FROM hookline_pending WHERE message_id < '{message_high}'
    UNION
    SELECT split_part(pair, '/', 2) FROM hookline_batches CROSS JOIN LATERAL unnest(string_to_array(members, ' ')) AS pair
);

-- Row by row, where a week cannot be dropped as a whole: the default partition, and weeks that owe too much.
-- name: delete_messages
DELETE FROM {partition} r
USING (
    SELECT m.app_id, m.id FROM {partition} m
    WHERE m.id < $1 AND m.created_at_ms < $2
      AND NOT EXISTS (SELECT 1 FROM hookline_pending p WHERE p.message_id = m.id)
      AND NOT m.id = ANY ($3::text[])
    LIMIT $4
    FOR UPDATE SKIP LOCKED
) AS old
WHERE r.app_id = old.app_id AND r.id = old.id
RETURNING 1;

-- name: delete_attempts
-- Attempts go by their own age, once their message is gone.
DELETE FROM {partition} r
WHERE ctid = ANY (ARRAY(
    SELECT t.ctid FROM {partition} t
    WHERE t.id < $1 AND t.created_at_ms < $2
      AND NOT EXISTS (SELECT 1 FROM hookline_messages m WHERE m.app_id = t.app_id AND m.id = t.message_id)
    LIMIT $3))
RETURNING 1;
