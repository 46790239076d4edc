-- Long work behind the API. parameters, cursor and result are JSON. lease_node NULL: nobody works on it; lease_until_ms is
-- the database's own clock's. finished_at_ms NULL: the task is open. epoch goes up with each claim.
CREATE TABLE hookline_tasks (
    id               TEXT PRIMARY KEY,
    org_id           TEXT NOT NULL,
    app_id           TEXT,
    kind             TEXT NOT NULL,
    parameters       TEXT NOT NULL,
    created_at_ms    INTEGER NOT NULL,
    updated_at_ms    INTEGER NOT NULL,
    due_at_ms        INTEGER NOT NULL,
    state            TEXT NOT NULL,
    done             INTEGER NOT NULL,
    total            INTEGER,
    affected         INTEGER NOT NULL,
    cursor           TEXT,
    result           TEXT NOT NULL,
    error            TEXT,
    attempts         INTEGER NOT NULL,
    cancel_requested INTEGER NOT NULL,
    finished_at_ms   INTEGER,
    lease_node       TEXT,
    lease_until_ms   INTEGER NOT NULL DEFAULT 0,
    epoch            INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX hookline_tasks_org ON hookline_tasks (org_id, id);
CREATE INDEX hookline_tasks_app ON hookline_tasks (app_id, id) WHERE app_id IS NOT NULL;
CREATE INDEX hookline_tasks_open ON hookline_tasks (due_at_ms) WHERE finished_at_ms IS NULL;
CREATE INDEX hookline_tasks_open_of ON hookline_tasks (org_id, app_id) WHERE finished_at_ms IS NULL;
CREATE INDEX hookline_tasks_ended ON hookline_tasks (finished_at_ms) WHERE finished_at_ms IS NOT NULL;
