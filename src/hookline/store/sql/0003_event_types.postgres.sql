-- An organization has a row here once it has said something: settings (JSON, only what differs from the default), or
-- event types. catalog_version moves with every change of either.
CREATE TABLE hookline_organizations (
    id              TEXT COLLATE "C" PRIMARY KEY,
    settings        TEXT NOT NULL,
    catalog_version BIGINT NOT NULL
);

-- schemas: JSON by version. feature_flags: names joined with ','.
CREATE TABLE hookline_event_types (
    org_id        TEXT COLLATE "C" NOT NULL,
    name          TEXT COLLATE "C" NOT NULL,
    description   TEXT NOT NULL,
    archived      BOOLEAN NOT NULL,
    deprecated    BOOLEAN NOT NULL,
    schemas       TEXT,
    feature_flags TEXT,
    group_name    TEXT,
    created_at_ms BIGINT NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    PRIMARY KEY (org_id, name)
);
