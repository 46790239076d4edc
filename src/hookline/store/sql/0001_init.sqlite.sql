-- Times are Unix milliseconds. Lists of names are text joined with ','. Ids compare as bytes (SQLite's default).

CREATE TABLE hookline_meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
-- Every change of an endpoint takes the next number and writes it to its application.
INSERT INTO hookline_meta (name, value) VALUES ('routing_clock', '0');

CREATE TABLE hookline_applications (
    id              TEXT PRIMARY KEY,
    org_id          TEXT NOT NULL,
    uid             TEXT,
    name            TEXT NOT NULL,
    throttle_rate   INTEGER,
    metadata        TEXT NOT NULL,
    created_at_ms   INTEGER NOT NULL,
    updated_at_ms   INTEGER NOT NULL,
    deleted_at_ms   INTEGER,
    routing_version INTEGER NOT NULL
);
CREATE UNIQUE INDEX hookline_applications_uid ON hookline_applications (org_id, uid) WHERE uid IS NOT NULL;
CREATE INDEX hookline_applications_org ON hookline_applications (org_id, id);
CREATE INDEX hookline_applications_routing ON hookline_applications (routing_version);

CREATE TABLE hookline_endpoints (
    id            TEXT PRIMARY KEY,
    org_id        TEXT NOT NULL,
    app_id        TEXT NOT NULL,
    uid           TEXT,
    url           TEXT NOT NULL,
    description   TEXT NOT NULL,
    version       INTEGER NOT NULL,
    dialect       TEXT NOT NULL,
    status        TEXT NOT NULL,
    status_reason TEXT,
    event_types   TEXT,
    channels      TEXT,
    secrets       BLOB NOT NULL,
    headers       BLOB NOT NULL,
    policy        TEXT,
    options       TEXT NOT NULL,
    ordered       INTEGER NOT NULL,
    throttle_rate INTEGER,
    metadata      TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    deleted_at_ms INTEGER
);
CREATE UNIQUE INDEX hookline_endpoints_uid ON hookline_endpoints (app_id, uid) WHERE uid IS NOT NULL;
CREATE INDEX hookline_endpoints_app ON hookline_endpoints (app_id, id);
CREATE INDEX hookline_endpoints_deleted ON hookline_endpoints (deleted_at_ms) WHERE deleted_at_ms IS NOT NULL;

CREATE TABLE hookline_api_keys (
    id            TEXT PRIMARY KEY,
    org_id        TEXT NOT NULL,
    app_id        TEXT,
    name          TEXT NOT NULL,
    key_hash      BLOB NOT NULL UNIQUE,
    hint          TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    revoked_at_ms INTEGER
);
CREATE INDEX hookline_api_keys_org ON hookline_api_keys (org_id, id);

-- targets: endpoint ids joined with ',', or '#' and the hash of a row in hookline_fanouts.
CREATE TABLE hookline_messages (
    app_id                TEXT NOT NULL,
    id                    TEXT NOT NULL,
    org_id                TEXT NOT NULL,
    event_type            TEXT NOT NULL,
    event_id              TEXT,
    channels              TEXT,
    payload               BLOB NOT NULL,
    targets               TEXT NOT NULL,
    note                  TEXT,
    created_at_ms         INTEGER NOT NULL,
    payload_expires_at_ms INTEGER,
    payload_expired       INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (app_id, id)
);
CREATE INDEX hookline_messages_expiry ON hookline_messages (payload_expires_at_ms)
    WHERE payload_expires_at_ms IS NOT NULL AND payload_expired = 0;

CREATE TABLE hookline_fanouts (
    hash            TEXT PRIMARY KEY,
    app_id          TEXT NOT NULL,
    endpoint_ids    TEXT NOT NULL,
    last_used_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE hookline_message_keys (
    org_id        TEXT NOT NULL,
    app_id        TEXT NOT NULL,
    key           TEXT NOT NULL,
    message_id    TEXT NOT NULL,
    fingerprint   BLOB NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, app_id, key)
) WITHOUT ROWID;
CREATE INDEX hookline_message_keys_expiry ON hookline_message_keys (expires_at_ms);

-- members: 'app_id/message_id' joined with ' '. A tombstone (see resolve_batch) has none and node_id ''.
CREATE TABLE hookline_batches (
    id            TEXT PRIMARY KEY,
    node_id       TEXT NOT NULL,
    epoch         INTEGER NOT NULL,
    members       TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- Only trouble has a row here. attempts: made so far. lease_node NULL: free.
CREATE TABLE hookline_pending (
    message_id    TEXT NOT NULL,
    endpoint_id   TEXT NOT NULL,
    kind          TEXT NOT NULL,
    app_id        TEXT NOT NULL,
    attempts      INTEGER NOT NULL,
    rescues       INTEGER NOT NULL,
    due_at_ms     INTEGER NOT NULL,
    sequence      INTEGER,
    lease_node    TEXT,
    lease_epoch   INTEGER,
    PRIMARY KEY (message_id, endpoint_id, kind)
) WITHOUT ROWID;
CREATE INDEX hookline_pending_due ON hookline_pending (endpoint_id, due_at_ms) WHERE lease_node IS NULL;
-- An ordered lane is served by sequence, and its few rows without one must be found beside a long queue.
CREATE INDEX hookline_pending_loose ON hookline_pending (endpoint_id, due_at_ms)
    WHERE lease_node IS NULL AND sequence IS NULL;
CREATE INDEX hookline_pending_sequence ON hookline_pending (endpoint_id, sequence) WHERE sequence IS NOT NULL;
CREATE INDEX hookline_pending_lease ON hookline_pending (lease_node, lease_epoch) WHERE lease_node IS NOT NULL;

-- One row per endpoint that ever had trouble or is ordered. next_due_at_ms NULL: nothing free in pending.
CREATE TABLE hookline_lanes (
    endpoint_id      TEXT PRIMARY KEY,
    app_id           TEXT NOT NULL,
    next_due_at_ms   INTEGER,
    next_sequence    INTEGER NOT NULL DEFAULT 1,
    state            TEXT NOT NULL DEFAULT 'closed',
    open_until_ms    INTEGER NOT NULL DEFAULT 0,
    failures         INTEGER NOT NULL DEFAULT 0,
    failing_since_ms INTEGER,
    lease_node       TEXT,
    lease_epoch      INTEGER
) WITHOUT ROWID;
CREATE INDEX hookline_lanes_due ON hookline_lanes (next_due_at_ms) WHERE next_due_at_ms IS NOT NULL;

-- Append-only. status: 0 succeeded, 2 failed, 4 canceled.
CREATE TABLE hookline_attempts (
    id                 TEXT NOT NULL,
    app_id             TEXT NOT NULL,
    message_id         TEXT NOT NULL,
    endpoint_id        TEXT NOT NULL,
    kind               TEXT NOT NULL,
    number             INTEGER NOT NULL,
    url                TEXT NOT NULL,
    status             INTEGER NOT NULL,
    final              INTEGER NOT NULL,
    reason             TEXT NOT NULL,
    detail             TEXT NOT NULL,
    response_status    INTEGER NOT NULL,
    response_body      BLOB NOT NULL,
    duration_ms        INTEGER NOT NULL,
    created_at_ms      INTEGER NOT NULL,
    next_attempt_at_ms INTEGER
);
CREATE INDEX hookline_attempts_message ON hookline_attempts (message_id, id);
CREATE INDEX hookline_attempts_endpoint ON hookline_attempts (endpoint_id, id);

CREATE TABLE hookline_nodes (
    id             TEXT PRIMARY KEY,
    epoch          INTEGER NOT NULL,
    lease_until_ms INTEGER NOT NULL,
    started_at_ms  INTEGER NOT NULL
) WITHOUT ROWID;

-- Written by the application inside its own transaction, taken and deleted by the Relay.
CREATE TABLE hookline_outbox (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id        TEXT NOT NULL,
    app           TEXT NOT NULL,
    event_type    TEXT NOT NULL,
    payload       BLOB NOT NULL,
    event_id      TEXT,
    channels      TEXT,
    created_at_ms INTEGER NOT NULL DEFAULT (CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)),
    error         TEXT,
    refused_at_ms INTEGER
);
CREATE INDEX hookline_outbox_waiting ON hookline_outbox (id) WHERE refused_at_ms IS NULL;
