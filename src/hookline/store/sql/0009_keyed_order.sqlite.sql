-- Endpoints that are ordered by a value in the payload: `keyed` says which (their path is in `extras`).
ALTER TABLE hookline_endpoints ADD COLUMN keyed INTEGER NOT NULL DEFAULT 0;

-- A delivery in its key's order. The first of each key is due like any other; those behind it wait: their due time is
-- 2^62 ahead, and becomes what it was when they are first.
ALTER TABLE hookline_pending ADD COLUMN order_key TEXT;
ALTER TABLE hookline_pending ADD COLUMN key_sequence INTEGER;
CREATE INDEX hookline_pending_key ON hookline_pending (endpoint_id, order_key, key_sequence)
    WHERE order_key IS NOT NULL;

-- Whoever deletes the first of a key, for whatever reason, makes the next one the first, and its lane due.
CREATE TRIGGER hookline_pending_next_of_key AFTER DELETE ON hookline_pending WHEN OLD.order_key IS NOT NULL
BEGIN
    UPDATE hookline_lanes SET next_due_at_ms = 0
    WHERE endpoint_id = OLD.endpoint_id
      AND (SELECT p.due_at_ms FROM hookline_pending p
           WHERE p.endpoint_id = OLD.endpoint_id AND p.order_key = OLD.order_key
           ORDER BY p.key_sequence LIMIT 1) >= 4611686018427387904;
    UPDATE hookline_pending SET due_at_ms = due_at_ms - 4611686018427387904
    WHERE endpoint_id = OLD.endpoint_id AND order_key = OLD.order_key AND due_at_ms >= 4611686018427387904
      AND key_sequence = (SELECT min(p.key_sequence) FROM hookline_pending p
                          WHERE p.endpoint_id = OLD.endpoint_id AND p.order_key = OLD.order_key);
END;
