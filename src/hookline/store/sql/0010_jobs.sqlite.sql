-- Jobs of the OpenAI API that announce their end. request and result are JSON. lease_node NULL: nobody works on it;
-- lease_until_ms is the database's own clock's. ended_at_ms NULL: the job is open. epoch goes up with each claim.
CREATE TABLE hookline_jobs (
    id             TEXT PRIMARY KEY,
    org_id         TEXT NOT NULL,
    app_id         TEXT NOT NULL,
    kind           TEXT NOT NULL,
    request        BLOB NOT NULL,
    created_at_ms  INTEGER NOT NULL,
    due_at_ms      INTEGER NOT NULL,
    state          TEXT NOT NULL,
    result         BLOB,
    attempts       INTEGER NOT NULL,
    started_at_ms  INTEGER,
    ended_at_ms    INTEGER,
    lease_node     TEXT,
    lease_until_ms INTEGER NOT NULL DEFAULT 0,
    epoch          INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX hookline_jobs_app ON hookline_jobs (app_id, id);
CREATE INDEX hookline_jobs_due ON hookline_jobs (due_at_ms) WHERE ended_at_ms IS NULL;
CREATE INDEX hookline_jobs_open ON hookline_jobs (app_id) WHERE ended_at_ms IS NULL;
CREATE INDEX hookline_jobs_ended ON hookline_jobs (ended_at_ms) WHERE ended_at_ms IS NOT NULL;
