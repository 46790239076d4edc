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

-- name: count
SELECT count(*) FROM {partition};

-- name: detach
ALTER TABLE {table} DETACH PARTITION {partition};

-- name: drop
DROP TABLE {partition};

-- What is still owed goes to the default partition, now that its week is none of the table's any more.
-- name: carry_messages
INSERT INTO hookline_messages
    (app_id, id, org_id, event_type, event_id, channels, payload, targets, note, created_at_ms, payload_expires_at_ms,
     payload_expired)
SELECT app_id, id, org_id, event_type, event_id, channels, payload, targets, note, created_at_ms, payload_expires_at_ms,
       payload_expired
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
