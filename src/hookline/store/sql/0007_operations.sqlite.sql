-- An organization has at most one application of this kind: it gets the operational webhooks, and is not a customer.
ALTER TABLE hookline_applications ADD COLUMN operations INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX hookline_applications_operations ON hookline_applications (org_id) WHERE operations = 1;

-- Only endpoints that fail, or were disabled, have a row here; a success removes it, written only when it is there.
-- failing_since_ms: the first failure since the last success. exhausted_at_ms: when a delivery was last given up.
CREATE TABLE hookline_endpoint_health (
    endpoint_id      TEXT PRIMARY KEY,
    app_id           TEXT NOT NULL,
    failing_since_ms INTEGER,
    exhausted_at_ms  INTEGER,
    disabled_at_ms   INTEGER,
    reason           TEXT,
    detail           TEXT
) WITHOUT ROWID;
CREATE INDEX hookline_endpoint_health_failing ON hookline_endpoint_health (failing_since_ms)
    WHERE disabled_at_ms IS NULL;
CREATE INDEX hookline_endpoint_health_app ON hookline_endpoint_health (app_id);

-- app_id NULL: the whole organization. notify: names of the operator's notifiers, joined with ','.
-- state: ok or firing, since changed_at_ms; told_at_ms: when people were last told of it.
CREATE TABLE hookline_alert_rules (
    id            TEXT PRIMARY KEY,
    org_id        TEXT NOT NULL,
    app_id        TEXT,
    name          TEXT NOT NULL,
    kind          TEXT NOT NULL,
    threshold     REAL NOT NULL,
    window_ms     INTEGER NOT NULL,
    least         INTEGER NOT NULL,
    notify        TEXT NOT NULL,
    renotify_ms   INTEGER,
    enabled       INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    state         TEXT NOT NULL,
    value         REAL,
    changed_at_ms INTEGER NOT NULL,
    told_at_ms    INTEGER
);
CREATE INDEX hookline_alert_rules_org ON hookline_alert_rules (org_id, id);

-- Work that one node does for all: whose turn it is, and until when.
CREATE TABLE hookline_leaders (
    name     TEXT PRIMARY KEY,
    node_id  TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- Deliveries that ended in failure, of an application, by time.
CREATE INDEX hookline_attempts_exhausted ON hookline_attempts (app_id, id) WHERE final = 1 AND status = 2;
