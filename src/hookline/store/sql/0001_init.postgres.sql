-- Times are Unix milliseconds. Lists of names are text joined with ','. Ids compare as bytes (COLLATE "C").

CREATE TABLE hookline_meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
-- Every change of an endpoint takes the next number and writes it to its application.
INSERT INTO hookline_meta (name, value) VALUES ('routing_clock', '0');

CREATE TABLE hookline_applications (
    id              TEXT COLLATE "C" PRIMARY KEY,
    org_id          TEXT COLLATE "C" NOT NULL,
    uid             TEXT,
    name            TEXT NOT NULL,
    throttle_rate   BIGINT,
    metadata        TEXT NOT NULL,
    created_at_ms   BIGINT NOT NULL,
    updated_at_ms   BIGINT NOT NULL,
    deleted_at_ms   BIGINT,
    routing_version BIGINT NOT NULL
);
CREATE UNIQUE INDEX hookline_applications_uid ON hookline_applications (org_id, uid) WHERE uid IS NOT NULL;
CREATE INDEX hookline_applications_org ON hookline_applications (org_id, id);
CREATE INDEX hookline_applications_routing ON hookline_applications (routing_version);

CREATE TABLE hookline_endpoints (
    id            TEXT COLLATE "C" PRIMARY KEY,
    org_id        TEXT COLLATE "C" NOT NULL,
    app_id        TEXT COLLATE "C" NOT NULL,
    uid           TEXT,
    url           TEXT NOT NULL,
    description   TEXT NOT NULL,
    version       BIGINT NOT NULL,
    dialect       TEXT NOT NULL,
    status        TEXT NOT NULL,
    status_reason TEXT,
    event_types   TEXT,
    channels      TEXT,
    secrets       BYTEA NOT NULL,
    headers       BYTEA NOT NULL,
    policy        TEXT,
    options       TEXT NOT NULL,
    ordered       BOOLEAN NOT NULL,
    throttle_rate BIGINT,
    metadata      TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    deleted_at_ms BIGINT
);
CREATE UNIQUE INDEX hookline_endpoints_uid ON hookline_endpoints (app_id, uid) WHERE uid IS NOT NULL;
CREATE INDEX hookline_endpoints_app ON hookline_endpoints (app_id, id);
CREATE INDEX hookline_endpoints_deleted ON hookline_endpoints (deleted_at_ms) WHERE deleted_at_ms IS NOT NULL;

CREATE TABLE hookline_api_keys (
    id            TEXT COLLATE "C" PRIMARY KEY,
    org_id        TEXT COLLATE "C" NOT NULL,
    app_id        TEXT COLLATE "C",
    name          TEXT NOT NULL,
    key_hash      BYTEA NOT NULL UNIQUE,
    hint          TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    revoked_at_ms BIGINT
);
CREATE INDEX hookline_api_keys_org ON hookline_api_keys (org_id, id);

-- Partitioned by id, that is by time: a week each, made ahead by the Pruner; what is still owed when its week is
-- dropped moves to the default partition.
-- targets: endpoint ids joined with ',', or '#' and the hash of a row in hookline_fanouts.
CREATE TABLE hookline_messages (
    app_id                TEXT COLLATE "C" NOT NULL,
    id                    TEXT COLLATE "C" NOT NULL,
    org_id                TEXT COLLATE "C" NOT NULL,
    event_type            TEXT NOT NULL,
    event_id              TEXT,
    channels              TEXT,
    payload               BYTEA NOT NULL,
    targets               TEXT NOT NULL,
    note                  TEXT,
    created_at_ms         BIGINT NOT NULL,
    payload_expires_at_ms BIGINT,
    payload_expired       BOOLEAN NOT NULL DEFAULT false,
    PRIMARY KEY (app_id, id)
) PARTITION BY RANGE (id);
CREATE TABLE hookline_messages_rest PARTITION OF hookline_messages DEFAULT;
CREATE INDEX hookline_messages_event ON hookline_messages (app_id, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX hookline_messages_expiry ON hookline_messages (payload_expires_at_ms)
    WHERE payload_expires_at_ms IS NOT NULL AND NOT payload_expired;

CREATE TABLE hookline_fanouts (
    hash            TEXT COLLATE "C" PRIMARY KEY,
    app_id          TEXT COLLATE "C" NOT NULL,
    endpoint_ids    TEXT NOT NULL,
    last_used_at_ms BIGINT NOT NULL
);

CREATE TABLE hookline_message_keys (
    org_id        TEXT COLLATE "C" NOT NULL,
    app_id        TEXT COLLATE "C" NOT NULL,
    key           TEXT COLLATE "C" NOT NULL,
    message_id    TEXT COLLATE "C" NOT NULL,
    fingerprint   BYTEA NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, app_id, key)
);
CREATE INDEX hookline_message_keys_expiry ON hookline_message_keys (expires_at_ms);

-- Tables whose rows come and go are vacuumed by the number of dead rows, not by a share of a size that means nothing.

-- members: 'app_id/message_id' joined with ' '. A tombstone (see resolve_batch) has none and node_id ''.
CREATE TABLE hookline_batches (
    id            TEXT COLLATE "C" PRIMARY KEY,
    node_id       TEXT COLLATE "C" NOT NULL,
    epoch         BIGINT NOT NULL,
    members       TEXT NOT NULL,
    created_at_ms BIGINT NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- Only trouble has a row here. attempts: made so far. lease_node NULL: free.
CREATE TABLE hookline_pending (
    message_id    TEXT COLLATE "C" NOT NULL,
    endpoint_id   TEXT COLLATE "C" NOT NULL,
    kind          TEXT NOT NULL,
    app_id        TEXT COLLATE "C" NOT NULL,
    attempts      BIGINT NOT NULL,
    rescues       BIGINT NOT NULL,
    due_at_ms     BIGINT NOT NULL,
    sequence      BIGINT,
    lease_node    TEXT COLLATE "C",
    lease_epoch   BIGINT,
    PRIMARY KEY (message_id, endpoint_id, kind)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_scale_factor = 0.05);
-- A row stands in one of the first two: rows with a sequence are taken from their head, others by due time.
CREATE INDEX hookline_pending_due ON hookline_pending (endpoint_id, due_at_ms)
    WHERE lease_node IS NULL AND sequence IS NULL;
CREATE INDEX hookline_pending_sequence ON hookline_pending (endpoint_id, sequence) WHERE sequence IS NOT NULL;
CREATE INDEX hookline_pending_lease ON hookline_pending (lease_node, lease_epoch) WHERE lease_node IS NOT NULL;

-- One row per endpoint that ever had trouble or is ordered. next_due_at_ms NULL: nothing in pending can be taken.
CREATE TABLE hookline_lanes (
    endpoint_id      TEXT COLLATE "C" PRIMARY KEY,
    app_id           TEXT COLLATE "C" NOT NULL,
    next_due_at_ms   BIGINT,
    next_sequence    BIGINT NOT NULL DEFAULT 1,
    state            TEXT NOT NULL DEFAULT 'closed',
    open_until_ms    BIGINT NOT NULL DEFAULT 0,
    failures         BIGINT NOT NULL DEFAULT 0,
    failing_since_ms BIGINT,
    lease_node       TEXT COLLATE "C",
    lease_epoch      BIGINT
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);
-- An open lane is due when its time is up, whatever waits in it.
CREATE INDEX hookline_lanes_due ON hookline_lanes
    ((CASE WHEN state = 'open' THEN GREATEST(next_due_at_ms, open_until_ms) ELSE next_due_at_ms END))
    WHERE next_due_at_ms IS NOT NULL;
CREATE INDEX hookline_lanes_lease ON hookline_lanes (lease_node, lease_epoch) WHERE lease_node IS NOT NULL;

-- Append-only. status: 0 succeeded, 2 failed, 4 canceled.
CREATE TABLE hookline_attempts (
    id                 TEXT COLLATE "C" NOT NULL,
    app_id             TEXT COLLATE "C" NOT NULL,
    message_id         TEXT COLLATE "C" NOT NULL,
    endpoint_id        TEXT COLLATE "C" NOT NULL,
    kind               TEXT NOT NULL,
    number             BIGINT NOT NULL,
    url                TEXT NOT NULL,
    status             BIGINT NOT NULL,
    final              BOOLEAN NOT NULL,
    reason             TEXT NOT NULL,
    detail             TEXT NOT NULL,
    response_status    BIGINT NOT NULL,
    response_body      BYTEA NOT NULL,
    duration_ms        BIGINT NOT NULL,
    created_at_ms      BIGINT NOT NULL,
    next_attempt_at_ms BIGINT
) PARTITION BY RANGE (id);
CREATE TABLE hookline_attempts_rest PARTITION OF hookline_attempts DEFAULT;
CREATE INDEX hookline_attempts_message ON hookline_attempts (message_id, id);
CREATE INDEX hookline_attempts_endpoint ON hookline_attempts (endpoint_id, id);

-- Epochs come from one sequence, so that an id that returns after its row was removed is still ahead of its past.
CREATE SEQUENCE hookline_epochs;
-- fenced: declared dead, its epoch raised; the row stays for a day so that people can see it.
CREATE TABLE hookline_nodes (
    id             TEXT COLLATE "C" PRIMARY KEY,
    epoch          BIGINT NOT NULL,
    lease_until_ms BIGINT NOT NULL,
    started_at_ms  BIGINT NOT NULL,
    fenced         BOOLEAN NOT NULL DEFAULT false
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Written by the application inside its own transaction, taken and deleted by the Relay.
CREATE TABLE hookline_outbox (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id        TEXT COLLATE "C" NOT NULL,
    app           TEXT NOT NULL,
    event_type    TEXT NOT NULL,
    payload       BYTEA NOT NULL,
    event_id      TEXT,
    channels      TEXT,
    created_at_ms BIGINT NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    error         TEXT,
    refused_at_ms BIGINT
);
CREATE INDEX hookline_outbox_waiting ON hookline_outbox (id) WHERE refused_at_ms IS NULL;

-- One wake-up per statement, however many rows it wrote.
CREATE FUNCTION hookline_outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('hookline', 'outbox');
    RETURN NULL;
END $$;
CREATE TRIGGER hookline_outbox_insert AFTER INSERT ON hookline_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION hookline_outbox_notify();
