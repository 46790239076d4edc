-- Endpoints that are ordered by a value in the payload: `keyed` says which (their path is in `extras`).
ALTER TABLE hookline_endpoints ADD COLUMN keyed BOOLEAN NOT NULL DEFAULT false;

-- A delivery in its key's order. The first of each key is due like any other; those behind it wait: their due time is
-- 2^62 ahead, and becomes what it was when they are first.
ALTER TABLE hookline_pending ADD COLUMN order_key TEXT COLLATE "C";
ALTER TABLE hookline_pending ADD COLUMN key_sequence BIGINT;
CREATE INDEX hookline_pending_key ON hookline_pending (endpoint_id, order_key, key_sequence)
    WHERE order_key IS NOT NULL;

-- Keys that lost a delivery, whoever deleted it and why. Who claims next, under the lane's lock, makes the next one of
-- each the first: who deletes does not have that lock, and would not see what is inserted meanwhile.
CREATE TABLE hookline_freed_keys (
    endpoint_id TEXT COLLATE "C" NOT NULL,
    order_key   TEXT COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX hookline_freed_keys_endpoint ON hookline_freed_keys (endpoint_id);

CREATE FUNCTION hookline_note_freed_key() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO hookline_freed_keys (endpoint_id, order_key) VALUES (OLD.endpoint_id, OLD.order_key);
    RETURN NULL;
END $$;
CREATE TRIGGER hookline_pending_freed_key AFTER DELETE ON hookline_pending
    FOR EACH ROW WHEN (OLD.order_key IS NOT NULL) EXECUTE FUNCTION hookline_note_freed_key();
