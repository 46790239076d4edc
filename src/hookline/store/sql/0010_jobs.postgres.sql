-- Jobs of the OpenAI API that announce their end. request and result are JSON. lease_node NULL: nobody works on it;
-- lease_until_ms is the database's own clock's. ended_at_ms NULL: the job is open. epoch goes up with each claim.
CREATE TABLE hookline_jobs (
    id             TEXT COLLATE "C" PRIMARY KEY,
    org_id         TEXT COLLATE "C" NOT NULL,
    app_id         TEXT COLLATE "C" NOT NULL,
    kind           TEXT NOT NULL,
    request        BYTEA NOT NULL,
    created_at_ms  BIGINT NOT NULL,
    due_at_ms      BIGINT NOT NULL,
    state          TEXT NOT NULL,
    result         BYTEA,
    attempts       BIGINT NOT NULL,
    started_at_ms  BIGINT,
    ended_at_ms    BIGINT,
    lease_node     TEXT COLLATE "C",
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    epoch          BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX hookline_jobs_app ON hookline_jobs (app_id, id);
CREATE INDEX hookline_jobs_due ON hookline_jobs (due_at_ms) WHERE ended_at_ms IS NULL;
CREATE INDEX hookline_jobs_open ON hookline_jobs (app_id) WHERE ended_at_ms IS NULL;
CREATE INDEX hookline_jobs_ended ON hookline_jobs (ended_at_ms) WHERE ended_at_ms IS NOT NULL;
