-- An organization has at most one application of this kind: it gets the operational webhooks, and is not a customer.
ALTER TABLE hookline_applications ADD COLUMN operations BOOLEAN NOT NULL DEFAULT false;
CREATE UNIQUE INDEX hookline_applications_operations ON hookline_applications (org_id) WHERE operations;

-- Only endpoints that fail, or were disabled, have a row here; a success removes it, written only when it is there.
-- failing_since_ms: the first failure since the last success. exhausted_at_ms: when a delivery was last given up.
CREATE TABLE hookline_endpoint_health (
    endpoint_id      TEXT COLLATE "C" PRIMARY KEY,
    app_id           TEXT COLLATE "C" NOT NULL,
    failing_since_ms BIGINT,
    exhausted_at_ms  BIGINT,
    disabled_at_ms   BIGINT,
    reason           TEXT,
    detail           TEXT
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX hookline_endpoint_health_failing ON hookline_endpoint_health (failing_since_ms)
    WHERE disabled_at_ms IS NULL;
CREATE INDEX hookline_endpoint_health_app ON hookline_endpoint_health (app_id);

-- app_id NULL: the whole organization. notify: names of the operator's notifiers, joined with ','.
-- state: ok or firing, since changed_at_ms; told_at_ms: when people were last told of it.
CREATE TABLE hookline_alert_rules (
    id            TEXT COLLATE "C" PRIMARY KEY,
    org_id        TEXT COLLATE "C" NOT NULL,
    app_id        TEXT COLLATE "C",
    name          TEXT NOT NULL,
    kind          TEXT NOT NULL,
    threshold     DOUBLE PRECISION NOT NULL,
    window_ms     BIGINT NOT NULL,
    least         BIGINT NOT NULL,
    notify        TEXT NOT NULL,
    renotify_ms   BIGINT,
    enabled       BOOLEAN NOT NULL,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    state         TEXT NOT NULL,
    value         DOUBLE PRECISION,
    changed_at_ms BIGINT NOT NULL,
    told_at_ms    BIGINT
);
CREATE INDEX hookline_alert_rules_org ON hookline_alert_rules (org_id, id);

-- Work that one node does for all: whose turn it is, and until when.
CREATE TABLE hookline_leaders (
    name     TEXT COLLATE "C" PRIMARY KEY,
    node_id  TEXT COLLATE "C" NOT NULL,
    until_ms BIGINT NOT NULL
);

-- Deliveries that ended in failure, of an application, by time.
CREATE INDEX hookline_attempts_exhausted ON hookline_attempts (app_id, id) WHERE final AND status = 2;
