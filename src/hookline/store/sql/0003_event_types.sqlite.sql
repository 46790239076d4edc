-- An organization has a row here once it has said something: settings (JSON, only what differs from the default), or
-- event types. catalog_version moves with every change of either.
CREATE TABLE hookline_organizations (
    id              TEXT PRIMARY KEY,
    settings        TEXT NOT NULL,
    catalog_version INTEGER NOT NULL
) WITHOUT ROWID;

-- schemas: JSON by version. feature_flags: names joined with ','.
CREATE TABLE hookline_event_types (
    org_id        TEXT NOT NULL,
    name          TEXT NOT NULL,
    description   TEXT NOT NULL,
    archived      INTEGER NOT NULL,
    deprecated    INTEGER NOT NULL,
    schemas       TEXT,
    feature_flags TEXT,
    group_name    TEXT,
    created_at_ms INTEGER NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    PRIMARY KEY (org_id, name)
);
